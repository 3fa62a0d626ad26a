import type { ChangeDetail } from "../../contract/fleet.ts";
import type { Profile } from "./device-register.ts";
import type { StoredDevice } from "./fleet-store.ts";
import { decodeMetadata } from "./metadata-text.ts";
import type { Presence } from "./presence.ts";

/** How often events are looked at for keys that differ from one to the next. */
const sampleMs = 120_000;
const sampleRetryMs = 5_000;

/** What devices say of themselves, without the keys that differ from one event to the next; changes are announced. */
export class MetadataWatch {
  readonly #presence: Presence;
  /** What a device's metadata would become if the next look at it agrees. */
  readonly #candidates = new Map<number, string>();
  volatileKeys: ReadonlySet<string> = new Set();
  #volatileKnown = false;
  #nextSampleMs = 0;

  constructor(presence: Presence) {
    this.#presence = presence;
  }

  /** Events are to be looked at for keys that differ. */
  isSampleDue(nowMs: number): boolean {
    return nowMs >= this.#nextSampleMs;
  }

  /** Metadata changes when two looks agree on it: a key that differs from event to event seldom says the same thing twice. */
  take(device: number, stored: StoredDevice): void {
    const decoded = decodeMetadata(stored.metadataText);
    if (decoded === null) return;
    const metadata: Record<string, string> = {};
    for (const [key, value] of Object.entries(decoded)) if (!this.volatileKeys.has(key)) metadata[key] = value;
    const profile = this.#presence.register.profile(device);
    const changed = profile === null ? null : differences(profile, metadata);
    if (changed === null || !this.#volatileKnown) {
      this.#candidates.delete(device);
      if (changed === null && profile !== null && hasAll(profile, metadata)) return;
      this.#presence.register.setProfile(device, profile === null ? metadata : { ...profile.metadata, ...metadata });
      return;
    }
    const text = JSON.stringify(changed);
    if (this.#candidates.get(device) !== text) {
      this.#candidates.set(device, text);
      return;
    }
    this.#candidates.delete(device);
    this.#presence.register.setProfile(device, { ...profile?.metadata, ...metadata });
    this.#presence.announce(device, "metadata", stored.heardMs, { changed });
  }

  useVolatileKeys(keys: ReadonlySet<string>, devices: number, nowMs: number): void {
    const before = this.volatileKeys;
    this.volatileKeys = keys;
    // Nothing to tell by yet: soon again.
    this.#nextSampleMs = nowMs + (devices === 0 ? sampleRetryMs : sampleMs);
    this.#volatileKnown ||= devices > 0;
    if (before.size === keys.size && [...keys].every((key) => before.has(key))) return;
    this.#candidates.clear();
    for (let device = 0; device < this.#presence.register.size; device++) {
      const profile = this.#presence.register.profile(device);
      if (profile === null || !Object.keys(profile.metadata).some((key) => keys.has(key))) continue;
      const kept = Object.entries(profile.metadata).filter(([key]) => !keys.has(key));
      this.#presence.register.setProfile(device, Object.fromEntries(kept));
    }
  }
}

const hasAll = (profile: Profile, metadata: Readonly<Record<string, string>>): boolean =>
  Object.keys(metadata).every((key) => Object.hasOwn(profile.metadata, key));

type ChangedKeys = NonNullable<ChangeDetail["changed"]>;

/** Keys that both have with different values; null when there are none. */
function differences(profile: Profile, metadata: Readonly<Record<string, string>>): ChangedKeys | null {
  const changed: ChangedKeys = {};
  let any = false;
  for (const [key, to] of Object.entries(metadata)) {
    const from = Object.hasOwn(profile.metadata, key) ? profile.metadata[key] : undefined;
    if (from === undefined || from === to) continue;
    changed[key] = { from, to };
    any = true;
  }
  return any ? changed : null;
}
