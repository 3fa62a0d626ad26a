import { expect, test } from "bun:test";
import type { History } from "../../../contract/read.ts";
import { fittedRange } from "./fitted-range.ts";

const point = { count: 1, avg: 1, min: 1, max: 1, p50: 1, p95: 1, p99: 1 };
const history = (...seconds: number[]): History => ({
  from: new Date(0).toISOString(),
  to: new Date(3_600_000).toISOString(),
  step_seconds: 10,
  source: "telemetry_1s",
  series: seconds.map((second) => ({
    event_type: `t${second}`,
    points: [{ ...point, time: new Date(second * 1000).toISOString() }],
  })),
});

test("a chart begins where the first of its series does", () =>
  expect(fittedRange(history(3_000, 2_400), true)).toEqual({ fromSecond: 2_400, toSecond: 3_600 }));
test("a minute is the least", () => expect(fittedRange(history(3_595), true).fromSecond).toBe(3_540));
test("a range that someone has chosen is drawn whole", () =>
  expect(fittedRange(history(3_000), false).fromSecond).toBe(0));
test("nothing to fit to: the whole range", () => expect(fittedRange(history(), true).fromSecond).toBe(0));
