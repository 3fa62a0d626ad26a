import { limits } from "../../contract/limits.ts";
import type { TimeRange } from "./parameters.ts";

export interface Rollup {
  table: "telemetry_1s" | "telemetry_1m" | "telemetry_1h";
  unitSeconds: number;
  /** Rows younger than this are there; ddl/002_rollups.sql. */
  keptSeconds: number;
}

const daySeconds = 86_400;

/** Coarsest last. */
export const rollups: readonly Rollup[] = [
  { table: "telemetry_1s", unitSeconds: 1, keptSeconds: 7 * daySeconds },
  { table: "telemetry_1m", unitSeconds: 60, keptSeconds: 365 * daySeconds },
  { table: "telemetry_1h", unitSeconds: 3_600, keptSeconds: Number.POSITIVE_INFINITY },
];

export interface HistoryPlan {
  table: Rollup["table"] | "telemetry_events";
  stepSeconds: number;
  /** What is read: the range asked for, widened to whole units of the table. */
  range: TimeRange;
}

/** Steps that people read easily. Beyond the last, whole multiples of it. */
const niceSteps = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1_800,
  3_600,
  7_200,
  10_800,
  21_600,
  43_200,
  daySeconds,
] as const;

/** Points that a chart aims for when no step is asked for: about two pixels each on a small screen. */
const pointsAimed = 500;

/**
 * Chooses step and table. A step is a multiple of its table's unit and starts at a multiple of itself since 1970, UTC. A
 * step that would give more than `limits.historyPoints`, or that is finer than what is still kept of the range, is widened
 * to the next that will do: the answer says which it is.
 */
export function planHistory(ask: {
  range: TimeRange;
  nowMs: number;
  stepSeconds: number | undefined;
  /** Rollups do not know devices: where they matter, raw events are read. */
  byDevice: boolean;
}): HistoryPlan {
  const { range } = ask;
  const ageSeconds = (ask.nowMs - range.fromMs) / 1000;
  const kept = ask.byDevice ? rollups : rollups.filter((rollup) => rollup.keptSeconds >= ageSeconds);
  const finest = kept[0]?.unitSeconds ?? 1;

  const atLeast = (seconds: number, pointsMax: number): number => {
    const fits = (step: number): boolean =>
      step >= seconds && step % finest === 0 && countSteps(range, step) <= pointsMax;
    const nice = niceSteps.find(fits);
    if (nice !== undefined) return nice;
    let days = Math.ceil(Math.max(seconds / daySeconds, (range.toMs - range.fromMs) / 1000 / daySeconds / pointsMax));
    while (!fits(days * daySeconds)) days++;
    return days * daySeconds;
  };
  const asked = ask.stepSeconds;
  const stepSeconds =
    asked === undefined
      ? atLeast(1, pointsAimed)
      : asked % finest === 0 && countSteps(range, asked) <= limits.historyPoints
        ? asked
        : atLeast(asked, limits.historyPoints);

  if (ask.byDevice) return { table: "telemetry_events", stepSeconds, range };
  // The coarsest table that divides the step has the fewest rows to read.
  const rollup = kept.findLast((each) => stepSeconds % each.unitSeconds === 0) ?? (rollups[0] as Rollup);
  return { table: rollup.table, stepSeconds, range: widenRange(range, rollup.unitSeconds) };
}

export function widenRange(range: TimeRange, unitSeconds: number): TimeRange {
  const unitMs = unitSeconds * 1000;
  return {
    fromMs: Math.floor(range.fromMs / unitMs) * unitMs,
    toMs: Math.ceil(range.toMs / unitMs) * unitMs,
  };
}

function countSteps(range: TimeRange, stepSeconds: number): number {
  const stepMs = stepSeconds * 1000;
  return Math.ceil(range.toMs / stepMs) - Math.floor(range.fromMs / stepMs);
}
