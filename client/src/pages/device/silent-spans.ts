import type { Change } from "../../../../contract/fleet.ts";
import type { Device } from "../../../../contract/read.ts";
import { availabilityOf } from "../../charts/availability.ts";
import type { TimeSpan } from "../../charts/time-chart.ts";

/** When the device was silent within a range, for the shade behind its charts. */
export function silentSpans(device: Device, changes: readonly Change[], fromMs: number, toMs: number): TimeSpan[] {
  const second = (share: number): number => (fromMs + share * (toMs - fromMs)) / 1000;
  return availabilityOf(device, changes, { fromMs, toMs, knownFromMs: fromMs })
    .filter(({ state }) => state === "silent")
    .map(({ from, to }) => ({ fromSecond: second(from), toSecond: second(to) }));
}
