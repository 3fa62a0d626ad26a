import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseTimestamp } from "./timestamp.ts";

describe("timestamps", () => {
  test("every moment that Date can write is read back", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("2999-12-31"), noInvalidDate: true }), (date) => {
        expect(parseTimestamp(date.toISOString())).toBe(date.getTime());
      }),
    );
  });

  const readable: [text: string, iso: string][] = [
    ["2026-01-01", "2026-01-01T00:00:00.000Z"],
    ["2026-01-01T12:34", "2026-01-01T12:34:00.000Z"],
    ["2026-01-01T12:34:56", "2026-01-01T12:34:56.000Z"],
    ["2026-01-01 12:34:56Z", "2026-01-01T12:34:56.000Z"],
    ["2026-01-01T12:34:56.1Z", "2026-01-01T12:34:56.100Z"],
    ["2026-01-01T12:34:56.123456789Z", "2026-01-01T12:34:56.123Z"],
    ["2026-01-01T12:34:56+02:00", "2026-01-01T10:34:56.000Z"],
    ["2026-01-01T12:34:56-0530", "2026-01-01T18:04:56.000Z"],
    ["2026-01-01T12:34:56+02", "2026-01-01T10:34:56.000Z"],
    ["2026-01-01T12:34:56+14:00", "2025-12-31T22:34:56.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
  ];
  test.each(readable)("%s is %s", (text, iso) => {
    expect(new Date(parseTimestamp(text) ?? Number.NaN).toISOString()).toBe(iso);
  });

  test.each([
    "",
    "now",
    "2026-13-01",
    "2026-00-01",
    "2026-02-29",
    "2026-04-31T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T12:60:00Z",
    "2026-01-01T12:00:60Z",
    "2026-01-01T12:00:00+14:01",
    "2026-01-01T12:00:00-15:00",
    "0026-01-01",
    "2026-01-01T12:00:00+25:00",
    "20260101",
    "2026-01-01T12:00:00Z ",
    "1767225600",
  ])("%p is no timestamp", (text) => {
    expect(parseTimestamp(text)).toBeUndefined();
  });
});
