import type { HistoryPoint } from "../../../contract/read.ts";

/** How many steps without events a line passes over, of a type that reports in every step. */
const joinedSteps = 2.5;
/** A device that reports each minute is not interrupted between its reports: as long as this many of its own pauses is. */
const joinedPauses = 2.5;
/** Fewer pauses than this do not tell what is usual. */
const pausesMin = 3;

export interface PlotStep {
  timeMs: number;
  /** Undefined ends the line. */
  point: HistoryPoint | undefined;
}

/**
 * The points of a line of values, with an end of the line where more is missing than usual, and a point alone drawn as long
 * as its step: a line of one point is invisible.
 */
export function withGaps(points: readonly HistoryPoint[], stepSeconds: number): PlotStep[] {
  const stepMs = stepSeconds * 1000;
  const times = points.map((point) => Date.parse(point.time));
  const pauses = times.slice(1).map((time, index) => time - times[index]!);
  const usual = pauses.length < pausesMin ? 0 : pauses.toSorted((a, b) => a - b)[pauses.length >> 1]!;
  const longest = Math.max(joinedSteps * stepMs, joinedPauses * usual);
  const out: PlotStep[] = [];
  let length = 0;
  points.forEach((point, index) => {
    const timeMs = times[index]!;
    out.push({ timeMs, point });
    length += 1;
    const isLast = index === points.length - 1;
    if (!isLast && pauses[index]! <= longest) return;
    if (length === 1) out.push({ timeMs: timeMs + stepMs, point });
    if (!isLast) out.push({ timeMs: timeMs + 2 * stepMs, point: undefined });
    length = 0;
  });
  return out;
}

/** Every whole step of the range: for a rate, a step without events is a zero and not a gap. */
export function withSilence(
  points: readonly HistoryPoint[],
  stepSeconds: number,
  fromMs: number,
  toMs: number,
): HistoryPoint[] {
  const stepMs = stepSeconds * 1000;
  const known = new Map(points.map((point) => [Date.parse(point.time), point]));
  const out: HistoryPoint[] = [];
  // The service's steps start at multiples of themselves since 1970.
  for (let timeMs = Math.ceil(fromMs / stepMs) * stepMs; timeMs + stepMs <= toMs; timeMs += stepMs) {
    out.push(known.get(timeMs) ?? { ...silent, time: new Date(timeMs).toISOString() });
  }
  return out;
}

const silent = { count: 0, avg: null, min: null, max: null, p50: null, p95: null, p99: null } as const;
