import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../testing/test-store.ts";
import { applySchema } from "./apply.ts";

setDefaultTimeout(60_000);

/** An engine of its own: the counters that are read here belong to the whole engine. */
let store: TestStore;
let directory: string;
beforeAll(async () => {
  store = await startTestStore();
  directory = mkdtempSync(join(tmpdir(), "sluice-durable-merges-"));
});
afterAll(async () => {
  await store.stop();
  rmSync(directory, { recursive: true, force: true });
});

const tables = ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"];

function createEvents(n: number): TestEvent[] {
  const startMs = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000;
  return Array.from({ length: 100 }, (_, row) => ({
    device_id: `device-${row % 10}`,
    event_type: "temperature",
    timestamp: startMs + n * 1000 + row,
    value_float: row,
  }));
}

async function readFileSyncs(database: TestDatabase): Promise<number> {
  const [row] = await database.rows<{ syncs: string }>(
    "SELECT sum(value) AS syncs FROM system.events WHERE event = 'FileSync'",
  );
  return Number(row?.syncs);
}

/** Gives every table three parts and merges them, one table at a time: the files that the engine synced for each merge. */
async function countMergeSyncs(database: TestDatabase, batch: string): Promise<Record<string, number>> {
  await database.run("SYSTEM STOP MERGES");
  for (let n = 0; n < 3; n++) await database.insert(createEvents(n), `${batch}-${n}`);
  const syncs: Record<string, number> = {};
  for (const table of tables) {
    const before = await readFileSyncs(database);
    await database.run(`SYSTEM START MERGES ${table}`);
    await database.run(`OPTIMIZE TABLE ${table} FINAL`);
    syncs[table] = (await readFileSyncs(database)) - before;
    await database.run(`SYSTEM STOP MERGES ${table}`);
  }
  return syncs;
}

test("a merge syncs what it writes before its sources go, and so does a mutation", async () => {
  const database = await store.createDatabase();
  const syncs = await countMergeSyncs(database, "new");
  for (const table of tables) expect([table, (syncs[table] ?? 0) > 0]).toEqual([table, true]);

  await database.run("SYSTEM START MERGES telemetry_events");
  const before = await readFileSyncs(database);
  await database.run("ALTER TABLE telemetry_events UPDATE value_string = 'x' WHERE 1 SETTINGS mutations_sync = 1");
  expect(await readFileSyncs(database)).toBeGreaterThan(before);
});

test("the tables of an older release merge without a sync until this release is applied to them", async () => {
  const database = await store.createDatabase({ schema: false });
  const older = join(directory, "older");
  const isOlder = (path: string): boolean => !/\/(?:cluster|00[4-9]_.*|0[1-9]\d_.*)$/.test(path);
  cpSync(import.meta.dir, older, { recursive: true, filter: isOlder });
  const options = { client: database.client, database: database.name, retentionDays: 90 };
  await applySchema({ ...options, directory: older });
  // That nothing is synced is what shows that the counter tells the two apart.
  expect(await countMergeSyncs(database, "older")).toEqual(Object.fromEntries(tables.map((table) => [table, 0])));

  expect((await applySchema(options)).applied).toContain("004_durable_merges.sql");
  const syncs = await countMergeSyncs(database, "newer");
  for (const table of tables) expect([table, (syncs[table] ?? 0) > 0]).toEqual([table, true]);
});
