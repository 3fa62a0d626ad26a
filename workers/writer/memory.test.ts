import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Readable } from "node:stream";
import { RowEncoder } from "../../contract/row.ts";
import { PASSWORD } from "../../testing/test-engine.ts";
import { startTestStore, type TestEvent, type TestStore } from "../../testing/test-store.ts";
import { createColumnMaker } from "../columns/column-maker.ts";
import { BatchProgress } from "../journal/batch-progress.ts";
import type { Batch, RowRange } from "../journal/journal.ts";
import { createRowStore } from "../row-store.ts";
import { createInserter } from "./inserter.ts";

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(120_000);

let store: TestStore;
beforeAll(async () => {
  store = await startTestStore();
});
afterAll(() => store.stop());

function createBatch(events: readonly TestEvent[]): Batch {
  const encoder = new RowEncoder();
  const ends = events.map((event) => {
    encoder.encode(event, event.timestamp, event.timestamp);
    return encoder.byteLength;
  });
  const rows = encoder.bytes();
  const startOf = (row: number): number => (row === 0 ? 0 : (ends[row - 1] as number));
  const progress = new BatchProgress();
  return {
    token: "journal-1-nonce",
    rowCount: events.length,
    bytes: rows.length,
    sinceMs: 0,
    epoch: 1,
    progress,
    place: null,
    ownStates: true,
    body: (range: RowRange = { from: 0, to: events.length }) =>
      Readable.from([Buffer.from(rows.subarray(startOf(range.from), startOf(range.to)))]),
    record: (record) => progress.add(record),
  };
}

for (const [by, handover] of [
  ["views", () => ({})],
  ["us", () => ({ handover: join(store.engine.dataDir, "handover") })],
] as const)
  test(`with states made by ${by}, 10,000 types with values of every magnitude are stored, though one insert of them is more than the engine has`, async () => {
    const database = await store.createDatabase();
    const values = [1e-18, 1e21, -1e-18, -1e21];
    const types = 10_000;
    const timestamp = Date.now() - 3_600_000;
    const events = Array.from({ length: types * values.length }, (_, index) => ({
      device_id: `device-${index % 100}`,
      event_type: `type-${index % types}`,
      value_float: values[Math.floor(index / types)] as number,
      timestamp,
    }));
    const columns = createColumnMaker();
    const rowStore = createRowStore(
      { urls: [store.engine.url], user: "default", password: PASSWORD, database: database.name, ...handover() },
      columns,
      60_000,
    );
    const inserter = createInserter(
      {
        store: rowStore,
        deadLetters: { count: 0, has: () => false, tryAppend: () => false, close: () => undefined },
        now: Date.now,
        random: Math.random,
        pause: (ms) => Bun.sleep(ms),
        log: () => undefined,
        onStatus: () => undefined,
      },
      { database: database.name, retentionDays: 90, cluster: null, insertTimeoutMs: 60_000 },
    );
    const startedMs = performance.now();
    const stored = await inserter.store(createBatch(events), () => performance.now() - startedMs > 90_000);
    await rowStore.close();
    columns.stop();
    expect({ ...stored, retries: inserter.retries, lastError: inserter.lastError }).toMatchObject({
      deadLettered: 0,
      retries: 0,
      lastError: null,
    });
    for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"]) {
      expect(await database.rows(`SELECT sum(event_count) AS n FROM ${table}`)).toEqual([{ n: events.length }]);
    }
    expect(await database.rows("SELECT count() AS n, uniqExact(event_type) AS types FROM telemetry_events")).toEqual([
      { n: events.length, types },
    ]);
  });
