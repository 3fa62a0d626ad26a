import { expect, test } from "bun:test";
import { mosquittoPath } from "../../testing/mosquitto.ts";
import { killRounds } from "./kill-rounds.ts";

test.skipIf(mosquittoPath === null)(
  "three rounds of kills lose nothing that was acknowledged and double nothing that has a key",
  async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const report = await killRounds({ rounds: 3, seed });
    expect({ seed, faults: report.faults }).toEqual({ seed, faults: [] });
    expect(report.rounds).toEqual({ service: 1, broker: 1, both: 1 });
    expect(report.acknowledged).toBeGreaterThan(300);
    expect(report.overHttp).toBe(3 * 400);
  },
  300_000,
);
