import type { ChangeDetail } from "../../contract/fleet.ts";
import { hashDeviceId } from "../../contract/row.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import { type DeviceListener, receiptMs } from "../live-view/device-table.ts";
import { windowSeconds } from "../live-view/live-window.ts";
import type { Roll } from "./census.ts";
import { unknownIntervalMs } from "./device-query.ts";
import { DeviceRegister, type Profile } from "./device-register.ts";
import type { FleetHistory, FleetStore, StoredDevice } from "./fleet-store.ts";
import { decodeMetadata } from "./metadata-text.ts";
import { RecentCount } from "./recent-count.ts";
import { TimingWheel } from "./timing-wheel.ts";

export type DeviceChangeKind = "silent" | "online" | "new" | "metadata";

/** What happened to one device. */
export interface DeviceChange {
  readonly kind: DeviceChangeKind;
  /** Epoch milliseconds. */
  readonly atMs: number;
  readonly deviceId: string;
  readonly detail: ChangeDetail;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface FleetTotals {
  readonly online: number;
  readonly silent: number;
  readonly became_silent: number;
  readonly new_devices: number;
}

/** A device as the fleet knows it now. */
export interface FleetDevice {
  readonly deviceId: string;
  readonly silent: boolean;
  /** Epoch milliseconds; null while it is online. */
  readonly silentSinceMs: number | null;
  /** Epoch milliseconds of its newest receipt. */
  readonly heardMs: number;
  /** Null while too little is known of it. */
  readonly intervalMs: number | null;
  readonly silentAfterMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface FleetDeps {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonicNow: () => number;
  readonly receipts: () => Aggregator["receipts"];
  readonly store: FleetStore;
  /** Devices can deliver: while they cannot, their silence is ours. */
  readonly accepting: () => boolean;
  /**
   * With several instances: the age of the oldest row that is accepted and not stored, of any of them. Their devices are known
   * from ClickHouse only, so silence is judged as of the last look at it, less this.
   */
  readonly storeLagMs?: () => number;
  readonly onChanges: (changes: readonly DeviceChange[]) => void;
  readonly onError: (error: unknown) => void;
}

export interface FleetOptions {
  /** Default: `registerMax`. */
  readonly devicesMax?: number;
  /** How often ClickHouse is asked for what has changed, at least. */
  readonly refreshMs?: number;
}

export interface Fleet {
  /** For the aggregator, which sees every event. */
  readonly listener: DeviceListener;
  /** From here on devices can deliver. */
  open(): void;
  /** Finds who has fallen silent, and starts queries that are due. True when the totals differ from those at the last call. */
  tick(): boolean;
  /** Null until ClickHouse has told which devices there are. */
  readonly totals: FleetTotals | null;
  find(deviceId: string): FleetDevice | null;
  /** Every device whose name is known. */
  forEach(visit: (device: FleetDevice) => void): void;
  /** The devices for counting; null until they are known. */
  readonly roll: Roll | null;
  /** How many devices have this value, or there are when no key is given. */
  groupSize(group: { readonly key: string; readonly value: string } | null): number;
  /** Keys of metadata that differ from event to event. */
  readonly volatileKeys: ReadonlySet<string>;
  readonly stats: { readonly devices: number; readonly overflowed: boolean; readonly refreshes: number };
  stop(): void;
}

const refreshMs = 2_000;
const retryMs = 1_000;
/** A refresh may take this share of the time, as long as it comes every so often. */
const refreshShare = 0.04;
const refreshMaxMs = 10_000;
/** With several instances: reports of what is stored are this old at most. */
const reportMarginMs = 1_000;
/** What was received shortly before a query may be stored after it. */
const overlapMs = 15_000;
/** A thread that was away for longer than this has not heard what came meanwhile. */
const pauseMs = 2_000;
/** Devices first heard of longer ago than this when the service starts are not announced. */
const announceNewMs = 3_600_000;

/**
 * The state of the fleet: which devices there are, when each was last heard, who is silent. It rests on three things: receipts
 * of this process (the device table of the live view notes them, an event costs nothing here), a timing wheel with the moment
 * at which each device will have been silent for too long, and ClickHouse, which knows names, intervals, metadata, and the
 * devices of other instances.
 *
 * Time in which devices could not deliver is not silence: before `open`, while `accepting` says no, and while this thread
 * itself stood still, the floor rises, and nobody is silent sooner than their time after it.
 */
export function createFleet(deps: FleetDeps, options: FleetOptions = {}): Fleet {
  return new FleetState(deps, options);
}

class FleetState implements Fleet {
  readonly #deps: FleetDeps;
  readonly #options: FleetOptions;
  readonly #register: DeviceRegister;
  readonly #wheel: TimingWheel;
  readonly #becameSilent = new RecentCount(windowSeconds);
  readonly #newDevices = new RecentCount(windowSeconds);
  /** What a device's metadata would become if the next look at it agrees. */
  readonly #candidates = new Map<number, string>();
  #changes: DeviceChange[] = [];
  #silent = 0;
  /** No device counts as silent before its time after this; infinity: not open yet. */
  #floorMs = Number.POSITIVE_INFINITY;
  #tickedMs = 0;
  #phase: "unknown" | "loaded" = "unknown";
  #refreshing = false;
  #nextRefreshMs = 0;
  #sinceMs: number | null = null;
  #volatileKeys: ReadonlySet<string> = new Set();
  #volatileKnown = false;
  #nextSampleMs = 0;
  #overflowed = false;
  #refreshes = 0;
  /** With several instances: up to when what all of them heard is known here, on the clock that is never set. */
  #knownMs = Number.NEGATIVE_INFINITY;
  #stopped = false;
  #shown = "";

  readonly listener: DeviceListener = {
    heard: (hashA, hashB) => this.#heard(hashA, hashB),
    left: (hashA, hashB, receipt) => {
      const device = this.#register.find(hashA, hashB);
      if (device >= 0) this.#noteHeard(device, receiptMs(receipt));
    },
  };

  readonly #roll: Roll;

  constructor(deps: FleetDeps, options: FleetOptions) {
    this.#deps = deps;
    this.#options = options;
    const register = new DeviceRegister(options.devicesMax);
    this.#register = register;
    this.#roll = {
      get size() {
        return register.size;
      },
      name: (device) => register.name(device),
      profile: (device) => register.profile(device),
      isSilent: (device) => register.silent[device] === 1,
    };
    this.#wheel = new TimingWheel(deps.monotonicNow());
    this.#tickedMs = deps.monotonicNow();
  }

  get totals(): FleetTotals | null {
    if (this.#phase !== "loaded") return null;
    const nowSecond = Math.floor(this.#deps.now() / 1000);
    return {
      online: this.#register.size - this.#silent,
      silent: this.#silent,
      became_silent: this.#becameSilent.at(nowSecond),
      new_devices: this.#newDevices.at(nowSecond),
    };
  }

  get roll(): Roll | null {
    return this.#phase === "loaded" ? this.#roll : null;
  }

  get volatileKeys(): ReadonlySet<string> {
    return this.#volatileKeys;
  }

  get stats(): Fleet["stats"] {
    return { devices: this.#register.size, overflowed: this.#overflowed, refreshes: this.#refreshes };
  }

  open(): void {
    this.#floorMs = this.#deps.monotonicNow();
    this.#tickedMs = this.#floorMs;
  }

  tick(): boolean {
    const nowMs = this.#deps.monotonicNow();
    if (this.#floorMs !== Number.POSITIVE_INFINITY) {
      if (nowMs - this.#tickedMs > pauseMs || !this.#deps.accepting()) this.#floorMs = nowMs;
      this.#tickedMs = nowMs;
      if (this.#phase === "loaded") this.#findSilent(nowMs);
    }
    if (!this.#stopped && !this.#refreshing && nowMs >= this.#nextRefreshMs) {
      this.#refresh(nowMs).catch(this.#deps.onError);
    }
    if (this.#changes.length > 0) {
      const changes = this.#changes;
      this.#changes = [];
      this.#deps.onChanges(changes);
    }
    const shown = JSON.stringify(this.totals);
    const changed = shown !== this.#shown;
    this.#shown = shown;
    return changed;
  }

  find(deviceId: string): FleetDevice | null {
    const device = this.#register.find(...hashDeviceId(deviceId));
    return device < 0 ? null : this.#describe(device, deviceId);
  }

  forEach(visit: (device: FleetDevice) => void): void {
    for (let device = 0; device < this.#register.size; device++) {
      const name = this.#register.name(device);
      if (name !== null) visit(this.#describe(device, name));
    }
  }

  groupSize(group: { readonly key: string; readonly value: string } | null): number {
    return group === null ? this.#register.size : this.#register.countWith(group.key, group.value);
  }

  stop(): void {
    this.#stopped = true;
  }

  #describe(device: number, deviceId: string): FleetDevice {
    const register = this.#register;
    const silent = register.silent[device] === 1;
    const interval = register.intervalMs[device] as number;
    return {
      deviceId,
      silent,
      silentSinceMs: silent ? (register.silentSinceMs[device] as number) : null,
      heardMs: this.#wallOf(this.#lastHeardMs(device)),
      intervalMs: Number.isNaN(interval) ? null : interval,
      silentAfterMs: register.silentAfterMs[device] as number,
      metadata: register.profile(device)?.metadata ?? {},
    };
  }

  /** The first event of a device since it entered the table, since the start, or since it fell silent. */
  #heard(hashA: number, hashB: number): void {
    const nowMs = this.#deps.monotonicNow();
    let device = this.#register.find(hashA, hashB);
    if (device < 0) {
      device = this.#add(hashA, hashB, nowMs);
      if (device < 0) return;
      // Before the fleet is known, who is new is not.
      if (this.#phase === "loaded") this.#markNew(device);
    }
    this.#noteHeard(device, nowMs);
    if (this.#register.silent[device] === 1) this.#comeBack(device, this.#deps.now());
  }

  #add(hashA: number, hashB: number, heardMs: number): number {
    const device = this.#register.add(hashA, hashB);
    if (device < 0) {
      this.#overflowed = true;
      return device;
    }
    this.#register.silentAfterMs[device] = 2 * unknownIntervalMs + 1_000;
    this.#register.heardMs[device] = heardMs;
    this.#schedule(device);
    return device;
  }

  #markNew(device: number): void {
    this.#register.isNew[device] = 1;
    this.#newDevices.add(Math.floor(this.#deps.now() / 1000), 1);
  }

  #noteHeard(device: number, atMs: number): void {
    const { heardMs } = this.#register;
    if (atMs > (heardMs[device] as number)) heardMs[device] = atMs;
  }

  #lastHeardMs(device: number): number {
    const { hashA, hashB } = this.#hashes(device);
    const receipt = this.#deps.receipts().receipt(hashA, hashB);
    const known = this.#register.heardMs[device] as number;
    return receipt === 0 ? known : Math.max(known, receiptMs(receipt));
  }

  #hashes(device: number): { hashA: number; hashB: number } {
    return { hashA: this.#register.hashA(device), hashB: this.#register.hashB(device) };
  }

  #wallOf(monotonicMs: number): number {
    return this.#deps.now() - (this.#deps.monotonicNow() - monotonicMs);
  }

  #monotonicOf(wallMs: number): number {
    return this.#deps.monotonicNow() - (this.#deps.now() - wallMs);
  }

  #deadlineMs(device: number): number {
    const floorMs = this.#floorMs === Number.POSITIVE_INFINITY ? this.#deps.monotonicNow() : this.#floorMs;
    return Math.max(this.#lastHeardMs(device), floorMs) + (this.#register.silentAfterMs[device] as number);
  }

  #schedule(device: number): void {
    if (this.#register.silent[device] === 0) this.#wheel.set(device, this.#deadlineMs(device));
  }

  #findSilent(nowMs: number): void {
    const judgedMs = this.#deps.storeLagMs === undefined ? nowMs : Math.min(nowMs, this.#knownMs);
    this.#wheel.advance(judgedMs, (device) => {
      const deadlineMs = this.#deadlineMs(device);
      if (deadlineMs > judgedMs) this.#wheel.set(device, deadlineMs);
      else this.#fallSilent(device, deadlineMs);
    });
  }

  #fallSilent(device: number, deadlineMs: number): void {
    const register = this.#register;
    const { hashA, hashB } = this.#hashes(device);
    const heardMs = this.#lastHeardMs(device);
    this.#noteHeard(device, heardMs);
    // The next event is told at once.
    this.#deps.receipts().forget(hashA, hashB);
    const atMs = Math.round(this.#wallOf(deadlineMs));
    register.silent[device] = 1;
    register.silentSinceMs[device] = atMs;
    this.#silent++;
    this.#becameSilent.add(Math.floor(this.#deps.now() / 1000), 1);
    const interval = register.intervalMs[device] as number;
    this.#announce(device, "silent", atMs, {
      last_seen: new Date(this.#wallOf(heardMs)).toISOString(),
      interval_seconds: Number.isNaN(interval) ? null : interval / 1000,
    });
  }

  #comeBack(device: number, atMs: number): void {
    const register = this.#register;
    register.silent[device] = 0;
    this.#silent--;
    const silentMs = Math.max(0, atMs - (register.silentSinceMs[device] as number));
    this.#announce(device, "online", atMs, { silent_seconds: Math.round(silentMs) / 1000 });
    this.#schedule(device);
  }

  /** A device without a name has never been stored, and is announced as new when it is. */
  #announce(device: number, kind: DeviceChangeKind, atMs: number, detail: ChangeDetail): void {
    const deviceId = this.#register.name(device);
    if (deviceId === null) return;
    const metadata = this.#register.profile(device)?.metadata ?? {};
    this.#changes.push({ kind, atMs: Math.round(atMs), deviceId, detail, metadata });
  }

  async #refresh(startedMs: number): Promise<void> {
    this.#refreshing = true;
    this.#nextRefreshMs = startedMs + retryMs;
    try {
      if (this.#phase === "loaded") await this.#look(startedMs);
      else await this.#load();
    } finally {
      this.#refreshing = false;
    }
  }

  /** The whole fleet, and what was said of it before this process began. */
  async #load(): Promise<void> {
    const { store } = this.#deps;
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
    for (const [second, count] of history.becameSilent) this.#becameSilent.add(second, count);
    for (const [second, count] of history.newDevices) this.#newDevices.add(second, count);
    // Heard since the start, and not in ClickHouse: never before.
    for (let device = 0; device < this.#register.size; device++) if (!seen.has(device)) this.#markNew(device);
    this.#phase = "loaded";
    this.#sinceMs = nowMs - overlapMs;
    this.#nextRefreshMs = 0;
  }

  #restore(device: number, stored: StoredDevice, history: FleetHistory, nowMs: number): void {
    const register = this.#register;
    const { hashA, hashB } = this.#hashes(device);
    const heardHere = this.#deps.receipts().receipt(hashA, hashB) !== 0;
    const overdue = nowMs - stored.heardMs > stored.silentAfterMs;
    // Without any history this is the first start with one: who is silent since long ago is not news.
    const silentSinceMs =
      history.silent.get(stored.deviceId) ??
      (history.empty && overdue ? stored.heardMs + stored.silentAfterMs : undefined);
    if (silentSinceMs !== undefined && register.silent[device] === 0) {
      register.silent[device] = 1;
      register.silentSinceMs[device] = silentSinceMs;
      this.#silent++;
      this.#wheel.clear(device);
      if (heardHere) this.#comeBack(device, this.#deps.now());
      else if (stored.heardMs > silentSinceMs) this.#comeBack(device, stored.heardMs);
    }
    const isRecent = stored.firstHeardMs > nowMs - announceNewMs;
    if (isRecent && !history.recentlyNew.has(stored.deviceId)) {
      this.#announce(device, "new", stored.firstHeardMs, {});
      this.#newDevices.add(Math.floor(stored.firstHeardMs / 1000), 1);
    }
  }

  /** What has changed since the last look. */
  async #look(startedMs: number): Promise<void> {
    const { store } = this.#deps;
    const askedMs = this.#deps.now();
    const knownMs = startedMs - (this.#deps.storeLagMs?.() ?? 0) - reportMarginMs;
    const sampled = startedMs >= this.#nextSampleMs ? await store.volatileKeys(askedMs) : null;
    if (sampled?.ok) this.#takeVolatileKeys(sampled.keys, sampled.devices, startedMs);
    const outcome = await store.devices(this.#sinceMs, (stored) => {
      const known = this.#register.size;
      const device = this.#takeIn(stored);
      if (device < 0) return;
      if (device >= known) this.#markNew(device);
      if (this.#register.isNew[device] === 1) {
        this.#register.isNew[device] = 0;
        this.#announce(device, "new", stored.firstHeardMs > 0 ? stored.firstHeardMs : askedMs, {});
      }
      // Heard by another instance, or in a batch of an earlier run.
      const isSilent = this.#register.silent[device] === 1;
      if (isSilent && stored.heardMs > (this.#register.silentSinceMs[device] as number)) {
        this.#comeBack(device, stored.heardMs);
      }
    });
    if (!outcome.ok || this.#stopped) return;
    this.#refreshes++;
    this.#knownMs = knownMs;
    this.#sinceMs = askedMs - overlapMs;
    const tookMs = this.#deps.monotonicNow() - startedMs;
    const restMs = Math.min(refreshMaxMs, tookMs / refreshShare);
    this.#nextRefreshMs = startedMs + Math.max(this.#options.refreshMs ?? refreshMs, restMs);
  }

  /** Name, times, interval and metadata of a device as ClickHouse has them; none when there is no room for it. */
  #takeIn(stored: StoredDevice): number {
    const register = this.#register;
    const [hashA, hashB] = hashDeviceId(stored.deviceId);
    const heardMs = this.#monotonicOf(stored.heardMs);
    let device = register.find(hashA, hashB);
    if (device < 0) device = this.#add(hashA, hashB, heardMs);
    if (device < 0) return device;
    if (!register.setName(device, stored.deviceId)) this.#overflowed = true;
    this.#noteHeard(device, heardMs);
    register.intervalMs[device] = stored.intervalMs;
    const before = register.silentAfterMs[device] as number;
    register.silentAfterMs[device] = stored.silentAfterMs;
    // A later deadline is found out when the earlier one comes.
    if (stored.silentAfterMs < before) this.#schedule(device);
    this.#takeMetadata(device, stored);
    return device;
  }

  /** Metadata changes when two looks agree on it: a key that differs from event to event seldom says the same thing twice. */
  #takeMetadata(device: number, stored: StoredDevice): void {
    const decoded = decodeMetadata(stored.metadataText);
    if (decoded === null) return;
    const metadata: Record<string, string> = {};
    for (const [key, value] of Object.entries(decoded)) if (!this.#volatileKeys.has(key)) metadata[key] = value;
    const profile = this.#register.profile(device);
    const changed = profile === null ? null : differences(profile, metadata);
    if (changed === null || !this.#volatileKnown) {
      this.#candidates.delete(device);
      if (changed === null && profile !== null && hasAll(profile, metadata)) return;
      this.#register.setProfile(device, profile === null ? metadata : { ...profile.metadata, ...metadata });
      return;
    }
    const text = JSON.stringify(changed);
    if (this.#candidates.get(device) !== text) {
      this.#candidates.set(device, text);
      return;
    }
    this.#candidates.delete(device);
    this.#register.setProfile(device, { ...profile?.metadata, ...metadata });
    this.#announce(device, "metadata", stored.heardMs, { changed });
  }

  #takeVolatileKeys(keys: ReadonlySet<string>, devices: number, nowMs: number): void {
    const before = this.#volatileKeys;
    this.#volatileKeys = keys;
    // Nothing to tell by yet: soon again.
    this.#nextSampleMs = nowMs + (devices === 0 ? sampleRetryMs : sampleMs);
    this.#volatileKnown ||= devices > 0;
    if (before.size === keys.size && [...keys].every((key) => before.has(key))) return;
    this.#candidates.clear();
    for (let device = 0; device < this.#register.size; device++) {
      const profile = this.#register.profile(device);
      if (profile === null || !Object.keys(profile.metadata).some((key) => keys.has(key))) continue;
      const kept = Object.entries(profile.metadata).filter(([key]) => !keys.has(key));
      this.#register.setProfile(device, Object.fromEntries(kept));
    }
  }
}

/** How often events are looked at for keys that differ from one to the next. */
const sampleMs = 120_000;
const sampleRetryMs = 5_000;

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
