import { expect, test } from "bun:test";
import { gestureRange } from "./chart-touch.ts";

const start = { from: 100, to: 200 };
test("one finger drags the time along", () =>
  expect(gestureRange(start, [0.5], [0.75])).toEqual({ from: 75, to: 175 }));
test("two fingers apart zoom in around their middle", () =>
  expect(gestureRange(start, [0.4, 0.6], [0.3, 0.7])).toEqual({ from: 125, to: 175 }));
test("two fingers together zoom out", () => {
  const { from, to } = gestureRange(start, [0.3, 0.7], [0.4, 0.6]);
  expect(to - from).toBeCloseTo(200);
});
