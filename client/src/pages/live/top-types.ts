import { type Accessor, createMemo } from "solid-js";
import { createSlotKeeper, seriesMax } from "../../charts/palette.ts";
import type { Live } from "../../live/live.ts";
import type { ShownFleet } from "./shown-fleet.ts";

/** A type outside takes the place of one inside only when it has this much more: types that tie would swap for ever. */
const leadShare = 1.1;

interface Counted {
  type: string;
  count: number;
}

/** The types of the chart: those that are in stay while they can, a newcomer must lead clearly. */
export function chooseTypes(all: readonly Counted[], held: ReadonlySet<string>, max: number): string[] {
  const order = [...all].sort((a, b) => b.count - a.count || (a.type < b.type ? -1 : 1));
  const chosen = order.filter(({ type }) => held.has(type)).slice(0, max);
  for (const candidate of order) {
    if (chosen.includes(candidate)) continue;
    if (chosen.length < max) {
      chosen.push(candidate);
      continue;
    }
    const last = chosen.reduce((least, each) => (each.count < least.count ? each : least));
    if (candidate.count < last.count * leadShare) break;
    chosen.splice(chosen.indexOf(last), 1, candidate);
  }
  return chosen.map(({ type }) => type);
}

/** The types that have a line of their own on the live chart, with their colours; changes only when the set does. */
export function createTopTypes(
  live: Pick<Live, "mode" | "nowMs">,
  fleet: ShownFleet,
  hovered: Accessor<boolean>,
): Accessor<Map<string, number>> {
  const keeper = createSlotKeeper();
  return createMemo<Map<string, number>>((previous) => {
    const rows = fleet.rows();
    live.nowMs();
    // A line that goes away under the pointer cannot be read.
    if (previous.size > 0 && (live.mode() === "pause" || hovered())) return previous;
    const all = rows.map((row) => ({ type: row.type, count: row.latest().event_count }));
    const wanted = chooseTypes(all, new Set(previous.keys()), seriesMax);
    if (wanted.length === previous.size && wanted.every((type) => previous.has(type))) return previous;
    return keeper.assign(wanted);
  }, new Map());
}
