import { expect, test } from "bun:test";
import { measureVerdicts } from "./verdicts.ts";

// The long form: bun tests/alerts/verdicts.ts --devices 10000 --rules 100 --seconds 60
test("a verdict falls within a second of the acknowledgement, under 100 rules", async () => {
  const { verdicts, p99Ms } = await measureVerdicts({ devices: 1_000, rules: 100, seconds: 3, rate: 2_000 });
  expect(verdicts).toBeGreaterThan(20);
  expect(p99Ms).toBeLessThan(1_000);
}, 60_000);
