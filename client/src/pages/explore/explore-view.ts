import type { TimeRange } from "../../app/time-expression.ts";

/** What Explore shows, read from and written to the URL. */
export const metrics = [
  { value: "rate", label: "Events per second" },
  { value: "avg", label: "Average" },
  { value: "min", label: "Smallest" },
  { value: "max", label: "Largest" },
  { value: "p50", label: "p50 (median)" },
  { value: "p95", label: "p95" },
  { value: "p99", label: "p99" },
] as const;
export type Metric = (typeof metrics)[number]["value"];

/** The range in its surroundings, for the brush: two spans to either side, as far as now. */
export function surroundings(range: TimeRange, nowMs: number): TimeRange {
  const span = range.toMs - range.fromMs;
  const toMs = Math.max(range.toMs, Math.min(nowMs, range.toMs + span * 2));
  return { fromMs: toMs - span * 5, toMs };
}

/** The brush is a small picture. */
export const brushPoints = 150;

/** Type names may hold any character, commas too, so each is encoded on its own. */
export function encodeTypes(types: readonly string[]): string | undefined {
  return types.length === 0 ? undefined : types.map(encodeURIComponent).join(",");
}

export function decodeTypes(text: string): string[] {
  try {
    return text === "" ? [] : text.split(",").map(decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return [];
    throw error;
  }
}
