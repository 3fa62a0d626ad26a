import { isLonger } from "../../contract/limits.ts";
import { parseTimestamp } from "../ingest/timestamp.ts";
import type { Parameter } from "../reference/document.ts";
import { invalidParameter } from "./refusal.ts";

/** One parameter of a route's query: how it is read, and what the reference says of it. An empty value counts as absent. */
export interface ParameterRow<T> {
  readonly description: string;
  /** JSON Schema. */
  readonly schema: object;
  read(given: URLSearchParams, name: string): T;
}

/** By name. A name that ends in `*` stands for all that begin so. */
export type ParameterTable = Readonly<Record<string, ParameterRow<unknown>>>;

export type ParametersOf<Table extends ParameterTable> = {
  readonly [Name in keyof Table]: ReturnType<Table[Name]["read"]>;
};

/** ClickHouse's DateTime ends in 2106; a range may still be widened. */
export const timeMaxMs = Date.UTC(2100, 0, 1);

/**
 * A request's parameters by a route's table, each checked when it is looked at. A name that the table has not got is refused, as an
 * unknown field of an event is: a mistyped filter must not silently give everything.
 */
export function readParameters<Table extends ParameterTable>(url: URL, table: Table): ParametersOf<Table> {
  const given = url.searchParams;
  const names = Object.keys(table);
  for (const name of given.keys()) {
    const isPrefixed = names.some((each) => each.endsWith("*") && name.startsWith(each.slice(0, -1)));
    if (!names.includes(name) && !isPrefixed) {
      throw invalidParameter(name.slice(0, 64), `not a parameter of this route, which has ${names.join(", ")}`);
    }
  }
  const values = {};
  for (const [name, row] of Object.entries(table)) {
    Object.defineProperty(values, name, { get: () => row.read(given, name) });
  }
  return values as ParametersOf<Table>;
}

/** A table as the reference has it. */
export const describeParameters = (table: ParameterTable): Parameter[] =>
  Object.entries(table).map(([name, { description, schema }]) => ({
    name,
    in: "query",
    required: false,
    description,
    schema,
  }));

export const text = (description: string, maxCharacters: number): ParameterRow<string | undefined> => ({
  description,
  schema: { type: "string", maxLength: maxCharacters },
  read: (given, name) => one(given, name, (value) => bounded(name, value, maxCharacters)),
});

/** May repeat; duplicates count once. */
export const texts = (description: string, maxCharacters: number, maxCount: number): ParameterRow<string[]> => ({
  description,
  schema: { type: "string", maxLength: maxCharacters },
  read(given, name) {
    const values = all(given, name);
    if (values.length > maxCount) throw invalidParameter(name, `may be given at most ${maxCount} times`);
    return values.map((value) => bounded(name, value, maxCharacters));
  },
});

export const whole = (description: string, minimum: number, maximum: number): ParameterRow<number | undefined> => ({
  description,
  schema: { type: "integer", minimum, maximum },
  read: (given, name) =>
    one(given, name, (value) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= minimum && number <= maximum) return number;
      throw invalidParameter(name, `a whole number from ${minimum} to ${maximum}`);
    }),
});

export const choice = <const T extends string>(
  description: string,
  choices: readonly T[],
): ParameterRow<T | undefined> => ({
  description,
  schema: { enum: choices },
  read: (given, name) => one(given, name, (value) => chosen(name, value, choices)),
});

/** May repeat. */
export const choices = <const T extends string>(description: string, among: readonly T[]): ParameterRow<T[]> => ({
  description,
  schema: { enum: among },
  read: (given, name) => all(given, name).map((value) => chosen(name, value, among)),
});

/** Epoch milliseconds. */
export const time = (description: string): ParameterRow<number | undefined> => ({
  description,
  schema: {
    anyOf: [
      { type: "string", format: "date-time" },
      { type: "integer", description: "epoch milliseconds" },
    ],
  },
  read: (given, name) =>
    one(given, name, (value) => {
      const timeMs = parseTime(value);
      if (timeMs !== undefined && timeMs >= 0 && timeMs <= timeMaxMs) return timeMs;
      throw invalidParameter(name, "an ISO 8601 time or epoch milliseconds, from 1970 to 2100");
    }),
});

/** Of a name `PREFIX*`: what follows the prefix, with all values of each; here an empty value is one. */
export const prefixed = (
  description: string,
  maxCharacters: number,
  maxCount: number,
): ParameterRow<(readonly [name: string, values: string[]])[]> => ({
  description,
  schema: { type: "string" },
  read(given, pattern) {
    const prefix = pattern.slice(0, -1);
    const names = [...new Set(given.keys())].filter((name) => name.startsWith(prefix));
    const found = names.map((name) => [name, [...new Set(given.getAll(name))]] as const);
    const count = found.reduce((sum, [, values]) => sum + values.length, 0);
    if (count > maxCount) throw invalidParameter(pattern, `at most ${maxCount} conditions`);
    return found.map(([name, values]) => {
      const key = name.slice(prefix.length);
      if (key === "") throw invalidParameter(name, `a name follows ${prefix}`);
      bounded(name.slice(0, 64), key, maxCharacters);
      return [key, values.map((value) => bounded(name.slice(0, 64), value, maxCharacters))] as const;
    });
  },
});

export const withDefault = <T>(row: ParameterRow<T | undefined>, fallback: T): ParameterRow<T> => ({
  description: row.description,
  schema: { ...row.schema, default: fallback },
  read: (given, name) => row.read(given, name) ?? fallback,
});

/** Where a page ends and the next begins; see `cursor.ts`. */
export const cursor: ParameterRow<string | undefined> = {
  description: "from the page before",
  schema: { type: "string" },
  read: (given, name) => one(given, name, (value) => value),
};

export const range = { from: time("start, included"), to: time("end, excluded; now when not given") };

const all = (given: URLSearchParams, name: string): string[] => [
  ...new Set(given.getAll(name).filter((value) => value !== "")),
];

function one<T>(given: URLSearchParams, name: string, read: (value: string) => T): T | undefined {
  const values = given.getAll(name).filter((value) => value !== "");
  if (values.length > 1) throw invalidParameter(name, "may be given only once");
  return values[0] === undefined ? undefined : read(values[0]);
}

function bounded(name: string, value: string, maxCharacters: number): string {
  if (isLonger(value, maxCharacters)) throw invalidParameter(name, `at most ${maxCharacters} characters`);
  return value;
}

function chosen<T extends string>(name: string, value: string, among: readonly T[]): T {
  const choice = among.find((each) => each === value);
  if (choice === undefined) throw invalidParameter(name, `one of ${among.join(", ")}`);
  return choice;
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
export function readRange(given: ParametersOf<typeof range>, nowMs: number, defaultMs: number): TimeRange {
  const toMs = given.to ?? nowMs;
  const fromMs = given.from ?? Math.max(0, toMs - defaultMs);
  if (fromMs >= toMs) throw invalidParameter("from", "must be before `to`, which is now when it is not given");
  return { fromMs, toMs };
}
