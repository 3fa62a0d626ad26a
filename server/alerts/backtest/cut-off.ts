import type { TextTest, ValueTest } from "../evaluation/compiled-rule.ts";
import type { PastRange } from "./event-queries.ts";
import type { PastEvent } from "./replay.ts";

/**
 * Devices of which cells do not tell enough: something beyond the threshold is the first or the last that was read of a stretch of
 * time, so what came before or after it lies further away than a cell, and an alarm would seem to begin or end at another time.
 */
export function devicesCutOff(
  test: ValueTest | TextTest,
  events: readonly PastEvent[],
  { fromMs, toMs, cellSeconds }: PastRange & { readonly cellSeconds: number },
): string[] {
  const cellMs = cellSeconds * 1000;
  const cellOf = (timeMs: number): number => Math.floor(timeMs / cellMs);
  const newest = new Map<string, PastEvent>();
  const cutOff = new Set<string>();
  for (const event of events) {
    const before = newest.get(event.deviceId);
    newest.set(event.deviceId, event);
    const begins = before === undefined || cellOf(event.timeMs) - cellOf(before.timeMs) > 1;
    if (!begins) continue;
    if (before !== undefined && isBeyond(test, before)) cutOff.add(event.deviceId);
    if (isBeyond(test, event) && cellOf(event.timeMs) > cellOf(fromMs)) cutOff.add(event.deviceId);
  }
  for (const [deviceId, event] of newest)
    if (isBeyond(test, event) && cellOf(event.timeMs) < cellOf(toMs)) cutOff.add(deviceId);
  return [...cutOff];
}

function isBeyond(test: ValueTest | TextTest, { value, text }: PastEvent): boolean {
  if (test.kind === "text") return text !== null && test.isBad(text);
  return value > test.thresholds.recoverAbove || value < test.thresholds.recoverBelow;
}
