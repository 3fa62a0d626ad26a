/** What Explore shows, read from and written to the URL. */
export const presets = [
  { value: "15m", label: "15 min", seconds: 900 },
  { value: "1h", label: "1 h", seconds: 3_600 },
  { value: "6h", label: "6 h", seconds: 21_600 },
  { value: "24h", label: "24 h", seconds: 86_400 },
  { value: "7d", label: "7 d", seconds: 604_800 },
  { value: "30d", label: "30 d", seconds: 2_592_000 },
] as const;
export type Preset = (typeof presets)[number]["value"];
export const defaultPreset: Preset = "1h";

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

export interface TimeRange {
  fromMs: number;
  toMs: number;
}

/** Shorter cannot be told apart in data of one-second steps. */
const spanMinMs = 10_000;

/** A range from the URL's `from` and `to`; undefined unless both are times in order. */
export function parseRange(from: string, to: string): TimeRange | undefined {
  const fromMs = Date.parse(from);
  const toMs = Date.parse(to);
  return Number.isFinite(fromMs) && Number.isFinite(toMs) && toMs - fromMs >= 1_000 ? { fromMs, toMs } : undefined;
}

export function rangeParams(range: TimeRange): { from: string; to: string; range: undefined } {
  const middle = (range.fromMs + range.toMs) / 2;
  const half = Math.max(spanMinMs, range.toMs - range.fromMs) / 2;
  const second = (ms: number): string => new Date(Math.round(ms / 1000) * 1000).toISOString();
  return { from: second(middle - half), to: second(middle + half), range: undefined };
}

export function shiftRange(range: TimeRange, byParts: number, nowMs: number): TimeRange {
  const span = range.toMs - range.fromMs;
  const toMs = Math.min(nowMs, range.toMs + span * byParts);
  return { fromMs: toMs - span, toMs };
}

export function zoomOut(range: TimeRange, nowMs: number): TimeRange {
  const span = range.toMs - range.fromMs;
  const toMs = Math.min(nowMs, range.toMs + span / 2);
  return { fromMs: toMs - span * 2, toMs };
}

/** The range in its surroundings, for the brush: two spans to either side, as far as now. */
export function surroundings(range: TimeRange, nowMs: number): TimeRange {
  const span = range.toMs - range.fromMs;
  const toMs = Math.max(range.toMs, Math.min(nowMs, range.toMs + span * 2));
  return { fromMs: toMs - span * 5, toMs };
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/** The finest step that people read easily and that gives no more than so many points. */
export function stepSeconds({ fromMs, toMs }: TimeRange, pointsMax: number): number {
  const seconds = (toMs - fromMs) / 1000 / pointsMax;
  return steps.find((step) => step >= seconds) ?? Math.ceil(seconds / 86_400) * 86_400;
}

/** The brush is a small picture. */
export const brushPoints = 150;

/** More than one in three pixels are not told apart, and a phone pays for each: with its download, and when it draws. */
export function chartPoints(widthPx: number): number {
  return Math.min(500, Math.max(100, Math.round(widthPx / 3)));
}

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

/** For `<input type="datetime-local">`, which knows no zone. */
export function toInputTime(timeMs: number, utc: boolean): string {
  const shifted = utc ? timeMs : timeMs - new Date(timeMs).getTimezoneOffset() * 60_000;
  return new Date(shifted).toISOString().slice(0, 19);
}

export function fromInputTime(text: string, utc: boolean): number {
  return Date.parse(utc ? `${text}Z` : text);
}
