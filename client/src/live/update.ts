import type { AlertsUpdate } from "../../../contract/alerts.ts";
import type { ChangesUpdate } from "../../../contract/fleet.ts";
import type { History } from "../../../contract/read.ts";
import type { Update } from "../../../contract/stream.ts";

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/**
 * Checks the outline of an update, from the stream or from what an older version of this page has kept. The contract's
 * schema stays on the server: its compiler would be half the page's JavaScript.
 */
export function isUpdate(value: unknown): value is Update {
  return (
    isRecord(value) &&
    typeof value.timestamp === "string" &&
    typeof value.window_seconds === "number" &&
    Array.isArray(value.aggregations) &&
    value.aggregations.every((row) => isRecord(row) && typeof row.event_type === "string") &&
    isRecord(value.totals) &&
    isRecord(value.pipeline)
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function parseUpdate(text: string): Update | undefined {
  const value = parseJson(text);
  return isUpdate(value) ? value : undefined;
}

export function parseAlertsUpdate(text: string): AlertsUpdate | undefined {
  const value = parseJson(text);
  return isRecord(value) && Array.isArray(value.firing) && isRecord(value.counts)
    ? (value as unknown as AlertsUpdate)
    : undefined;
}

export function parseChangesUpdate(text: string): ChangesUpdate | undefined {
  const value = parseJson(text);
  return isRecord(value) && Array.isArray(value.changes) ? (value as unknown as ChangesUpdate) : undefined;
}

export interface RateSeries {
  type: string;
  /** Epoch second of the first value. */
  firstSecond: number;
  /** Events per second, mean of the last ten seconds, as the stream's `rate`; NaN where nobody knows. */
  rates: Float32Array;
}

/** The same mean as the stream's own `rate`, so that history and live join without a step. */
const rateWindowSeconds = 10;

/**
 * Turns counts per step into the stream's kind of rate for every second. Where no type at all has an event for ten
 * seconds the service may have been down: that is a gap, not a zero.
 *
 * @param storedTo epoch second before which everything is stored; a step that reaches past it is not whole, and left out.
 */
export function historyRates(history: History, storedTo: number): RateSeries[] {
  const step = Math.max(1, history.step_seconds);
  const firstSecond = Math.floor(Date.parse(history.from) / 1000);
  const end = Math.min(Date.parse(history.to) / 1000, storedTo);
  const seconds = Math.floor(end / step) * step - firstSecond;
  if (!(seconds > 0)) return [];
  const any = new Float32Array(seconds);
  const windowSeconds = Math.max(rateWindowSeconds, step);
  const perSecond = history.series.map(({ points }) => {
    const counts = new Float32Array(seconds);
    for (const point of points) {
      const start = Math.floor(Date.parse(point.time) / 1000) - firstSecond;
      for (let at = Math.max(0, start); at < Math.min(seconds, start + step); at++) {
        counts[at] = point.count / step;
        any[at]! += point.count;
      }
    }
    return counts;
  });
  return history.series.map(({ event_type: type }, index) => {
    const counts = perSecond[index]!;
    const rates = new Float32Array(seconds);
    let sum = 0;
    let anySum = 0;
    for (let at = 0; at < seconds; at++) {
      sum += counts[at]!;
      anySum += any[at]!;
      if (at >= windowSeconds) {
        sum -= counts[at - windowSeconds]!;
        anySum -= any[at - windowSeconds]!;
      }
      rates[at] = anySum > 1e-6 ? Math.max(0, sum) / Math.min(windowSeconds, at + 1) : Number.NaN;
    }
    return { type, firstSecond, rates };
  });
}
