import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { canonicalTime, localText, resolveTime, secondsAgo } from "./time-expression.ts";
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

describe("local times where clocks change", () => {
  const zone = process.env.TZ;
  beforeEach(() => {
    process.env.TZ = "Europe/Berlin";
  });
  afterEach(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });
  const quarters = (fromMs: number): number[] => Array.from({ length: 7 * 96 }, (_, n) => fromMs + (n * hour) / 4);
  const read = (text: string): number => resolveTime(canonicalTime(text, false) ?? "", now) ?? Number.NaN;

  test("the zone is the one this is about", () => {
    expect(new Date(Date.UTC(2026, 6, 1)).getTimezoneOffset()).toBe(-120);
  });

  test("a time that is shown and typed again is the same, through a spring week with its missing hour", () => {
    for (const timeMs of quarters(Date.UTC(2026, 2, 26))) expect(read(localText(timeMs, false))).toBe(timeMs);
    // 02:30 was never on a clock; it is read as the hour after it.
    expect(new Date(read("2026-03-29 02:30:00")).toISOString()).toBe("2026-03-29T01:30:00.000Z");
  });

  test("and through an autumn week, but for the hour that clocks show twice: its first time is meant", () => {
    const twice = [Date.UTC(2026, 9, 25, 1), Date.UTC(2026, 9, 25, 2)] as const;
    for (const timeMs of quarters(Date.UTC(2026, 9, 22))) {
      const isSecond = timeMs >= twice[0] && timeMs < twice[1];
      expect(read(localText(timeMs, false))).toBe(isSecond ? timeMs - hour : timeMs);
    }
  });
});
