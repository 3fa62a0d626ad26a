import { expect, test } from "bun:test";
import { createRateMeter } from "./rate-meter.ts";

test("a steady counter has its rate", () => {
  const meter = createRateMeter(5_000);
  let rate: number | null = null;
  for (let second = 0; second <= 20; second++) rate = meter(second * 1000, second * 250);
  expect(rate).toBe(250);
});
test("one sample is not a rate", () => expect(createRateMeter()(0, 10)).toBeNull());
test("a restarted counter is never a negative rate", () => {
  const meter = createRateMeter();
  meter(0, 1_000_000);
  meter(2000, 1_000_100);
  expect(meter(4000, 5)).toBeNull();
  expect(meter(6000, 205)).toBe(100);
});
test("what it remembers is bounded by its window", () => {
  const meter = createRateMeter(2_000);
  for (let at = 0; at < 100_000; at += 100) meter(at, 0);
  expect(meter(100_000, 1_000)).toBe(500);
});
