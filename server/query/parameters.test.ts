import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseTimestamp } from "../ingest/timestamp.ts";
import {
  choice,
  type ParameterTable,
  parseTime,
  range,
  readParameters,
  readRange,
  text,
  texts,
  time,
  whole,
} from "./parameters.ts";
import { Refusal } from "./refusal.ts";

const read = <Table extends ParameterTable>(query: string, table: Table) =>
  readParameters(new URL(`http://x/?${query}`), table);

test("a time is ISO 8601, with any zone, or epoch milliseconds", () => {
  const noon = Date.UTC(2026, 0, 31, 12);
  const cases: [string, number | undefined][] = [
    ["2026-01-31T12:00:00.000Z", noon],
    ["2026-01-31T12:00:00Z", noon],
    ["2026-01-31t12:00:00z", noon],
    ["2026-01-31T12:00:00", noon],
    ["2026-01-31 12:00", noon],
    ["2026-01-31T12:00:00.5Z", noon + 500],
    ["2026-01-31T12:00:00,5Z", noon + 500],
    ["2026-01-31T12:00:00.123456789Z", noon + 123],
    ["2026-01-31T14:00:00+02:00", noon],
    ["2026-01-31T14:00:00 02:00", noon],
    ["2026-01-31T14:00:00 02", noon],
    ["2026-01-31T14:00:00+02", noon],
    ["2026-01-31T12:00:00+00", noon],
    ["2026-02-01 02:00 14", noon],
    ["2026-01-31T12:00:00+14:01", undefined],
    ["2026-01-31T12:00:00-15", undefined],
    ["2026-01-31T06:30:00-0530", noon],
    ["2026-01-31", Date.UTC(2026, 0, 31)],
    [String(noon), noon],
    ["0", 0],
    ["2026-02-30T00:00:00Z", undefined],
    ["2026-13-01T00:00:00Z", undefined],
    ["2025-02-29", undefined],
    ["2026-01-31T24:00:00Z", undefined],
    ["2026-01-31T12:60:00Z", undefined],
    ["2026-01-31T12:00:61Z", undefined],
    ["2026-01-31T12:00:00+99:00", undefined],
    ["0026-01-31T12:00:00Z", undefined],
    ["31/01/2026", undefined],
    ["yesterday", undefined],
    ["-1", undefined],
    ["1e12", undefined],
    ["9".repeat(16), undefined],
    [`${noon} OR 1=1`, undefined],
    ["２０２６", undefined],
  ];
  for (const [text, expected] of cases) expect([text, parseTime(text)]).toEqual([text, expected]);
});

test("times are read as an event's timestamp is", () => {
  const parts = fc.record({
    date: fc.constantFrom("2026-01-31", "2024-02-29", "2026-2-1", "2026-02-30", "0099-01-01"),
    time: fc.constantFrom("", "T12:00", " 12:00:00", "t23:59:59.999999999", "T24:00", "T12:00:00,5", "T12"),
    offset: fc.constantFrom("", "Z", "z", "+00", "-00:00", "+0530", "+14:00", "-14:01", "+23:59", "+1", "+5:30"),
  });
  fc.assert(
    fc.property(parts, ({ date, time, offset }) => {
      const text = date + time + offset;
      expect(parseTime(text)).toEqual(parseTimestamp(text));
    }),
  );
});

test("every refusal names its parameter", () => {
  const refusals: [string, () => unknown][] = [
    ["c", () => read("c=1", { a: whole("", 1, 9) })],
    ["a", () => read("a=1&a=2", { a: text("", 9) }).a],
    ["a", () => read("a=12345", { a: text("", 4) }).a],
    ["a", () => read("a=1&a=2&a=3", { a: texts("", 4, 2) }).a],
    ["a", () => read("a=12345", { a: texts("", 4, 2) }).a],
    ["a", () => read("a=x", { a: whole("", 1, 9) }).a],
    ["a", () => read("a=0", { a: whole("", 1, 9) }).a],
    ["a", () => read("a=10", { a: whole("", 1, 9) }).a],
    ["a", () => read("a=1.5", { a: whole("", 1, 9) }).a],
    ["a", () => read("a=-1", { a: whole("", 1, 9) }).a],
    ["a", () => read("a=0x5", { a: whole("", 1, 9) }).a],
    ["a", () => read("a=+5", { a: whole("", 1, 9) }).a],
    ["a", () => read("a=One", { a: choice("", ["one", "two"]) }).a],
    ["a", () => read("a=never", { a: time("") }).a],
    ["a", () => read("a=2200-01-01", { a: time("") }).a],
    ["from", () => readRange(read("from=2&to=2", range), 5, 1)],
    ["from", () => readRange(read("from=6", range), 5, 1)],
  ];
  for (const [name, refused] of refusals) {
    try {
      refused();
      expect(name).toBe("refused");
    } catch (error) {
      expect(error).toBeInstanceOf(Refusal);
      expect((error as Refusal).code).toBe("invalid_parameter");
      expect((error as Refusal).message).toStartWith(`${name}: `);
    }
  }
});

test("an empty value is an absent one, and a repeated one counts once in a list", () => {
  const query = "a=&b=x&b=&b=x&b=y";
  const b = texts("", 9, 2);
  expect(read(query, { a: text("", 9), b }).a).toBeUndefined();
  expect(read(query, { a: whole("", 1, 9), b }).a).toBeUndefined();
  expect(read(query, { a: time(""), b }).a).toBeUndefined();
  expect(read(query, { a: text("", 9), b }).b).toEqual(["x", "y"]);
});

test("a range is the last hour, or the hour before `to`, or from `from` until now", () => {
  const hour = 3_600_000;
  expect(readRange(read("", range), 10 * hour, hour)).toEqual({ fromMs: 9 * hour, toMs: 10 * hour });
  expect(readRange(read(`to=${5 * hour}`, range), 10 * hour, hour)).toEqual({ fromMs: 4 * hour, toMs: 5 * hour });
  expect(readRange(read("from=7", range), 10 * hour, hour)).toEqual({ fromMs: 7, toMs: 10 * hour });
  expect(readRange(read("", range), 10, Number.POSITIVE_INFINITY)).toEqual({ fromMs: 0, toMs: 10 });
});
