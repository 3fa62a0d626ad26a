import { hashDeviceId, RowBinaryReader } from "../../contract/row.ts";
import type { DeviceTable } from "./device-table.ts";
import type { LiveView } from "./live-view.ts";

/** What ClickHouse says of devices. */
export interface DeviceQueries {
  /** Runs `buildDevicesQuery(fromSecond, limit)`. Without it only the devices that this process saw count. */
  queryDevices?(fromSecond: number, limit: number): Promise<{ ok: true; body: Uint8Array } | { ok: false }>;
  /** Runs `buildDeviceCountQuery(fromSecond)`; asked only when the device table is full. Null: not known now. */
  countDevices?(fromSecond: number): Promise<number | null>;
}

export interface DeviceRefresherDeps {
  readonly queries: DeviceQueries;
  /** Its window and its devices may be other ones after a pause. */
  readonly view: Pick<LiveView, "window" | "devices" | "changed" | "advance">;
  readonly pause: () => Promise<void>;
}

export interface DeviceRefresherOptions {
  readonly devicesMax: number;
  readonly refreshMs: number;
}

/** After a failed query, and while the table is full. */
const retryMs = 5_000;
/** Devices taken in before other work has its turn: 1 to 2 ms. */
const sliceDevices = 4096;

/** Brings the devices of the window in from ClickHouse: at the start, and for those of other instances. */
export class DeviceRefresher {
  readonly #deps: DeviceRefresherDeps;
  readonly #options: DeviceRefresherOptions;
  #asking = false;
  #nextMs = 0;
  #stopped = false;
  /** How many there are, while the table is too small for them; else null. */
  estimate: number | null = null;

  constructor(deps: DeviceRefresherDeps, options: DeviceRefresherOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  isDue(nowMs: number): boolean {
    return !this.#stopped && !this.#asking && nowMs >= this.#nextMs;
  }

  /** The window is another one: it is asked for at once. */
  reset(): void {
    this.#nextMs = 0;
  }

  stop(): void {
    this.#stopped = true;
  }

  async refresh(nowMs: number): Promise<void> {
    const { queryDevices } = this.#deps.queries;
    if (!queryDevices) {
      this.#nextMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.#asking = true;
    this.#nextMs = nowMs + retryMs;
    try {
      if (await this.#isTooMany()) return;
      const { fromSecond, devices } = this.#present();
      // Those that are left out from here on raise it again.
      devices.overflowed = false;
      const limit = this.#options.devicesMax;
      const answer = await queryDevices(fromSecond, limit + 1);
      if (this.#stopped || !answer.ok) return;
      const active = devices.active;
      const complete = (await this.#seed(devices, answer.body)) <= limit && !devices.overflowed;
      if (complete) {
        this.estimate = null;
        this.#nextMs = nowMs + this.#options.refreshMs;
      } else {
        devices.overflowed = true;
      }
      if (devices.active !== active) this.#deps.view.changed = true;
    } finally {
      this.#asking = false;
    }
  }

  /** A table that was too small is asked for again only once they fit. */
  async #isTooMany(): Promise<boolean> {
    const { countDevices } = this.#deps.queries;
    const { fromSecond, devices } = this.#present();
    if (!countDevices || (!devices.overflowed && this.estimate === null)) return false;
    const count = await countDevices(fromSecond);
    if (this.#stopped || count === null) return true;
    if (count <= this.#options.devicesMax) return false;
    if (count !== this.estimate) this.#deps.view.changed = true;
    this.estimate = count;
    return true;
  }

  /** The window of this moment. */
  #present() {
    const { view } = this.#deps;
    view.advance();
    const { fromSecond, toSecond } = view.window;
    return { fromSecond, toSecond, devices: view.devices };
  }

  async #seed(devices: DeviceTable, body: Uint8Array): Promise<number> {
    const reader = new RowBinaryReader(body);
    let count = 0;
    while (!reader.done && !this.#stopped) {
      const { toSecond } = this.#present();
      for (let slice = 0; slice < sliceDevices && !reader.done; slice++) {
        const [hashA, hashB] = hashDeviceId(reader.string());
        devices.observe(hashA, hashB, Math.min(reader.uint32(), toSecond));
        count++;
      }
      if (!reader.done) await this.#deps.pause();
    }
    return count;
  }
}
