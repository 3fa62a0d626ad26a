import { describe, expect, test } from "bun:test";
import {
  chartPoints,
  decodeTypes,
  encodeTypes,
  fromInputTime,
  parseRange,
  rangeParams,
  shiftRange,
  stepSeconds,
  surroundings,
  toInputTime,
  zoomOut,
} from "./explore-view.ts";

const hour = 3_600_000;
const now = Date.UTC(2026, 5, 1, 12);

describe("ranges", () => {
  test("a range survives the URL", () => {
    const range = { fromMs: now - hour, toMs: now };
    const { from, to } = rangeParams(range);
    expect(parseRange(from, to)).toEqual(range);
  });
  test("nonsense in the URL is no range", () => {
    for (const [from, to] of [
      ["", ""],
      ["x", "y"],
      ["2026-01-02", "2026-01-01"],
    ] as const)
      expect(parseRange(from, to)).toBeUndefined();
  });
  test("a zoom never ends in a range too short to show", () => {
    const { from, to } = rangeParams({ fromMs: now, toMs: now + 10 });
    expect(Date.parse(to) - Date.parse(from)).toBeGreaterThanOrEqual(9_000);
  });
  test("nothing reaches into the future, and a shift keeps the length", () => {
    const range = { fromMs: now - hour, toMs: now };
    expect(shiftRange(range, 1, now)).toEqual(range);
    expect(shiftRange(range, -1, now)).toEqual({ fromMs: now - 2 * hour, toMs: now - hour });
    expect(zoomOut(range, now)).toEqual({ fromMs: now - 2 * hour, toMs: now });
    expect(surroundings(range, now).toMs).toBe(now);
  });
});

test("types of any name survive the URL", () => {
  const types = ["a,b", "ü &=%", "plain"];
  expect(decodeTypes(encodeTypes(types) ?? "")).toEqual(types);
  expect(decodeTypes("%E0%A4%A")).toEqual([]);
  expect(encodeTypes([])).toBeUndefined();
});

test("an input's time is the same moment, in either zone", () => {
  for (const utc of [true, false]) expect(fromInputTime(toInputTime(now, utc), utc)).toBe(now);
});

test("a phone asks for fewer points than a wall, and no step gives more than wished", () => {
  expect([390, 1440, 5120].map(chartPoints)).toEqual([130, 480, 500]);
  const steps = [60, 3_600, 86_400, 30 * 86_400, 3_650 * 86_400].map((seconds) => {
    const range = { fromMs: now - seconds * 1000, toMs: now };
    const step = stepSeconds(range, 130);
    expect(seconds / step).toBeLessThanOrEqual(130);
    return step;
  });
  expect(steps).toEqual([1, 30, 900, 21_600, 29 * 86_400]);
});
