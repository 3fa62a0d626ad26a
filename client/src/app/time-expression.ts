/**
 * Points in time as people type them and URLs carry them: `now`, `now-6h`, `now-1h30m`, a bare `6h` (so long ago), a date
 * with or without a time, or epoch milliseconds.
 */
export interface TimeRange {
  fromMs: number;
  toMs: number;
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const relativePattern = /^now((?:[-+]\d+(?:[smhdw]\d+)*[smhdw])?)$/;
const agoPattern = /^-?((?:\d+[smhdw])+)$/;
const datePattern = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)?(Z|[+-]\d{2}:\d{2})?$/;

function spanSeconds(text: string): number {
  return [...text.matchAll(/(\d+)([smhdw])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * unitSeconds[unit!]!,
    0,
  );
}

/** The text as a URL carries it: relative as typed, absolute in UTC. Undefined when it is no point in time. */
export function canonicalTime(text: string, utc: boolean): string | undefined {
  const trimmed = text.trim();
  const compact = trimmed.toLowerCase().replaceAll(" ", "");
  const ago = agoPattern.exec(compact);
  if (ago) return `now-${ago[1]}`;
  if (relativePattern.test(compact)) return compact;
  if (/^\d{12,14}$/.test(compact)) return new Date(Number(compact)).toISOString();
  const date = datePattern.exec(trimmed.toUpperCase());
  if (!date) return undefined;
  const day = trimmed.length === 10 ? `${trimmed}T00:00` : trimmed.replace(" ", "T");
  const timeMs = Date.parse(date[1] === undefined && utc ? `${day}Z` : day);
  return Number.isFinite(timeMs) ? new Date(timeMs).toISOString() : undefined;
}

export function isRelative(canonical: string): boolean {
  return canonical.startsWith("now");
}

/** Epoch milliseconds of a canonical text; undefined when it is none. */
export function resolveTime(canonical: string, nowMs: number): number | undefined {
  const match = relativePattern.exec(canonical);
  if (match) {
    const offset = match[1]!;
    return nowMs + (offset.startsWith("-") ? -1 : 1) * spanSeconds(offset) * 1000;
  }
  const timeMs = Date.parse(canonical);
  return Number.isFinite(timeMs) ? timeMs : undefined;
}

/** Seconds that `now-6h` reaches back; undefined for anything else. */
export function secondsAgo(canonical: string): number | undefined {
  return canonical.startsWith("now-") && relativePattern.test(canonical) ? spanSeconds(canonical) : undefined;
}

/** A point in time as `canonicalTime` reads it. */
export function localText(timeMs: number, utc: boolean): string {
  const shifted = utc ? timeMs : timeMs - new Date(timeMs).getTimezoneOffset() * 60_000;
  return new Date(shifted).toISOString().slice(0, 19).replace("T", " ");
}
