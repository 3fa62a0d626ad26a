import { hashDeviceId } from "../../contract/row.ts";
import type { FleetHistory, FleetStore, StoredDevice } from "./fleet-store.ts";
import type { MetadataWatch } from "./metadata-watch.ts";
import type { Presence } from "./presence.ts";

export interface FleetRefresherDeps {
  readonly now: () => number;
  readonly monotonicNow: () => number;
  readonly store: FleetStore;
  readonly presence: Presence;
  readonly metadata: MetadataWatch;
  /** See `FleetDeps`. */
  readonly storeLagMs?: () => number;
}

const retryMs = 1_000;
/** A refresh may take this share of the time, as long as it comes every so often. */
const refreshShare = 0.04;
const refreshMaxMs = 10_000;
/** With several instances: reports of what is stored are this old at most. */
const reportMarginMs = 1_000;
/** What was received shortly before a query may be stored after it. */
const overlapMs = 15_000;
/** Devices first heard of longer ago than this when the service starts are not announced. */
const announceNewMs = 3_600_000;

/** Asks ClickHouse which devices there are, and then, again and again, what has changed. */
export class FleetRefresher {
  readonly #deps: FleetRefresherDeps;
  readonly #refreshMs: number;
  #refreshing = false;
  #stopped = false;
  #nextMs = 0;
  #sinceMs: number | null = null;
  refreshes = 0;
  /** With several instances: up to when what all of them heard is known here, on the clock that is never set. */
  knownMs = Number.NEGATIVE_INFINITY;

  constructor(deps: FleetRefresherDeps, refreshMs: number) {
    this.#deps = deps;
    this.#refreshMs = refreshMs;
  }

  isDue(nowMs: number): boolean {
    return !this.#stopped && !this.#refreshing && nowMs >= this.#nextMs;
  }

  stop(): void {
    this.#stopped = true;
  }

  async refresh(startedMs: number): Promise<void> {
    this.#refreshing = true;
    this.#nextMs = startedMs + retryMs;
    try {
      if (this.#deps.presence.isComplete) await this.#look(startedMs);
      else await this.#load();
    } finally {
      this.#refreshing = false;
    }
  }

  /** The whole fleet, and what was said of it before this process began. */
  async #load(): Promise<void> {
    const { store, presence } = this.#deps;
    const nowMs = this.#deps.now();
    const history = await store.history(nowMs, announceNewMs);
    if (!history.ok || this.#stopped) return;
    const seen = new Set<number>();
    const outcome = await store.devices(null, (stored) => {
      const device = this.#takeIn(stored);
      if (device < 0) return;
      seen.add(device);
      this.#restore(device, stored, history, nowMs);
    });
    if (!outcome.ok || this.#stopped) return;
    for (const [second, count] of history.becameSilent) presence.becameSilent.add(second, count);
    for (const [second, count] of history.newDevices) presence.newDevices.add(second, count);
    // Heard since the start, and not in ClickHouse: never before.
    for (let device = 0; device < presence.register.size; device++) if (!seen.has(device)) presence.markNew(device);
    presence.isComplete = true;
    this.#sinceMs = nowMs - overlapMs;
    this.#nextMs = 0;
  }

  #restore(device: number, stored: StoredDevice, history: FleetHistory, nowMs: number): void {
    const { presence } = this.#deps;
    const overdue = nowMs - stored.heardMs > stored.silentAfterMs;
    // Without any history this is the first start with one: who is silent since long ago is not news.
    const silentSinceMs =
      history.silent.get(stored.deviceId) ??
      (history.empty && overdue ? stored.heardMs + stored.silentAfterMs : undefined);
    if (silentSinceMs !== undefined && presence.register.silent[device] === 0) {
      presence.restoreSilence(device, silentSinceMs);
      if (presence.isHeardHere(device)) presence.comeBack(device, this.#deps.now());
      else if (stored.heardMs > silentSinceMs) presence.comeBack(device, stored.heardMs);
    }
    const isRecent = stored.firstHeardMs > nowMs - announceNewMs;
    if (isRecent && !history.recentlyNew.has(stored.deviceId)) {
      presence.announce(device, "new", stored.firstHeardMs, {});
      presence.newDevices.add(Math.floor(stored.firstHeardMs / 1000), 1);
    }
  }

  /** What has changed since the last look. */
  async #look(startedMs: number): Promise<void> {
    const { store, presence, metadata } = this.#deps;
    const askedMs = this.#deps.now();
    const knownMs = startedMs - (this.#deps.storeLagMs?.() ?? 0) - reportMarginMs;
    const sampled = metadata.isSampleDue(startedMs) ? await store.volatileKeys(askedMs) : null;
    if (sampled?.ok) metadata.useVolatileKeys(sampled.keys, sampled.devices, startedMs);
    const outcome = await store.devices(this.#sinceMs, (stored) => {
      const known = presence.register.size;
      const device = this.#takeIn(stored);
      if (device < 0) return;
      if (device >= known) presence.markNew(device);
      if (presence.register.isNew[device] === 1) {
        presence.register.isNew[device] = 0;
        presence.announce(device, "new", stored.firstHeardMs > 0 ? stored.firstHeardMs : askedMs, {});
      }
      // Heard by another instance, or in a batch of an earlier run.
      const isSilent = presence.register.silent[device] === 1;
      if (isSilent && stored.heardMs > (presence.register.silentSinceMs[device] as number)) {
        presence.comeBack(device, stored.heardMs);
      }
    });
    if (!outcome.ok || this.#stopped) return;
    this.refreshes++;
    this.knownMs = knownMs;
    this.#sinceMs = askedMs - overlapMs;
    const tookMs = this.#deps.monotonicNow() - startedMs;
    const restMs = Math.min(refreshMaxMs, tookMs / refreshShare);
    this.#nextMs = startedMs + Math.max(this.#refreshMs, restMs);
  }

  /** Name, times, interval and metadata of a device as ClickHouse has them; none when there is no room for it. */
  #takeIn(stored: StoredDevice): number {
    const { presence, metadata } = this.#deps;
    const { register } = presence;
    const [hashA, hashB] = hashDeviceId(stored.deviceId);
    const heardMs = presence.monotonicOf(stored.heardMs);
    let device = register.find(hashA, hashB);
    if (device < 0) device = presence.add(hashA, hashB, heardMs);
    if (device < 0) return device;
    if (!register.setName(device, stored.deviceId)) presence.overflowed = true;
    presence.noteHeard(device, heardMs);
    register.intervalMs[device] = stored.intervalMs;
    const before = register.silentAfterMs[device] as number;
    register.silentAfterMs[device] = stored.silentAfterMs;
    // A later deadline is found out when the earlier one comes.
    if (stored.silentAfterMs < before) presence.schedule(device);
    metadata.take(device, stored);
    return device;
  }
}
