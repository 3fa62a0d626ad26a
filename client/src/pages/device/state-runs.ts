import type { StoredEvent } from "../../../../contract/event.ts";

/** A stretch of time in which a text stayed the same, in epoch milliseconds. */
export interface StateRun {
  value: string;
  fromMs: number;
  toMs: number;
}

type TextEvent = Pick<StoredEvent, "timestamp" | "value_string">;

/**
 * The states of a text series over a range, from its events in any order. A state holds until the next event says otherwise,
 * and the newest one until `toMs`.
 */
export function stateRuns(events: readonly TextEvent[], fromMs: number, toMs: number): StateRun[] {
  const runs: StateRun[] = [];
  const ordered = events
    .map(({ timestamp, value_string }) => ({ atMs: Date.parse(timestamp), value: value_string }))
    .filter((event): event is { atMs: number; value: string } => event.value !== null && event.atMs < toMs)
    .sort((a, b) => a.atMs - b.atMs);
  for (const { atMs, value } of ordered) {
    const last = runs.at(-1);
    if (last?.value === value) continue;
    if (last) last.toMs = atMs;
    runs.push({ value, fromMs: atMs, toMs });
  }
  return runs.filter((run) => run.toMs > fromMs).map((run) => ({ ...run, fromMs: Math.max(run.fromMs, fromMs) }));
}
