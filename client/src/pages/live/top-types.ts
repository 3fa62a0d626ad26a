import { type Accessor, createMemo } from "solid-js";
import { createSlotKeeper, seriesMax } from "../../charts/palette.ts";
import type { Live } from "../../live/live.ts";

/** The types that have a line of their own on the live chart, with their colours; changes only when the set does. */
export function createTopTypes(live: Live): Accessor<Map<string, number>> {
  const keeper = createSlotKeeper();
  return createMemo<Map<string, number>>((previous) => {
    const rows = live.rows();
    live.nowMs();
    if (live.mode() === "pause" && previous.size > 0) return previous;
    const wanted = [...rows].sort((a, b) => b.latest().event_count - a.latest().event_count).slice(0, seriesMax);
    if (wanted.length === previous.size && wanted.every((row) => previous.has(row.type))) return previous;
    return keeper.assign(wanted.map((row) => row.type));
  }, new Map());
}
