import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../testing/test-store.ts";
import { until } from "../testing/until.ts";
import { insertSettings, readInsertSettings } from "./insert-settings.ts";

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
beforeAll(async () => {
  store = await startTestStore();
});
afterAll(async () => {
  await store.stop();
});

const startMs = Date.now() - 3_600_000;

/** Deterministic: batch `n` is always the same rows; they span two hours, 10 types and 50 devices. */
function createBatch(n: number, rows: number): TestEvent[] {
  return Array.from({ length: rows }, (_, row) => ({
    device_id: `device-${(row * 7 + n) % 50}`,
    event_type: `type-${(row + n) % 10}`,
    timestamp: startMs + n * 1_000 + ((row * 7_919) % 3_600_000),
    ...(row % 3 === 0 ? {} : { value_float: ((row * 31 + n) % 1_000) / 10 }),
  }));
}

interface Totals {
  events: number;
  values: number;
  sum: number;
}

/** What each table says was stored, through the functions that INTERFACE names. */
async function readTotals(database: TestDatabase): Promise<Record<string, Totals>> {
  const totals: Record<string, Totals> = {};
  for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h"]) {
    const [row] = await database.rows<Totals>(
      `SELECT sum(event_count) AS events, sum(value_count) AS values, round(sum(value_sum), 3) AS sum FROM ${table}`,
    );
    totals[table] = row as Totals;
  }
  const [raw] = await database.rows<Totals>(
    "SELECT count() AS events, count(value_float) AS values, round(sum(value_float), 3) AS sum FROM telemetry_events",
  );
  const [devices] = await database.rows<{ events: number }>("SELECT sum(event_count) AS events FROM devices");
  return { ...totals, telemetry_events: raw as Totals, devices: { events: devices?.events ?? 0, values: 0, sum: 0 } };
}

/** What they should say. */
function totalsOf(...batches: TestEvent[][]): Record<string, Totals> {
  const values = batches.flat().flatMap((event) => event.value_float ?? []);
  const sum = Math.round(values.reduce((total, value) => total + value, 0) * 1_000) / 1_000;
  const events = batches.flat().length;
  const all = { events, values: values.length, sum };
  return {
    telemetry_1s: all,
    telemetry_1m: all,
    telemetry_1h: all,
    telemetry_events: all,
    devices: { events, values: 0, sum: 0 },
  };
}

/** Rows of every table as they are, states included: what a repeated insert must leave alone. */
async function readParts(database: TestDatabase): Promise<unknown> {
  return database.rows(
    `SELECT table, sum(rows) AS rows FROM system.parts
     WHERE database = currentDatabase() AND active GROUP BY table ORDER BY table`,
  );
}

test("an insert repeated under its token changes nothing in any table", async () => {
  const database = await store.createDatabase();
  const batch = createBatch(1, 5_000);
  await database.insert(batch, "journal-1");
  expect(await readTotals(database)).toEqual(totalsOf(batch));
  for (const table of ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"]) {
    await database.run(`OPTIMIZE TABLE ${table} FINAL`);
  }
  const before = await readParts(database);
  for (let attempt = 0; attempt < 3; attempt++) await database.insert(batch, "journal-1");
  expect(await readTotals(database)).toEqual(totalsOf(batch));
  expect(await readParts(database)).toEqual(before);
});

test("equal events under another token are other events", async () => {
  const database = await store.createDatabase();
  const batch = createBatch(1, 5_000);
  await database.insert(batch, "journal-1");
  await database.insert(batch, "journal-2");
  expect(await readTotals(database)).toEqual(totalsOf(batch, batch));
});

test("a server whose profile switches deduplication off is overruled, by whichever setting it knows", async () => {
  const database = await store.createDatabase();
  const batch = createBatch(1, 5_000);
  const pinned = await readInsertSettings(database.client);
  const knowsNewer = "deduplicate_insert" in pinned;
  // The engine of this test is one that does; an older one has only the other.
  expect(knowsNewer).toBe(true);
  await database.insert(batch, "journal-1", { insert_deduplicate: 0 });
  await database.insert(batch, "journal-1", { insert_deduplicate: 0 });
  expect(await readTotals(database)).toEqual(totalsOf(batch));
  // Why both are pinned: without the newer one the older one says nothing.
  const off = { ...insertSettings, deduplicate_insert: "disable" };
  await database.insert(batch, "journal-1", off);
  expect(await readTotals(database)).toEqual(totalsOf(batch, batch));
});

for (const source of ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"]) {
  test(`an insert that failed behind ${source} is completed by its retry`, async () => {
    const database = await store.createDatabase();
    const [first, second, third] = [createBatch(1, 5_000), createBatch(2, 5_000), createBatch(3, 5_000)];
    await database.insert(first, "journal-1");
    await database.run("CREATE TABLE nowhere (n UInt64) ENGINE = Null");
    await database.run(
      `CREATE MATERIALIZED VIEW broken TO nowhere AS SELECT throwIf(count() > 0, 'broken on purpose') AS n FROM ${source}`,
    );
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(database.insert(second, "journal-2")).rejects.toThrow("broken on purpose");
    }
    await database.run("DROP VIEW broken");
    await database.insert(second, "journal-2");
    expect(await readTotals(database)).toEqual(totalsOf(first, second));
    await database.insert(third, "journal-3");
    await database.insert(second, "journal-2");
    expect(await readTotals(database)).toEqual(totalsOf(first, second, third));
  });
}

test("an insert cut short by the engine's death is completed by its retry", async () => {
  const database = await store.createDatabase();
  const batches: TestEvent[][] = [];
  for (let n = 0; n < 3; n++) {
    const batch = createBatch(n, 100_000);
    batches.push(batch);
    const pid = store.engine.clickhouse.status().pid as number;
    // Somewhere between parsing and the last view: whichever it is, the retry settles it.
    const attempt = database.insert(batch, `journal-${n}`).then(
      () => "stored",
      () => "failed",
    );
    const parts = `SELECT 1 FROM system.parts WHERE database = '${database.name}' AND table = 'telemetry_1s' AND active`;
    if (n === 0) await until("a rollup is written", async () => (await database.rows(parts)).length > 0);
    else await Bun.sleep(20 * n);
    process.kill(pid, "SIGKILL");
    await attempt;
    await until("the engine is back", async () => {
      const { state, pid: next } = store.engine.clickhouse.status();
      return state === "running" && next !== pid;
    });
    await database.insert(batch, `journal-${n}`);
  }
  expect(await readTotals(database)).toEqual(totalsOf(...batches));
});

test("a batch beyond ClickHouse's own block size is still one block", async () => {
  const database = await store.createDatabase();
  const event = { device_id: "a", event_type: "t", timestamp: startMs };
  const batch: TestEvent[] = new Array(1_100_000).fill(event);
  await database.insert(batch, "journal-1");
  expect(
    await database.rows(
      "SELECT rows FROM system.parts WHERE database = currentDatabase() AND table = 'telemetry_events' AND active",
    ),
  ).toEqual([{ rows: 1_100_000 }]);
});

test("values of any size a double can have are stored, rolled up and merged", async () => {
  const database = await store.createDatabase();
  const values = [5e-324, 1e-300, -1e-300, 1e-18, 0, -0, 1e21, 1e300, -1e300, Number.MAX_VALUE];
  const batch = values.map((value_float) => ({ device_id: "a", event_type: "t", timestamp: startMs, value_float }));
  await database.insert(batch, "journal-1");
  await database.insert(batch, "journal-2");
  for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h"]) {
    await database.run(`OPTIMIZE TABLE ${table} FINAL`);
    const [row] = await database.rows(
      `SELECT sum(event_count) AS n, min(value_min) AS lowest, max(value_max) AS highest,
              quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(value_quantiles) AS quantiles FROM ${table}`,
    );
    expect(row).toEqual({
      n: 20,
      lowest: -1e300,
      highest: Number.MAX_VALUE,
      quantiles: [expect.any(Number), expect.any(Number), expect.any(Number)],
    });
  }
});

test("a rollup row without a value has null extremes and a zero sum", async () => {
  const database = await store.createDatabase();
  await database.insert([{ device_id: "a", event_type: "t", timestamp: startMs }], "journal-1");
  for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h"]) {
    expect(
      await database.rows(
        `SELECT sum(event_count) AS n, sum(value_count) AS values, sum(value_sum) AS total, min(value_min) AS lowest, max(value_max) AS highest FROM ${table}`,
      ),
    ).toEqual([{ n: 1, values: 0, total: 0, lowest: null, highest: null }]);
  }
});
