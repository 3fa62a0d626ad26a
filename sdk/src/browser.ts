/** The device client for browsers: the same, with the spool in memory. */
import { createDeviceOn, type Device, type DeviceOptions } from "./device.ts";
import { createMemoryStore } from "./spool.ts";

export type { Device, DeviceOptions, DeviceReports, DeviceStats } from "./device.ts";
export type { DeviceEvent } from "./event.ts";
export type { EventFault } from "./request.ts";

export function createDevice(options: DeviceOptions): Device {
  if (options.spool !== undefined && options.spool !== null) {
    throw new TypeError("spool must be null in a browser, which has no directories");
  }
  return createDeviceOn(createMemoryStore, 16 * 1024 * 1024, options);
}
