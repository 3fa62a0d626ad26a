import { describe, expect, test } from "bun:test";
import { canonicalTime, resolveTime, secondsAgo } from "./time-expression.ts";
import { absoluteSpec, describeSpec, resolveSpec, shiftedRange, zoomedOut } from "./time-range.ts";

const hour = 3_600_000;
const now = Date.UTC(2026, 5, 1, 12);

describe("points in time as people type them", () => {
  test.each([
    ["now", "now", 0],
    ["now-6h", "now-6h", -6 * hour],
    ["NOW - 6H", "now-6h", -6 * hour],
    ["now-1h30m", "now-1h30m", -1.5 * hour],
    ["6h", "now-6h", -6 * hour],
    ["-2d", "now-2d", -48 * hour],
    ["1w", "now-1w", -7 * 24 * hour],
  ])("%s", (typed, canonical, offsetMs) => {
    expect(canonicalTime(typed, true)).toBe(canonical);
    expect(resolveTime(canonical, now)).toBe(now + offsetMs);
  });
  test("a date without a zone is in the viewer's zone", () => {
    expect(canonicalTime("2026-06-01 12:00", true)).toBe("2026-06-01T12:00:00.000Z");
    expect(canonicalTime("2026-06-01", true)).toBe("2026-06-01T00:00:00.000Z");
    expect(canonicalTime("2026-06-01T12:00:00+02:00", true)).toBe("2026-06-01T10:00:00.000Z");
    expect(canonicalTime("2026-06-01 12:00", false)).toBe(new Date("2026-06-01T12:00").toISOString());
    expect(canonicalTime(String(now), false)).toBe(new Date(now).toISOString());
  });
  test("nonsense is no point in time", () => {
    for (const text of ["", "yesterday", "now-", "now-6", "now-6y", "12", "2026-13-45", "h6"])
      expect(canonicalTime(text, true)).toBeUndefined();
  });
  test("only a time before now has a length", () => {
    expect(secondsAgo("now-90m")).toBe(5_400);
    expect(secondsAgo("2026-06-01T12:00:00.000Z")).toBeUndefined();
  });
});

describe("ranges", () => {
  test("a range survives the URL", () => {
    const range = { fromMs: now - hour, toMs: now };
    expect(resolveSpec(absoluteSpec(range), now)).toEqual(range);
  });
  test("times that are none, or out of order, are no range", () => {
    for (const [from, to] of [
      ["x", "y"],
      ["now", "now-1h"],
      ["2026-01-02", "2026-01-01"],
    ] as const)
      expect(resolveSpec({ from, to }, now)).toBeUndefined();
  });
  test("a zoom never ends in a range too short to show", () => {
    const { from, to } = absoluteSpec({ fromMs: now, toMs: now + 10 });
    expect(Date.parse(to) - Date.parse(from)).toBeGreaterThanOrEqual(9_000);
  });
  test("nothing reaches into the future, and a shift keeps the length", () => {
    const range = { fromMs: now - hour, toMs: now };
    expect(shiftedRange(range, 1, now)).toEqual(range);
    expect(shiftedRange(range, -1, now)).toEqual({ fromMs: now - 2 * hour, toMs: now - hour });
    expect(zoomedOut(range, now)).toEqual({ fromMs: now - 2 * hour, toMs: now });
  });
  test("a preset is called by its name, anything else by its ends", () => {
    expect(describeSpec({ from: "now-1h", to: "now" }, "utc")).toBe("Last hour");
    expect(describeSpec({ from: "now-6h", to: "now" }, "utc")).toBe("Last 6 hours");
    expect(describeSpec({ from: "now-2h", to: "now-1h" }, "utc")).toBe("now-2h – now-1h");
  });
});
