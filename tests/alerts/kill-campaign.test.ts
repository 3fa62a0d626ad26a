import { expect, test } from "bun:test";
import { runKillCampaign } from "./kill-campaign.ts";

// The long form: bun tests/alerts/kill-campaign.ts --rounds 100 --devices 10000
test("whatever is killed at whatever moment, every alarm and its end is told exactly once by id", async () => {
  const result = await runKillCampaign({ rounds: 1, devices: 1_000, heartbeats: 100, seed: 7, log: () => undefined });
  expect(result.faults.slice(0, 10)).toEqual([]);
  expect(result.transitions).toBe(2 * 110);
  expect(Object.keys(result.kills).length).toBeGreaterThan(0);
}, 240_000);
