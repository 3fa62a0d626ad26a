import type { Change } from "../../../contract/fleet.ts";
import type { Device } from "../../../contract/read.ts";

export type Availability = "online" | "silent" | "unknown";

export interface AvailabilitySpan {
  state: Availability;
  /** Shares of the range, 0 to 1. */
  from: number;
  to: number;
}

interface Range {
  fromMs: number;
  toMs: number;
  /** Before this, transitions are not known. */
  knownFromMs: number;
}

/**
 * What a device was over a range, from what it is now and its transitions back in time. Before its first event, and before
 * the transitions that are known begin, nobody knows.
 */
export function availabilityOf(device: Device, transitions: readonly Change[], range: Range): AvailabilitySpan[] {
  const { fromMs, toMs } = range;
  const startMs = Math.max(fromMs, range.knownFromMs, Math.min(toMs, Date.parse(device.first_seen)));
  const share = (timeMs: number): number => (timeMs - fromMs) / (toMs - fromMs);
  const spans: AvailabilitySpan[] = [];
  let state: Availability = device.status;
  let endMs = toMs;
  const newestFirst = transitions
    .filter(({ kind }) => kind === "silent" || kind === "online")
    .map(({ at, kind }) => ({ atMs: Date.parse(at), kind }))
    .sort((a, b) => b.atMs - a.atMs);
  for (const { atMs, kind } of newestFirst) {
    if (atMs <= startMs) break;
    if (atMs >= endMs) continue;
    spans.unshift({ state, from: share(atMs), to: share(endMs) });
    state = kind === "silent" ? "online" : "silent";
    endMs = atMs;
  }
  if (endMs > startMs) spans.unshift({ state, from: share(startMs), to: share(endMs) });
  if (startMs > fromMs) spans.unshift({ state: "unknown", from: 0, to: share(startMs) });
  return spans;
}

/** The share of the known time that a device was online; undefined when nothing is known. */
export function onlineShare(spans: readonly AvailabilitySpan[]): number | undefined {
  const length = (state: Availability): number =>
    spans.reduce((sum, span) => sum + (span.state === state ? span.to - span.from : 0), 0);
  const known = length("online") + length("silent");
  return known > 0 ? length("online") / known : undefined;
}
