import { afterAll, expect, test } from "bun:test";
import { runOutage } from "./outage.ts";
import { stopOpenRigs } from "./rig.ts";

afterAll(stopOpenRigs);

test("ClickHouse is away for two minutes' worth of events: all are stored once, the stream is exact throughout", async () => {
  const result = await runOutage({ minutes: 2, eventsPerSecond: 5_000, speed: 30, progress: () => undefined });
  // How fast, and in how much memory, is for the long run to say: this one is over before either has settled.
  expect(result.problems.filter((problem) => !/^memory|^the backlog/.test(problem))).toEqual([]);
  expect(result.awayEvents).toBe(600_000);
}, 240_000);
