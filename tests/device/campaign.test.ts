import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLedger, runCampaign } from "./campaign.ts";

const directory = mkdtempSync(join(tmpdir(), "sluice-ledger-"));
afterAll(() => rmSync(directory, { recursive: true }));

const seed = Math.floor(Math.random() * 1e6);

test(`seed ${seed}: client and service killed at random, nothing is lost, nothing is there twice`, async () => {
  const rounds = await runCampaign({ rounds: 3, events: 3_000, seed, say: () => undefined });
  expect(rounds.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(rounds.reduce((sum, { clientKills, serviceKills }) => sum + clientKills + serviceKills, 0)).toBeGreaterThan(0);
}, 180_000);

test("an event is sent when its mark is behind it, and in doubt when a kill came before", () => {
  const ledger = join(directory, "ledger");
  writeFileSync(ledger, "0 .1 .2 3 .4 ");
  expect(readLedger(ledger)).toEqual({ sent: new Set([0, 1, 3]), inDoubt: new Set([2, 4]) });
});
