import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { RowEncoder } from "../contract/row.ts";
import { applySchema } from "../ddl/apply.ts";
import { PASSWORD } from "../testing/test-engine.ts";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../testing/test-store.ts";
import { type ColumnMaker, createColumnMaker } from "./columns/column-maker.ts";
import { BatchProgress } from "./journal/batch-progress.ts";
import type { Batch, RowRange } from "./journal/journal.ts";
import { createRowStore, type RowStore, StatesRefusedError } from "./row-store.ts";
import { classifyFailure } from "./writer/failure.ts";

setDefaultTimeout(120_000);

let store: TestStore;
let columns: ColumnMaker;
const stores: RowStore[] = [];
beforeAll(async () => {
  store = await startTestStore();
  columns = createColumnMaker();
});
afterAll(async () => {
  await Promise.all(stores.map((each) => each.close()));
  columns.stop();
  await store.stop();
});

const handover = (): string => join(store.engine.dataDir, "handover");

function openRowStore(database: TestDatabase): RowStore {
  const opened = createRowStore(
    { urls: [store.engine.url], user: "default", password: PASSWORD, database: database.name, handover: handover() },
    columns,
    60_000,
  );
  stores.push(opened);
  return opened;
}

const startMs = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000;

const createEvents = (n: number, count = 1_000): TestEvent[] =>
  Array.from({ length: count }, (_, row) => ({
    device_id: `device-${(row * 7) % 50}`,
    event_type: `type-${row % 10}`,
    timestamp: startMs + n * 100_000 + row * 50,
    value_float: row % 100,
  }));

function createBatch(events: readonly TestEvent[], token: string, ownStates = true): Batch {
  const body = (range: RowRange = { from: 0, to: events.length }): Readable => {
    const encoder = new RowEncoder();
    for (const event of events.slice(range.from, range.to)) encoder.encode(event, event.timestamp, event.timestamp);
    return Readable.from([encoder.bytes().slice()]);
  };
  return {
    token,
    rowCount: events.length,
    bytes: 0,
    sinceMs: 0,
    epoch: 1,
    body,
    place: null,
    ownStates,
    progress: new BatchProgress(),
    record: () => undefined,
  };
}

const insert = (rows: RowStore, batch: Batch, range: RowRange | null = null) =>
  rows.insert({ batch, range }, range === null ? batch.token : `${batch.token}/${range.from}-${range.to}`, 60_000);

async function expectTotals(database: TestDatabase, ...stored: (readonly TestEvent[])[]): Promise<void> {
  const events = stored.flat();
  const total = { n: events.length, sum: events.reduce((sum, event) => sum + (event.value_float ?? 0), 0) };
  expect(await database.rows("SELECT count() AS n, sum(value_float) AS sum FROM telemetry_events")).toEqual([total]);
  for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h"]) {
    const [found] = await database.rows(
      `SELECT sum(event_count) AS n, sum(value_sum) AS sum, '${table}' AS name FROM ${table}`,
    );
    expect(found).toEqual({ ...total, name: table });
  }
  expect(await database.rows("SELECT sum(event_count) AS n FROM devices")).toEqual([{ n: events.length }]);
}

test("a batch goes in once, with its states, however often it is sent; and so do ranges and other writers' inserts", async () => {
  const database = await store.createDatabase();
  const rows = openRowStore(database);
  const [first, second, others] = [createEvents(1), createEvents(2), createEvents(3)];
  for (let time = 0; time < 3; time++) await insert(rows, createBatch(first, "one"));
  await expectTotals(database, first);
  const ranges = [
    { from: 0, to: 400 },
    { from: 400, to: 1_000 },
  ];
  for (let time = 0; time < 2; time++)
    for (const range of ranges) await insert(rows, createBatch(second, "two"), range);
  await expectTotals(database, first, second);
  for (let time = 0; time < 2; time++) await database.insert(others, "somebody-else");
  await database.insert(others, "");
  await expectTotals(database, first, second, others, others);
  expect(readdirSync(handover())).toEqual([]);
});

for (const table of ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"]) {
  test(`a batch that failed behind ${table} is refused as a whole, and completed by its retry`, async () => {
    const database = await store.createDatabase();
    const rows = openRowStore(database);
    const [first, second] = [createEvents(1), createEvents(2)];
    await insert(rows, createBatch(first, "one"));
    await database.run("CREATE TABLE nowhere (n UInt64) ENGINE = Null");
    await database.run(
      `CREATE MATERIALIZED VIEW broken TO nowhere AS SELECT throwIf(count() > 0, 'broken on purpose') AS n FROM ${table}`,
    );
    for (let attempt = 0; attempt < 2; attempt++) {
      const failure = await insert(rows, createBatch(second, "two")).then(() => null, classifyFailure);
      expect(failure).toMatchObject({ class: "unknown", message: expect.stringContaining("broken on purpose") });
    }
    await database.run("DROP VIEW broken");
    await insert(rows, createBatch(second, "two"));
    await expectTotals(database, first, second);
  });
}

test("states that are refused do not make the rows refused", async () => {
  const database = await store.createDatabase();
  const rows = openRowStore(database);
  const events = createEvents(1);
  await database.run("ALTER TABLE devices ADD CONSTRAINT none CHECK event_count = 0");
  const attempt = insert(rows, createBatch(events, "one"));
  await expect(attempt).rejects.toBeInstanceOf(StatesRefusedError);
  expect(classifyFailure(await attempt.catch((error: unknown) => error))).toMatchObject({
    class: "unknown",
    code: 469,
  });
  await database.run("ALTER TABLE devices DROP CONSTRAINT none");
  await insert(rows, createBatch(events, "one"));
  await expectTotals(database, events);
});

test("rows that are refused leave nothing behind, so that a range can be refused by itself", async () => {
  const database = await store.createDatabase();
  const rows = openRowStore(database);
  const events = createEvents(1);
  await database.run("ALTER TABLE telemetry_events ADD CONSTRAINT low CHECK value_float < 99");
  const failure = await insert(rows, createBatch(events, "one")).then(() => null, classifyFailure);
  expect(failure).toMatchObject({ class: "rejected", code: 469 });
  await insert(rows, createBatch(events, "one"), { from: 0, to: 99 });
  await expectTotals(database, events.slice(0, 99));
});

for (const behind of ["telemetry_events", "telemetry_1s", "devices"]) {
  test(`a batch that an older release half stored, up to ${behind}, is completed the old way after the upgrade`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "sluice-older-"));
    const isOlder = (path: string): boolean => !/\/(?:cluster|00[5-9]_.*|0[1-9]\d_.*)$/.test(path);
    cpSync(join(import.meta.dir, "../ddl"), directory, { recursive: true, filter: isOlder });
    const database = await store.createDatabase({ schema: false });
    const options = { client: database.client, database: database.name, retentionDays: 90 };
    await applySchema({ ...options, directory });
    rmSync(directory, { recursive: true });

    const [first, second, third] = [createEvents(1), createEvents(2), createEvents(3)];
    await database.insert(first, "one");
    await database.run("CREATE TABLE nowhere (n UInt64) ENGINE = Null");
    await database.run(
      `CREATE MATERIALIZED VIEW broken TO nowhere AS SELECT throwIf(count() > 0, 'broken on purpose') AS n FROM ${behind}`,
    );
    await expect(database.insert(second, "two")).rejects.toThrow("broken on purpose");
    await database.run("DROP VIEW broken");

    await applySchema(options);
    const rows = openRowStore(database);
    // As the header of its segment says: its states are the views'.
    for (const [events, token] of [
      [first, "one"],
      [second, "two"],
    ] as const)
      await insert(rows, createBatch(events, token, false));
    await insert(rows, createBatch(third, "three"));
    await expectTotals(database, first, second, third);
  });
}
