import { expect, test } from "bun:test";
import type { HistoryPoint } from "../../../contract/read.ts";
import { withGaps, withSilence } from "./history-steps.ts";

function at(second: number): HistoryPoint {
  const value = second * 2;
  const time = new Date(second * 1000).toISOString();
  return { time, count: 1, avg: value, min: value, max: value, p50: value, p95: value, p99: value };
}
/** Seconds of the steps in lines; "|" ends one. */
function drawn(seconds: readonly number[], stepSeconds: number): string {
  return withGaps(seconds.map(at), stepSeconds)
    .map(({ timeMs, point }) => (point ? String(timeMs / 1000) : "|"))
    .join(" ");
}

test("a line passes over a step without events, and ends where more is missing", () => {
  expect(drawn([0, 10, 30, 40, 80, 90], 10)).toBe("0 10 30 40 | 80 90");
});

test("a device that reports each minute has one line at steps of ten seconds, and its outage is a gap", () => {
  const reports = [0, 60, 120, 180, 240, 600, 660, 720];
  expect(drawn(reports, 10)).toBe("0 60 120 180 240 | 600 660 720");
});

test("a point alone is as long as its step", () => {
  expect(drawn([], 10)).toBe("");
  expect(drawn([50], 10)).toBe("50 60");
  expect(drawn([0, 10, 20, 30, 500], 10)).toBe("0 10 20 30 | 500 510");
});

test("the end of a line comes after it and before the next", () => {
  const steps = withGaps([0, 10, 20, 30, 60, 500].map(at), 10);
  const times = steps.map((step) => step.timeMs);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(new Set(times).size).toBe(times.length);
});

test("two reports do not tell what is usual: far apart they are not joined", () => {
  expect(drawn([0, 1000], 10)).toBe("0 10 | 1000 1010");
});

test("a rate is zero in a step without events, from the first whole step to the last", () => {
  const steps = withSilence([0, 10, 40, 50].map(at), 10, 4_000, 56_000);
  expect(steps.map((step) => [Date.parse(step.time) / 1000, step.count])).toEqual([
    [10, 1],
    [20, 0],
    [30, 0],
    [40, 1],
  ]);
});
