import { isLonger } from "../../contract/limits.ts";
import { parseTimestamp } from "../ingest/timestamp.ts";
import { invalidParameter } from "./refusal.ts";

/** The parameters of one request, each checked when it is read. An empty value counts as absent. */
export interface Parameters {
  text(name: string, maxCharacters: number): string | undefined;
  /** A parameter that may repeat; duplicates count once. */
  texts(name: string, maxCharacters: number, maxCount: number): string[];
  integer(name: string, min: number, max: number): number | undefined;
  choice<const T extends string>(name: string, choices: readonly T[]): T | undefined;
  /** A parameter that may repeat. */
  choices<const T extends string>(name: string, choices: readonly T[]): T[];
  /** Those of a route's `PREFIX.*`, by what follows the prefix, with all values of each; here an empty value is one. */
  prefixed(prefix: string, maxCharacters: number, maxCount: number): (readonly [name: string, values: string[]])[];
  /** Epoch milliseconds. */
  time(name: string): number | undefined;
}

/** ClickHouse's DateTime ends in 2106; a range may still be widened. */
export const timeMaxMs = Date.UTC(2100, 0, 1);

/**
 * Reads a request's query string. A name that the route does not know is refused, as an unknown field of an event is: a
 * mistyped filter must not silently give everything.
 */
export function readParameters(url: URL, names: readonly string[]): Parameters {
  const given = url.searchParams;
  for (const name of given.keys()) {
    const isPrefixed = names.some((each) => each.endsWith("*") && name.startsWith(each.slice(0, -1)));
    if (!names.includes(name) && !isPrefixed) {
      throw invalidParameter(name.slice(0, 64), `not a parameter of this route, which has ${names.join(", ")}`);
    }
  }

  const all = (name: string): string[] => given.getAll(name).filter((value) => value !== "");
  const one = (name: string): string | undefined => {
    const values = all(name);
    if (values.length > 1) throw invalidParameter(name, "may be given only once");
    return values[0];
  };
  const bounded = (name: string, value: string, maxCharacters: number): string => {
    if (isLonger(value, maxCharacters)) throw invalidParameter(name, `at most ${maxCharacters} characters`);
    return value;
  };

  const chosen = <T extends string>(name: string, value: string, choices: readonly T[]): T => {
    const choice = choices.find((each) => each === value);
    if (choice === undefined) throw invalidParameter(name, `one of ${choices.join(", ")}`);
    return choice;
  };

  return {
    text(name, maxCharacters) {
      const value = one(name);
      return value === undefined ? undefined : bounded(name, value, maxCharacters);
    },
    texts(name, maxCharacters, maxCount) {
      const values = [...new Set(all(name))];
      if (values.length > maxCount) throw invalidParameter(name, `may be given at most ${maxCount} times`);
      return values.map((value) => bounded(name, value, maxCharacters));
    },
    integer(name, min, max) {
      const value = one(name);
      if (value === undefined) return undefined;
      const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      if (!(number >= min && number <= max)) throw invalidParameter(name, `a whole number from ${min} to ${max}`);
      return number;
    },
    choice(name, choices) {
      const value = one(name);
      return value === undefined ? undefined : chosen(name, value, choices);
    },
    prefixed(prefix, maxCharacters, maxCount) {
      const names = [...new Set(given.keys())].filter((name) => name.startsWith(prefix));
      const found = names.map((name) => [name, [...new Set(given.getAll(name))]] as const);
      const count = found.reduce((sum, [, values]) => sum + values.length, 0);
      if (count > maxCount) throw invalidParameter(`${prefix}*`, `at most ${maxCount} conditions`);
      return found.map(([name, values]) => {
        const key = name.slice(prefix.length);
        if (key === "") throw invalidParameter(name, `a name follows ${prefix}`);
        bounded(name.slice(0, 64), key, maxCharacters);
        return [key, values.map((value) => bounded(name.slice(0, 64), value, maxCharacters))] as const;
      });
    },
    choices: (name, choices) => [...new Set(all(name))].map((value) => chosen(name, value, choices)),
    time(name) {
      const value = one(name);
      if (value === undefined) return undefined;
      const timeMs = parseTime(value);
      if (timeMs === undefined || timeMs < 0 || timeMs > timeMaxMs) {
        throw invalidParameter(name, "an ISO 8601 time or epoch milliseconds, from 1970 to 2100");
      }
      return timeMs;
    },
  };
}

/** A `+` that came unescaped is a space. */
const spacedOffset = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d\S*) (\d\d(?::?\d\d)?)$/;

/** Epoch milliseconds of digits, or of what an event's timestamp may be; a time without an offset is UTC. */
export function parseTime(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  return parseTimestamp(text.replace(spacedOffset, "$1+$2"));
}

export interface TimeRange {
  fromMs: number;
  /** Exclusive. */
  toMs: number;
}

/** `from` and `to`, with the last `defaultMs` before `to` when `from` is absent and now when `to` is. */
export function readRange(parameters: Parameters, nowMs: number, defaultMs: number): TimeRange {
  const toMs = parameters.time("to") ?? nowMs;
  const fromMs = parameters.time("from") ?? Math.max(0, toMs - defaultMs);
  if (fromMs >= toMs) throw invalidParameter("from", "must be before `to`, which is now when it is not given");
  return { fromMs, toMs };
}
