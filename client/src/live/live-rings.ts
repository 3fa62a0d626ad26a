import type { History } from "../../../contract/read.ts";
import type { Update } from "../../../contract/stream.ts";
import type { ApiResult, Query } from "../api/api.ts";
import { createRings, type Rings } from "./rings.ts";
import { historyRates } from "./update.ts";

/** Live charts reach this far back; the server's window is as long. */
export const liveSeconds = 600;
/** The ring's name for the sum of all types; no event type can be empty. */
export const totalName = "";
/** The most series that /api/history answers. */
const historySeriesMax = 50;
/** Where a service does not say up to when all is stored: this, and what it says of its write delay. */
const storeLagSeconds = 3;
/** Lines that are kept for an offline reload: the largest types only. */
const keptTypes = 8;

/**
 * The stream's rate is a mean of ten seconds, so finer steps would show nothing more; and some 1,000 points in all,
 * whatever the number of types, are a quick answer on a phone too.
 */
function backfillStepSeconds(types: number): number {
  return [10, 15].find((step) => (Math.min(types, historySeriesMax) * liveSeconds) / step <= 1_000) ?? 30;
}

export type KeptRings = Record<string, (number | null)[]>;

export interface LiveRings {
  readonly rings: Rings;
  /** `gap`: the stream was broken before this update, and nobody knows what was between. */
  receive(update: Update, gap: boolean): void;
  /** Fills seconds that this page was not there to see from the stored history. Live values are never overwritten. */
  backfill(
    ask: (query: Query) => Promise<ApiResult<History>>,
    known: { types: number; writeDelaySeconds: number },
  ): Promise<boolean>;
  snapshot(update: Update): KeptRings;
  restore(kept: KeptRings, timestampMs: number): void;
}

/** The seconds that the live charts draw, and where they come from: the stream, the history, an earlier visit. */
export function createLiveRings(): LiveRings {
  const rings = createRings({ seconds: liveSeconds + 60, typesMax: 256 });
  return {
    rings,
    receive(update, gap) {
      // A rate covers the ten whole seconds before its update: the newest of them is the second that is over.
      const second = Math.floor(Date.parse(update.timestamp) / 1000) - 1;
      rings.advance(second, !gap);
      rings.zeroNewest();
      for (const aggregate of update.aggregations) rings.set(aggregate.event_type, second, aggregate.rate);
      rings.set(totalName, second, update.totals.rate);
    },
    async backfill(ask, { types, writeDelaySeconds }) {
      const to = rings.newest();
      const step = backfillStepSeconds(types);
      const answer = await ask({
        // A step and a mean more, so that the first seconds shown are not means over what was not asked for.
        from: isoSecond(Math.floor((to - liveSeconds) / step - 1) * step),
        to: isoSecond(to),
        step: String(step),
        limit: String(historySeriesMax),
      });
      if (!answer.ok) return false;
      const completeTo = Date.parse(answer.data.complete_to ?? "") / 1000;
      const storedTo = Number.isFinite(completeTo) ? completeTo : to - storeLagSeconds - writeDelaySeconds;
      fillFrom(rings, answer.data, to, storedTo, types);
      return true;
    },
    snapshot(update) {
      const out = new Float32Array(liveSeconds);
      const names = [totalName, ...update.aggregations.slice(0, keptTypes).map((row) => row.event_type)];
      return Object.fromEntries(
        names.map((name) => {
          rings.copyLast(name, liveSeconds, out);
          return [name, Array.from(out, (value) => (Number.isNaN(value) ? null : Math.round(value * 100) / 100))];
        }),
      );
    },
    restore(kept, timestampMs) {
      const newest = Math.floor(timestampMs / 1000) - 1;
      rings.advance(newest, false);
      for (const [name, values] of Object.entries(kept)) {
        values.forEach((value, index) => {
          if (value !== null) rings.set(name, newest - values.length + 1 + index, value);
        });
      }
    },
  };
}

function fillFrom(rings: Rings, history: History, to: number, storedTo: number, types: number): void {
  const series = historyRates(history, storedTo);
  const total = new Map<number, number>();
  for (const { type, firstSecond, rates } of series) {
    // What came in the last seconds is not all stored yet; the live rate is a mean over them and is the better figure.
    const newest = rings.get(type, rings.newest());
    for (let second = firstSecond; second <= to; second++) {
      const value = rates[second - firstSecond] ?? newest;
      if (Number.isNaN(value)) continue;
      total.set(second, (total.get(second) ?? 0) + value);
      if (Number.isNaN(rings.get(type, second))) rings.set(type, second, value);
    }
  }
  // With more types than a history answers, their sum is not the total.
  if (series.length < types) return;
  for (const [second, value] of total) {
    if (Number.isNaN(rings.get(totalName, second))) rings.set(totalName, second, value);
  }
}

function isoSecond(second: number): string {
  return new Date(second * 1000).toISOString();
}
