import { expect, test } from "bun:test";
import { assert, boolean, constantFrom, integer, option, property } from "fast-check";
import { limits } from "../../contract/limits.ts";
import { planHistory, rollups } from "./history-plan.ts";

const secondMs = 1_000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const nowMs = Date.UTC(2026, 10, 22, 12, 34, 56, 789);

const plan = (lengthMs: number, stepSeconds?: number, endMs = nowMs) =>
  planHistory({ range: { fromMs: endMs - lengthMs, toMs: endMs }, nowMs, stepSeconds, byDevice: false });

test("any range and step: few enough points, whole steps, a table that has the range", () => {
  assert(
    property(
      integer({ min: 1, max: 40 * 365 * 86_400 }),
      integer({ min: 0, max: 40 * 365 * 86_400 }),
      option(integer({ min: 1, max: 366 * 86_400 }), { nil: undefined }),
      boolean(),
      (lengthSeconds, agoSeconds, stepSeconds, byDevice) => {
        const toMs = Math.max(lengthSeconds * secondMs, nowMs - agoSeconds * secondMs);
        const range = { fromMs: toMs - lengthSeconds * secondMs, toMs };
        const found = planHistory({ range, nowMs, stepSeconds, byDevice });
        const points = Math.ceil(toMs / 1000 / found.stepSeconds) - Math.floor(range.fromMs / 1000 / found.stepSeconds);
        expect(points).toBeLessThanOrEqual(limits.historyPoints);
        expect(found.stepSeconds).toBeGreaterThanOrEqual(stepSeconds ?? 1);
        if (byDevice) {
          expect(found).toMatchObject({ table: "telemetry_events", range });
          return;
        }
        const rollup = rollups.find((each) => each.table === found.table)!;
        expect(found.stepSeconds % rollup.unitSeconds).toBe(0);
        expect(nowMs - range.fromMs).toBeLessThanOrEqual(rollup.keptSeconds * secondMs);
        expect(found.range.fromMs).toBeLessThanOrEqual(range.fromMs);
        expect(found.range.toMs).toBeGreaterThanOrEqual(range.toMs);
        expect(found.range.fromMs % (rollup.unitSeconds * secondMs)).toBe(0);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("steps chosen by itself are the ones people read easily", () => {
  const steps = [
    [10_000, 1, "telemetry_1s"],
    [5 * 60_000, 1, "telemetry_1s"],
    [hourMs, 10, "telemetry_1s"],
    [6 * hourMs, 60, "telemetry_1m"],
    [dayMs, 300, "telemetry_1m"],
    [7 * dayMs, 1_800, "telemetry_1m"],
    [30 * dayMs, 7_200, "telemetry_1h"],
    [365 * dayMs, 86_400, "telemetry_1h"],
    [10 * 365 * dayMs, 8 * 86_400, "telemetry_1h"],
  ] as const;
  for (const [lengthMs, stepSeconds, table] of steps) {
    expect(plan(lengthMs)).toMatchObject({ stepSeconds, table });
  }
});

test("a step that is asked for is taken as it is, or widened to the next that will do", () => {
  const steps = [
    [hourMs, 7, 7, "telemetry_1s"],
    [hourMs, 60, 60, "telemetry_1m"],
    [hourMs, 90, 90, "telemetry_1s"],
    [hourMs, 3_600, 3_600, "telemetry_1h"],
    [hourMs, 1, 2, "telemetry_1s"],
    [dayMs, 1, 60, "telemetry_1m"],
    [30 * dayMs, 60, 1_800, "telemetry_1m"],
  ] as const;
  for (const [lengthMs, asked, stepSeconds, table] of steps) {
    expect(plan(lengthMs, asked)).toMatchObject({ stepSeconds, table });
  }
});

test("what is finer than what is kept is widened", () => {
  assert(
    property(constantFrom(1, 7, 59, 90), (asked) => {
      expect(plan(60_000, asked, nowMs - 8 * dayMs).stepSeconds % 60).toBe(0);
      expect(plan(60_000, asked, nowMs - 400 * dayMs).stepSeconds % 3_600).toBe(0);
    }),
  );
});
