import type { AskPast } from "../backtest/past.ts";
import type { DeviceDirectory } from "./device-directory.ts";

/** Receipts this long before the last sign of life may have been in the journal, and in ClickHouse only after the start. */
const reachMs = 3_600_000;
/** Events may carry times of their own that lie so far from their receipt and are still found. */
const skewMs = 86_400_000;
const devicesMax = 1_000_000;

/**
 * A directory that also knows when devices were heard by an earlier run: what the journal held is stored after the fleet was read, so a
 * device that had just come back would look silent since before its return.
 */
export class HeardBefore implements DeviceDirectory {
  readonly #directory: DeviceDirectory;
  readonly #heard = new Map<string, number>();

  constructor(directory: DeviceDirectory) {
    this.#directory = directory;
  }

  /** Call once what the journal held is stored. */
  async read(ask: AskPast, startedMs: number, lastAliveMs: number): Promise<void> {
    const sinceMs = Math.min(startedMs, lastAliveMs) - reachMs;
    const reader = await ask(
      `SELECT device_id, toUnixTimestamp64Milli(max(received_at)) FROM telemetry_events
       WHERE timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC')
         AND received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
         AND received_at < fromUnixTimestamp64Milli({started:Int64}, 'UTC')
       GROUP BY device_id LIMIT {limit:UInt32}`,
      { oldest: sinceMs - skewMs, since: sinceMs, started: startedMs, limit: devicesMax },
      AbortSignal.timeout(30_000),
    );
    while (!reader.done) this.hear(reader.string(), reader.int64());
  }

  /** Heard now, of which the directory will know later. */
  hear(deviceId: string, atMs: number): void {
    const known = this.#heard.get(deviceId);
    if (known === undefined ? this.#heard.size < devicesMax : atMs > known) this.#heard.set(deviceId, atMs);
  }

  get isKnown(): boolean {
    return this.#directory.isKnown;
  }

  find(deviceId: string): ReturnType<DeviceDirectory["find"]> {
    const device = this.#directory.find(deviceId);
    const heardMs = this.#heard.get(deviceId);
    if (device === null || heardMs === undefined) return device;
    if (heardMs > device.heardMs) return { ...device, heardMs };
    // The fleet knows of something newer, and will from now on.
    this.#heard.delete(deviceId);
    return device;
  }

  forEach(visit: Parameters<DeviceDirectory["forEach"]>[0]): void {
    this.#directory.forEach(visit);
  }
}
