import type { Device } from "../../../../contract/read.ts";
import { csvLine } from "../../ui/csv.ts";
import type { DeviceColumn } from "./device-columns.ts";

/** The list as a file: the device, then the columns that are shown. */
export function devicesCsv(devices: readonly Device[], columns: readonly DeviceColumn[]): string {
  const filled = columns.filter(({ name }) => name !== "availability");
  return [
    csvLine(["device_id", ...filled.map(({ name }) => name)]),
    ...devices.map((device) => csvLine([device.device_id, ...filled.map((column) => column.csv(device))])),
    "",
  ].join("\r\n");
}
