import { expect, test } from "bun:test";
import { mosquittoPath } from "../../testing/mosquitto.ts";
import { killRounds } from "./kill-rounds.ts";

test.skipIf(mosquittoPath === null)(
  "six rounds of kills lose nothing that was acknowledged and double nothing that has a key",
  async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const report = await killRounds({ rounds: 6, seed });
    expect({ seed, faults: report.faults }).toEqual({ seed, faults: [] });
    expect(report.rounds).toEqual({ service: 2, broker: 2, both: 2 });
    expect(report.acknowledged).toBeGreaterThan(500);
    expect(report.overHttp).toBe(6 * 400);
  },
  300_000,
);
