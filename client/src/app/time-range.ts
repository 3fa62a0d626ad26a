import { formatTime, plural, type TimeZone } from "../ui/format.ts";
import { isRelative, resolveTime, type TimeRange } from "./time-expression.ts";

/** The lengths that are offered, all up to now. */
export const timePresets: readonly { from: string; label: string }[] = [
  { from: "now-1m", label: "1 minute" },
  { from: "now-5m", label: "5 minutes" },
  { from: "now-10m", label: "10 minutes" },
  { from: "now-30m", label: "30 minutes" },
  { from: "now-1h", label: "1 hour" },
  { from: "now-3h", label: "3 hours" },
  { from: "now-6h", label: "6 hours" },
  { from: "now-12h", label: "12 hours" },
  { from: "now-24h", label: "24 hours" },
  { from: "now-2d", label: "2 days" },
  { from: "now-7d", label: "7 days" },
  { from: "now-30d", label: "30 days" },
  { from: "now-90d", label: "90 days" },
];

/** As the URL has it: canonical texts, `now-6h` and `now`, or two points in time. */
export interface TimeSpec {
  from: string;
  to: string;
}

/** Shorter cannot be told apart in data of one-second steps. */
const spanMinMs = 10_000;

function isoSecond(timeMs: number): string {
  return new Date(Math.round(timeMs / 1000) * 1000).toISOString();
}

/** A range as the URL carries it; one that is too short is widened around its middle. */
export function absoluteSpec({ fromMs, toMs }: TimeRange): TimeSpec {
  const middle = (fromMs + toMs) / 2;
  const half = Math.max(spanMinMs, toMs - fromMs) / 2;
  return { from: isoSecond(middle - half), to: isoSecond(middle + half) };
}

/** By parts of its own length, and never into the future. */
export function shiftedRange(range: TimeRange, byParts: number, nowMs: number): TimeRange {
  const span = range.toMs - range.fromMs;
  const toMs = Math.min(nowMs, range.toMs + span * byParts);
  return { fromMs: toMs - span, toMs };
}

/** Twice as long around the same middle, as far as now allows. */
export function zoomedOut(range: TimeRange, nowMs: number): TimeRange {
  const span = range.toMs - range.fromMs;
  const toMs = Math.min(nowMs, range.toMs + span / 2);
  return { fromMs: toMs - span * 2, toMs };
}

/** The times of `spec` at `nowMs`; undefined unless both are times and in order. */
export function resolveSpec({ from, to }: TimeSpec, nowMs: number): TimeRange | undefined {
  const fromMs = resolveTime(from, nowMs);
  const toMs = resolveTime(to, nowMs);
  return fromMs !== undefined && toMs !== undefined && toMs - fromMs >= 1_000 ? { fromMs, toMs } : undefined;
}

const unitWords = { s: "second", m: "minute", h: "hour", d: "day" } as const;

export function describeSpec(spec: TimeSpec, zone: TimeZone): string {
  const span = spec.to === "now" ? /^now-(\d+)([smhd])$/.exec(spec.from) : null;
  if (span) return `Last ${plural(Number(span[1]), unitWords[span[2] as keyof typeof unitWords]).replace(/^1 /, "")}`;
  const words = (text: string): string =>
    isRelative(text) ? text : formatTime(Date.parse(text), zone, "minute_of_day");
  return `${words(spec.from)} – ${words(spec.to)}`;
}
