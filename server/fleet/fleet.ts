import { hashDeviceId } from "../../contract/row.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import type { DeviceListener } from "../live-view/device-table.ts";
import type { Roll } from "./census.ts";
import { FleetRefresher } from "./fleet-refresher.ts";
import type { FleetStore } from "./fleet-store.ts";
import { MetadataWatch } from "./metadata-watch.ts";
import { type DeviceChange, Presence } from "./presence.ts";

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

/**
 * The state of the fleet: which devices there are, when each was last heard, who is silent. It rests on what this process
 * hears (`Presence`), and on ClickHouse (`FleetRefresher`), which knows names, intervals, metadata, and the devices of
 * other instances.
 */
export function createFleet(deps: FleetDeps, options: FleetOptions = {}): Fleet {
  return new FleetState(deps, options);
}

class FleetState implements Fleet {
  readonly #deps: FleetDeps;
  readonly #presence: Presence;
  readonly #metadata: MetadataWatch;
  readonly #refresher: FleetRefresher;
  readonly #roll: Roll;
  #shown = "";
  readonly listener: DeviceListener;

  constructor(deps: FleetDeps, options: FleetOptions) {
    this.#deps = deps;
    const presence = new Presence(deps, options.devicesMax);
    this.#presence = presence;
    this.#metadata = new MetadataWatch(presence);
    this.#refresher = new FleetRefresher(
      { ...deps, presence, metadata: this.#metadata },
      options.refreshMs ?? refreshMs,
    );
    const { register } = presence;
    this.#roll = {
      get size() {
        return register.size;
      },
      name: (device) => register.name(device),
      profile: (device) => register.profile(device),
      isSilent: (device) => register.silent[device] === 1,
    };
    this.listener = {
      heard: (hashA, hashB) => presence.heard(hashA, hashB),
      left: (hashA, hashB, receipt) => presence.left(hashA, hashB, receipt),
    };
  }

  get totals(): FleetTotals | null {
    const { isComplete, register, silent, becameSilent, newDevices } = this.#presence;
    if (!isComplete) return null;
    const nowSecond = Math.floor(this.#deps.now() / 1000);
    return {
      online: register.size - silent,
      silent,
      became_silent: becameSilent.at(nowSecond),
      new_devices: newDevices.at(nowSecond),
    };
  }

  get roll(): Roll | null {
    return this.#presence.isComplete ? this.#roll : null;
  }

  get volatileKeys(): ReadonlySet<string> {
    return this.#metadata.volatileKeys;
  }

  get stats(): Fleet["stats"] {
    const { register, overflowed } = this.#presence;
    return { devices: register.size, overflowed, refreshes: this.#refresher.refreshes };
  }

  open(): void {
    this.#presence.open();
  }

  tick(): boolean {
    const nowMs = this.#deps.monotonicNow();
    const presence = this.#presence;
    if (presence.isOpen) {
      presence.tick(nowMs, this.#deps.accepting());
      const isShared = this.#deps.storeLagMs !== undefined;
      if (presence.isComplete) presence.judge(isShared ? Math.min(nowMs, this.#refresher.knownMs) : nowMs);
    }
    if (this.#refresher.isDue(nowMs)) this.#refresher.refresh(nowMs).catch(this.#deps.onError);
    const changes = presence.takeChanges();
    if (changes.length > 0) this.#deps.onChanges(changes);
    const shown = JSON.stringify(this.totals);
    const changed = shown !== this.#shown;
    this.#shown = shown;
    return changed;
  }

  find(deviceId: string): FleetDevice | null {
    const device = this.#presence.register.find(...hashDeviceId(deviceId));
    return device < 0 ? null : this.#describe(device, deviceId);
  }

  forEach(visit: (device: FleetDevice) => void): void {
    const { register } = this.#presence;
    for (let device = 0; device < register.size; device++) {
      const name = register.name(device);
      if (name !== null) visit(this.#describe(device, name));
    }
  }

  groupSize(group: { readonly key: string; readonly value: string } | null): number {
    const { register } = this.#presence;
    return group === null ? register.size : register.countWith(group.key, group.value);
  }

  stop(): void {
    this.#refresher.stop();
  }

  #describe(device: number, deviceId: string): FleetDevice {
    const register = this.#presence.register;
    const silent = register.silent[device] === 1;
    const interval = register.intervalMs[device] as number;
    return {
      deviceId,
      silent,
      silentSinceMs: silent ? (register.silentSinceMs[device] as number) : null,
      heardMs: this.#presence.wallOf(this.#presence.lastHeardMs(device)),
      intervalMs: Number.isNaN(interval) ? null : interval,
      silentAfterMs: register.silentAfterMs[device] as number,
      metadata: register.profile(device)?.metadata ?? {},
    };
  }
}
