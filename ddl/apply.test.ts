import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestStore, type TestDatabase, type TestStore } from "../testing/test-store.ts";
import { until } from "../testing/until.ts";
import { applySchema, retentionDaysMax, SchemaError } from "./apply.ts";

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
let directory: string;
beforeAll(async () => {
  store = await startTestStore();
  directory = mkdtempSync(join(tmpdir(), "sluice-ddl-"));
});
afterAll(async () => {
  await store.stop();
  rmSync(directory, { recursive: true, force: true });
});

const files = [
  "001_telemetry_events.sql",
  "002_rollups.sql",
  "003_devices.sql",
  "004_durable_merges.sql",
  "005_fleet.sql",
  "006_own_states.sql",
  "007_fewer_merges.sql",
];
const tables = ["device_changes", "devices", "telemetry_1h", "telemetry_1m", "telemetry_1s", "telemetry_events"];

const dayMs = 86_400_000;

/** A copy of the schema files that a test may change. */
function copySchema(name: string): string {
  const to = join(directory, name);
  cpSync(import.meta.dir, to, { recursive: true, filter: (path) => path === import.meta.dir || path.endsWith(".sql") });
  return to;
}

const apply = (database: TestDatabase, options: { retentionDays?: number; directory?: string } = {}) =>
  applySchema({ client: database.client, database: database.name, retentionDays: 90, ...options });

test("applies every file once, in order, and records it", async () => {
  const database = await store.createDatabase({ schema: false });
  expect(await apply(database)).toEqual({ applied: files, retentionChanged: false });
  expect(await apply(database)).toEqual({ applied: [], retentionChanged: false });
  const records = await database.rows<{ number: number; name: string }>(
    "SELECT number, name FROM sluice_schema ORDER BY number",
  );
  expect(records).toEqual(files.map((name, index) => ({ number: index + 1, name })));
});

test("creates the database when it is missing", async () => {
  const database = await store.createDatabase({ schema: false });
  const result = await applySchema({ client: database.client, database: "made_by_apply", retentionDays: 90 });
  expect(result.applied).toEqual(files);
});

test("every target of an insert remembers tokens and survives a power cut", async () => {
  const database = await store.createDatabase();
  const found = await database.rows<{ name: string; engine_full: string }>(
    `SELECT name, engine_full FROM system.tables
     WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'sluice_schema' ORDER BY name`,
  );
  expect(found.map((table) => table.name)).toEqual(tables);
  for (const table of found) {
    expect(table.engine_full).toContain("non_replicated_deduplication_window = 10000");
    expect(table.engine_full).toContain("fsync_after_insert = 1");
    expect(table.engine_full).toContain("min_rows_to_fsync_after_merge = 1");
  }
});

test("several instances may apply at the same moment", async () => {
  const database = await store.createDatabase({ schema: false });
  const results = await Promise.all(Array.from({ length: 8 }, () => apply(database, { retentionDays: 30 })));
  expect(results.some((result) => result.applied.length > 0)).toBe(true);
  expect(await apply(database, { retentionDays: 30 })).toEqual({ applied: [], retentionChanged: false });
  const [views] = await database.rows<{ n: string }>(
    "SELECT count() AS n FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView'",
  );
  expect(Number(views?.n)).toBe(4);
  expect(
    await database.rows("SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%_renamed'"),
  ).toEqual([]);
});

test("a call that died half-way is completed by the next", async () => {
  const database = await store.createDatabase();
  await database.run("TRUNCATE TABLE sluice_schema");
  await database.run("DROP TABLE devices_view");
  expect((await apply(database)).applied).toEqual(files);
  await database.insert([{ device_id: "a", event_type: "t", timestamp: Date.now() }], "one");
  expect(await database.rows("SELECT device_id FROM devices")).toEqual([{ device_id: "a" }]);
});

test("refuses a file that has changed since it was applied, and names it", async () => {
  const database = await store.createDatabase();
  const changed = copySchema("changed");
  const path = join(changed, "002_rollups.sql");
  writeFileSync(path, readFileSync(path, "utf8").replace("toIntervalDay(7)", "toIntervalDay(8)"));
  const attempt = apply(database, { directory: changed });
  await expect(attempt).rejects.toBeInstanceOf(SchemaError);
  await expect(attempt).rejects.toThrow("002_rollups.sql");
});

test("a comment or a line break in an applied file may change", async () => {
  const database = await store.createDatabase();
  const edited = copySchema("edited");
  const path = join(edited, "003_devices.sql");
  writeFileSync(
    path,
    `-- A note; with a semicolon.;\n${readFileSync(path, "utf8").replace("ORDER BY device_id", "ORDER BY\n    device_id")}`,
  );
  expect((await apply(database, { directory: edited })).applied).toEqual([]);
});

test("applies a new file to an existing database, and refuses a database that has one it does not know", async () => {
  const database = await store.createDatabase();
  const newer = copySchema("newer");
  const noteFile = `${String(files.length + 1).padStart(3, "0")}_note.sql`;
  writeFileSync(
    join(newer, noteFile),
    "ALTER TABLE {database}.devices ADD COLUMN IF NOT EXISTS extra SimpleAggregateFunction(max, UInt8);\n",
  );
  expect((await apply(database, { directory: newer })).applied).toEqual([noteFile]);
  const attempt = apply(database);
  await expect(attempt).rejects.toBeInstanceOf(SchemaError);
  await expect(attempt).rejects.toThrow(noteFile);
});

test("refuses files with a gap in their numbers", async () => {
  const database = await store.createDatabase({ schema: false });
  const gap = copySchema("gap");
  rmSync(join(gap, "002_rollups.sql"));
  await expect(apply(database, { directory: gap })).rejects.toThrow("003_devices.sql");
});

test("refuses a database name or a retention that it would have to splice", async () => {
  const { client } = await store.createDatabase({ schema: false });
  for (const database of ["", "a b", "a`; DROP TABLE x", "1a"]) {
    await expect(applySchema({ client, database, retentionDays: 90 })).rejects.toBeInstanceOf(SchemaError);
  }
  for (const retentionDays of [0, -1, 1.5, Number.NaN, 40_000]) {
    await expect(applySchema({ client, database: "x", retentionDays })).rejects.toBeInstanceOf(SchemaError);
  }
});

test("a shorter retention drops what is already too old, without rewriting the rest", async () => {
  const database = await store.createDatabase();
  const now = Date.now();
  const old = { device_id: "a", event_type: "t", timestamp: now - 40 * dayMs };
  await database.insert([old, { ...old, timestamp: now }], "one");

  expect(await apply(database, { retentionDays: 20 })).toEqual({ applied: [], retentionChanged: true });
  expect(await apply(database, { retentionDays: 20 })).toEqual({ applied: [], retentionChanged: false });
  // The parts' own bounds follow by a mutation that reads one column and writes none; a part past its bound goes whole.
  await until("the old event is dropped", async () => {
    const [left] = await database.rows<{ n: number }>("SELECT count() AS n FROM telemetry_events");
    return Number(left?.n) === 1;
  });
  const [kept] = await database.rows<{ days: string }>(
    `SELECT max(dateDiff('day', now(), delete_ttl_info_max)) AS days FROM system.parts
     WHERE database = currentDatabase() AND table = 'telemetry_events' AND active AND rows > 0`,
  );
  expect(Number(kept?.days)).toBe(20);
  // The registry and the rollups are not a matter of retention.
  expect(await database.rows("SELECT sum(event_count) AS n FROM devices")).toEqual([{ n: 2 }]);
});

test("an event older than a rollup's own time still reaches the longer ones", async () => {
  const database = await store.createDatabase();
  await database.insert(
    [{ device_id: "a", event_type: "t", timestamp: Date.now() - 29 * dayMs, value_float: 5 }],
    "one",
  );
  await database.run("OPTIMIZE TABLE telemetry_1s FINAL");
  for (const table of ["telemetry_1m", "telemetry_1h"]) {
    expect(await database.rows(`SELECT sum(event_count) AS n FROM ${table}`)).toEqual([{ n: 1 }]);
  }
});

test("events of the whole allowed age, spread over every day, are one insert", async () => {
  const database = await store.createDatabase();
  const now = Date.now();
  const events = Array.from({ length: 31 }, (_, day) => ({
    device_id: "a",
    event_type: "t",
    timestamp: now + 300_000 - day * dayMs,
  }));
  await database.insert(events, "one");
  expect(await database.rows("SELECT sum(event_count) AS n FROM telemetry_1h")).toEqual([{ n: 31 }]);
});

test("nothing has expired at the longest retention", async () => {
  const database = await store.createDatabase({ schema: false });
  await apply(database, { retentionDays: retentionDaysMax });
  await database.client.command({
    query: `INSERT INTO ${database.name}.telemetry_events (timestamp, received_at, device_id, event_type) VALUES (now64(3), now64(3), 'd', 't')`,
  });
  await database.client.command({ query: `OPTIMIZE TABLE ${database.name}.telemetry_events FINAL` });
  expect(await database.rows("SELECT count() AS n FROM telemetry_events")).toEqual([{ n: 1 }]);
  await expect(apply(database, { retentionDays: retentionDaysMax + 1 })).rejects.toThrow(SchemaError);
});
