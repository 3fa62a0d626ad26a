/** The device client for Node and Bun. A browser gets `browser.ts` by the package's exports. */
import { createDeviceOn, type Device, type DeviceOptions } from "./device.ts";
import { openDirectory } from "./directory.ts";
import { createMemoryStore } from "./spool.ts";

export type { Device, DeviceOptions, DeviceReports, DeviceStats } from "./device.ts";
export type { DeviceEvent } from "./event.ts";
export type { EventFault } from "./request.ts";

const memoryMaxBytes = 16 * 1024 * 1024;
const diskMaxBytes = 64 * 1024 * 1024;

/**
 * A device that forgets nothing: events wait in a bounded spool, on disk or in memory, until the service has them.
 *
 * @example
 * const sluice = createDevice({ url: "https://sluice.example.org", key, deviceId: "boiler-7", spool: "./spool" });
 * sluice.send({ event_type: "temperature", value_float: 71.5 });
 * process.once("SIGTERM", () => sluice.close());
 */
export function createDevice(options: DeviceOptions): Device {
  const { spool } = options;
  return spool === undefined || spool === null
    ? createDeviceOn(createMemoryStore, memoryMaxBytes, options)
    : createDeviceOn(() => openDirectory(spool), diskMaxBytes, options);
}
