import { expect, test } from "bun:test";
import { type CostFacts, computeCosts } from "./costs.ts";

const GiB = 2 ** 30;
const facts: CostFacts = {
  tables: [{ table: "telemetry_events", rows: 1_000, bytes: 20_000, uncompressed: 100_000 }],
  rates: [
    { event_type: "a", events: 10_000_000 },
    { event_type: "b", events: 1_000_000 },
  ],
  widths: [{ event_type: "a", width: 50 }],
  disk: { freeBytes: 1 * GiB, totalBytes: 100 * GiB },
  ageDays: 3,
};

test("bytes a day are events times their width times the table's compression", () => {
  const costs = computeCosts(facts, { days: 90, rules: [{ key: null, pattern: "b", days: 1 }] }, "b=1");
  expect(costs.types).toEqual([
    {
      event_type: "a",
      events_per_day: 10_000_000,
      bytes_per_event: 10,
      bytes_per_day: 1e8,
      retention_days: 90,
      bytes_when_steady: 9e9,
    },
    // Not in the sample: as wide as a row is on average.
    {
      event_type: "b",
      events_per_day: 1_000_000,
      bytes_per_event: 20,
      bytes_per_day: 2e7,
      retention_days: 1,
      bytes_when_steady: 2e7,
    },
  ]);
  expect(costs.bytes_per_day).toBe(1.2e8);
  expect(costs.days_until_full).toBeCloseTo(GiB / 1.2e8);
});

test("a disk does not fill where what expires makes room in time, or nothing comes", () => {
  const retention = { days: 90, rules: [] };
  expect(computeCosts({ ...facts, ageDays: 91 }, retention, "").days_until_full).toBeNull();
  expect(
    computeCosts({ ...facts, disk: { freeBytes: 20 * GiB, totalBytes: 100 * GiB } }, retention, "").days_until_full,
  ).toBeNull();
  expect(computeCosts({ ...facts, rates: [] }, retention, "").days_until_full).toBeNull();
  expect(computeCosts({ ...facts, disk: null }, retention, "").days_until_full).toBeNull();
});
