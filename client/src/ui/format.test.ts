import { describe, expect, test } from "bun:test";
import {
  formatAge,
  formatBytes,
  formatCompact,
  formatCount,
  formatDuration,
  formatQuantile,
  formatRate,
  formatTime,
  formatValue,
  plural,
  reportingInterval,
} from "./format.ts";

describe("numbers", () => {
  test("a value keeps about four significant digits in every magnitude", () => {
    expect(formatValue(21.456)).toBe("21.46");
    expect(formatValue(0.12345)).toBe("0.1235");
    expect(formatValue(123.45)).toBe("123.5");
    expect(formatValue(12345.6)).toBe("12,346");
    expect(formatValue(-3.24159)).toBe("-3.24");
    expect(formatValue(0)).toBe("0");
    expect(formatValue(1e12)).toBe("1E12");
  });
  test("what is not there is a dash, never NaN or null", () => {
    for (const missing of [null, undefined, Number.NaN]) expect(formatValue(missing)).toBe("–");
    expect(formatCount(null)).toBe("–");
    expect(formatRate(Number.NaN)).toBe("–");
    expect(formatTime(Number.NaN, "utc")).toBe("–");
  });
  test("a quantile has three digits", () => {
    expect(formatQuantile(20.288)).toBe("20.3");
    expect(formatQuantile(0.01234)).toBe("0.0123");
    expect(formatQuantile(123.45)).toBe("123");
    expect(formatQuantile(12345)).toBe("12,300");
    expect(formatQuantile(null)).toBe("–");
  });
  test("a count is never shortened", () => expect(formatCount(12_345_678)).toBe("12,345,678"));
  test("an axis label is short", () => {
    expect(formatCompact(1234)).toBe("1.23K");
    expect(formatCompact(0.25)).toBe("0.25");
  });
  test("a small rate shows its tenths", () => {
    expect(formatRate(3.25)).toBe("3.3");
    expect(formatRate(1234.5)).toBe("1,235");
    expect(formatRate(0)).toBe("0");
  });
  test("bytes", () => {
    expect(formatBytes(0)).toBe("0 B");
    expect(formatBytes(1536)).toBe("1.5 KiB");
    expect(formatBytes(4 * 1024 ** 3)).toBe("4.0 GiB");
  });
});

describe("times", () => {
  test("a duration has two units at most", () => {
    expect(formatDuration(0)).toBe("0 s");
    expect(formatDuration(0.85)).toBe("850 ms");
    expect(formatDuration(4.24)).toBe("4.2 s");
    expect(formatDuration(59.9)).toBe("1 min");
    expect(formatDuration(200)).toBe("3 min 20 s");
    expect(formatDuration(7500)).toBe("2 h 5 min");
    expect(formatDuration(90_000)).toBe("1 d 1 h");
  });
  test("an age has one unit", () => {
    expect(formatAge(0.4)).toBe("now");
    expect(formatAge(61)).toBe("1 min");
    expect(formatAge(90_000)).toBe("1 d");
  });
  test("a reporting interval is about", () => {
    expect(reportingInterval(1.03)).toBe("about 1 s");
    expect(reportingInterval(0.26)).toBe("about 300 ms");
    expect(reportingInterval(0.003)).toBe("under 50 ms");
    expect(reportingInterval(300)).toBe("about 5 min");
    expect(reportingInterval(null)).toBe("–");
  });
  test("a count agrees with its noun", () => {
    expect(plural(1, "event type")).toBe("1 event type");
    expect(plural(1_200, "event type")).toBe("1,200 event types");
  });
  test("UTC is UTC wherever the browser is", () =>
    expect(formatTime(Date.UTC(2026, 0, 1, 13, 4, 5), "utc")).toBe("13:04:05"));
});
