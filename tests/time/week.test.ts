import { expect, test } from "bun:test";
import { isClockMovable } from "./moved-clock.ts";
import { runWeek } from "./week.ts";

test.skipIf(!isClockMovable())(
  "across hours, days, summer time, weeks, months and years, live view, history and table agree; what is past its time goes",
  async () => {
    const report = await runWeek(true, () => undefined);
    expect(report?.faults).toEqual([]);
    expect(report?.boundaries).toBe(6);
    expect(report?.events).toBeGreaterThan(100);
  },
  120_000,
);
