import { expect, test } from "bun:test";
import { runsOf } from "./sparkline.ts";

const gap = Number.NaN;
test("a gap ends a run, so that nothing is filled across it", () =>
  expect(runsOf(Float32Array.of(gap, 1, 2, gap, gap, 3))).toEqual([
    { start: 1, end: 3 },
    { start: 5, end: 6 },
  ]));
test("without gaps there is one run, without values none", () => {
  expect(runsOf(Float32Array.of(1, 2))).toEqual([{ start: 0, end: 2 }]);
  expect(runsOf(Float32Array.of(gap))).toEqual([]);
});
