import type { History, HistoryPoint } from "../../../../contract/read.ts";
import { withGaps, withSilence } from "../../charts/history-steps.ts";
import { seriesMax } from "../../charts/palette.ts";
import { plainUnit, type Unit, unitOf } from "../../ui/units.ts";
import type { ExploreSeries } from "./explore-chart.ts";
import type { Metric } from "./explore-view.ts";

export type HistorySeries = History["series"][number];

/** How a line is called: its type, and what it was split by. */
export function seriesName({ event_type, split }: HistorySeries): string {
  return split === undefined ? event_type : `${event_type} · ${split ?? "(none)"}`;
}

/** A step that is not all stored yet would look like a sudden fall; the service says how far it is. */
export function withoutUnfinished(history: History): History {
  const toMs = Math.min(Date.parse(history.to), Date.parse(history.complete_to ?? history.to));
  const whole = (point: HistoryPoint): boolean => Date.parse(point.time) + history.step_seconds * 1000 <= toMs;
  return {
    ...history,
    to: new Date(toMs).toISOString(),
    series: history.series.map((each) => ({ ...each, points: each.points.filter(whole) })),
  };
}

function metricValue(point: HistoryPoint, metric: Metric, stepSeconds: number): number | null {
  return metric === "rate" ? point.count / stepSeconds : point[metric];
}

/** The steps that a metric is drawn and summed up over: a rate without events is zero, a value without events is a gap. */
export function metricSteps(
  history: History,
  points: readonly HistoryPoint[],
  metric: Metric,
): readonly HistoryPoint[] {
  if (metric !== "rate") return points;
  return withSilence(points, history.step_seconds, Date.parse(history.from), Date.parse(history.to));
}

export interface Line {
  readonly name: string;
  readonly slot: number;
  readonly series: HistorySeries;
  readonly unit: Unit;
}

/** The lines of an answer, each with its colour and its unit. */
export function linesOf(history: History, metric: Metric): Line[] {
  return history.series.slice(0, seriesMax).map((series, slot) => ({
    name: seriesName(series),
    slot,
    series,
    unit: metric === "rate" ? plainUnit : unitOf(series.event_type),
  }));
}

/** One chart for each unit, in the order of the lines: two units on one axis would say nothing about either. */
export function chartsOf(lines: readonly Line[]): { unit: Unit; lines: Line[] }[] {
  return [...Map.groupBy(lines, ({ unit }) => unit.key).values()].map((group) => ({
    unit: group[0]?.unit ?? plainUnit,
    lines: group,
  }));
}

/** A line's points as the chart takes them; `shiftMs` lays an earlier period over the present one. */
export function pointsOf(
  history: History,
  line: Line,
  metric: Metric,
  options: { previous: boolean; shiftMs: number },
): ExploreSeries {
  return {
    name: options.previous ? `${line.name}, before` : line.name,
    slot: line.slot,
    previous: options.previous,
    points: withGaps(metricSteps(history, line.series.points, metric), history.step_seconds).map(
      ({ timeMs, point }) => ({
        x: timeMs + options.shiftMs,
        y: point ? metricValue(point, metric, history.step_seconds) : null,
      }),
    ),
  };
}

export interface Summary {
  count: number;
  low: number | null;
  mean: number | null;
  high: number | null;
  last: number | null;
}

/** The mean of values is weighted by their counts: a step with one event weighs less than one with a thousand. */
export function summaryOf(history: History, points: readonly HistoryPoint[], metric: Metric): Summary {
  const out: Summary = { count: 0, low: null, mean: null, high: null, last: null };
  let sum = 0;
  let weight = 0;
  for (const point of metricSteps(history, points, metric)) {
    out.count += point.count;
    const value = metricValue(point, metric, history.step_seconds);
    if (value === null) continue;
    out.low = out.low === null ? value : Math.min(out.low, value);
    out.high = out.high === null ? value : Math.max(out.high, value);
    out.last = value;
    const weighs = metric === "rate" ? 1 : point.count;
    sum += value * weighs;
    weight += weighs;
  }
  out.mean = weight === 0 ? null : sum / weight;
  return out;
}

/** Types that have events and no numbers: a metric of values has nothing to draw for them. */
export function textTypes(history: History): string[] {
  const texts = history.series.filter(
    ({ points }) =>
      points.length > 0 && points.every(({ avg, min, max }) => avg === null && min === null && max === null),
  );
  return [...new Set(texts.map(({ event_type }) => event_type))];
}
