import { expect, test } from "bun:test";
import { chartPoints, stepSeconds } from "./ask-history.ts";

const now = Date.UTC(2026, 5, 1, 12);

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
