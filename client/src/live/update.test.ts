import { describe, expect, test } from "bun:test";
import type { History } from "../../../contract/read.ts";
import { historyRates, parseUpdate } from "./update.ts";

const start = Date.UTC(2026, 0, 1);
function history(counts: Record<string, Record<number, number>>, seconds: number, step = 1): History {
  return {
    from: new Date(start).toISOString(),
    to: new Date(start + seconds * 1000).toISOString(),
    step_seconds: step,
    source: "telemetry_1s",
    series: Object.entries(counts).map(([event_type, points]) => ({
      event_type,
      points: Object.entries(points).map(([second, count]) => ({
        time: new Date(start + Number(second) * 1000).toISOString(),
        count,
        avg: null,
        min: null,
        max: null,
        p50: null,
        p95: null,
        p99: null,
      })),
    })),
  };
}

describe("history as the stream's rate", () => {
  test("a steady type has its rate, whatever the step", () => {
    for (const step of [1, 5]) {
      const counts = Object.fromEntries(Array.from({ length: 60 / step }, (_, index) => [index * step, 8 * step]));
      const [series] = historyRates(history({ a: counts }, 60, step), Number.POSITIVE_INFINITY);
      expect([...series!.rates.slice(10)]).toEqual(Array.from({ length: 50 }, () => 8));
    }
  });
  test("a type without events while others have some is zero; a time without any event is a gap", () => {
    const [a, b] = historyRates(history({ a: { 0: 10 }, b: { 0: 10, 40: 10 } }, 60), Number.POSITIVE_INFINITY);
    expect(a!.rates[45]).toBe(0);
    expect(b!.rates[45]).toBe(1);
    expect(Number.isNaN(a!.rates[30]!)).toBe(true);
  });
  test("a step that is not all stored yet is left out, and is no dip", () => {
    const counts = { 0: 80, 10: 80, 20: 80, 30: 30 };
    const [series] = historyRates(history({ a: counts }, 38, 10), start / 1000 + 33);
    expect([...series!.rates.slice(10)]).toEqual(Array.from({ length: 20 }, () => 8));
  });
});

test("what is not an update is refused, not thrown", () => {
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"timestamp":1}',
    '{"timestamp":"t","window_seconds":600,"aggregations":[{}],"totals":{},"pipeline":{}}',
  ]) {
    expect(parseUpdate(text)).toBeUndefined();
  }
});
