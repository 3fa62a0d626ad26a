import type { StoredEvent } from "../../contract/event.ts";
import { limits } from "../../contract/limits.ts";
import { encodeDeviceEvent } from "./frames.ts";

interface Watched<T> {
  readonly watchers: Set<T>;
  /** When the newest events were sent, a ring: an event may go when the one `deviceEventsPerSecond` before is a second old. */
  readonly sentAt: Float64Array;
  next: number;
  skipped: number;
}

/** Which devices are followed, by whom, and how many of their events may pass. */
export class DeviceWatch<T> {
  readonly #devices = new Map<string, Watched<T>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#devices.size;
  }

  has(deviceId: string): boolean {
    return this.#devices.has(deviceId);
  }

  add(deviceId: string, watcher: T): void {
    let device = this.#devices.get(deviceId);
    if (!device) {
      device = {
        watchers: new Set(),
        sentAt: new Float64Array(limits.deviceEventsPerSecond).fill(Number.NEGATIVE_INFINITY),
        next: 0,
        skipped: 0,
      };
      this.#devices.set(deviceId, device);
    }
    device.watchers.add(watcher);
  }

  remove(deviceId: string, watcher: T): void {
    const device = this.#devices.get(deviceId);
    device?.watchers.delete(watcher);
    if (device?.watchers.size === 0) this.#devices.delete(deviceId);
  }

  /** Hands the event to every watcher, or counts it as skipped. Encoded once for all that missed nothing of their own. */
  offer(event: StoredEvent, send: (watcher: T, encode: (skipped: number) => Uint8Array) => void): void {
    const device = this.#devices.get(event.device_id);
    if (!device) return;
    const now = this.#now();
    const oldest = device.sentAt[device.next] as number;
    // A clock set back counts as a second gone by.
    if (now >= oldest && now - oldest < 1000) {
      device.skipped++;
      return;
    }
    device.sentAt[device.next] = now;
    device.next = (device.next + 1) % device.sentAt.length;
    const { skipped } = device;
    device.skipped = 0;
    let shared: Uint8Array | null = null;
    const encode = (own: number): Uint8Array => {
      if (own > 0) return encodeDeviceEvent(event, skipped + own);
      shared ??= encodeDeviceEvent(event, skipped);
      return shared;
    };
    for (const watcher of device.watchers) send(watcher, encode);
  }
}
