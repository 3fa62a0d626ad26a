import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Readable } from "node:stream";
import fc from "fast-check";
import { RowEncoder, TruncatedRowError } from "../../contract/row.ts";
import { readInsertSettings } from "../../ddl/insert-settings.ts";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../../testing/test-store.ts";
import { BlockMaker } from "./batch-blocks.ts";
import type { NativeBlock } from "./native-block.ts";

setDefaultTimeout(120_000);

let store: TestStore;
/** Filled by RowBinary and the views, and by our blocks; every test empties both. */
let byViews: TestDatabase;
let byBlocks: TestDatabase;
beforeAll(async () => {
  store = await startTestStore();
  byViews = await store.createDatabase();
  byBlocks = await store.createDatabase();
  // What is older than a table's own time must not be dropped in the one and still be there in the other.
  await byViews.run("SYSTEM STOP MERGES");
  for (const view of ["telemetry_1s_view", "devices_view"]) await byBlocks.run(`DROP VIEW ${view}`);
});
afterAll(() => store.stop());

const tables = ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"];

async function insertBlock(table: string, block: NativeBlock): Promise<void> {
  const result = await byBlocks.client.exec({
    query: `INSERT INTO ${table} FORMAT Native`,
    values: Readable.from([Buffer.concat(block)]),
    clickhouse_settings: await readInsertSettings(byBlocks.client),
  });
  for await (const _ of result.stream) throw new Error("an INSERT has no result");
}

function encode(events: readonly TestEvent[]): Uint8Array {
  const encoder = new RowEncoder();
  for (const event of events) encoder.encode(event, event.timestamp, event.received_at ?? event.timestamp);
  return encoder.bytes();
}

/** Pieces as a reader gives them: cut anywhere, in the middle of a row and of a length. */
function cut(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, length = 1; at < bytes.length; at += length, length = (length * 31 + 7) % 4093) {
    pieces.push(bytes.subarray(at, at + length));
  }
  return pieces;
}

let inserts = 0;
/** One for all batches, as the thread has it: what an earlier one left must not show. */
const maker = new BlockMaker();

async function insertBoth(events: readonly TestEvent[]): Promise<void> {
  for (const database of [byViews, byBlocks]) for (const table of tables) await database.run(`TRUNCATE TABLE ${table}`);
  await byViews.insert(events, `batch-${++inserts}`);
  const { events: raw, states } = maker.make(cut(encode(events)), events.length, true);
  if (states === null) throw new Error("no states");
  await insertBlock("telemetry_events", raw);
  await insertBlock("telemetry_1s", states.rollups);
  await insertBlock("devices", states.devices);
}

/** States as their bytes, sums apart: they depend on the order in which numbers are added. */
async function readTable(database: TestDatabase, table: string): Promise<string[]> {
  const columns = await database.rows<{ name: string; type: string }>(
    `SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '${table}' ORDER BY position`,
  );
  const selected = columns
    .filter(({ name }) => name !== "value_sum")
    .map(({ name, type }) =>
      type.startsWith("AggregateFunction")
        ? `hex(${name}) AS ${name}_state, toString(finalizeAggregation(${name})) AS ${name}_final`
        : `toString(${name}) AS ${name}_text`,
    );
  const rows = await database.rows(`SELECT ${selected.join(", ")} FROM ${table} ORDER BY ALL`);
  return rows.map((row) => JSON.stringify(row));
}

async function expectEqualSums(table: string): Promise<void> {
  const sql = `SELECT time, event_type, sum(value_sum) AS total, max(abs(value_max)) + max(abs(value_min)) AS size
    FROM ${table} GROUP BY time, event_type ORDER BY time, event_type`;
  type Sum = { total: number; size: number | null };
  const [views, blocks] = [await byViews.rows<Sum>(sql), await byBlocks.rows<Sum>(sql)];
  expect(blocks.length).toBe(views.length);
  for (const [index, { total, size }] of views.entries()) {
    const difference = Math.abs((blocks[index]?.total ?? Number.NaN) - total);
    expect(difference).toBeLessThanOrEqual((size ?? 0) * 1e-12);
  }
}

async function expectEqualTables(): Promise<void> {
  for (const table of tables) {
    const views = await readTable(byViews, table);
    expect(views.length).toBeGreaterThan(0);
    expect(await readTable(byBlocks, table)).toEqual(views);
  }
  for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h"]) await expectEqualSums(table);
}

const nowMs = Math.floor(Date.now() / 86_400_000) * 86_400_000;

const magnitudes = fc
  .tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.integer({ min: -1074, max: 1000 }))
  .map(([mantissa, exponent]) => mantissa * 2 ** exponent);
const valueArbitrary = fc.oneof(
  magnitudes,
  fc.integer({ min: -1000, max: 1000 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, 1e-18, -1e-18, 9.999e-19, 1, -1, 0.5, 1e21, 1.1e21, -1e300, 5e-324, Number.MAX_VALUE),
);
const nameArbitrary = (max: number) =>
  fc.oneof(
    fc.constantFrom("a", "b", "device-1", "device-10", "ä", "\u{10000}", "\uffff"),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: max }),
  );
const textArbitrary = (maxLength: number) =>
  fc.oneof(
    fc.string({ unit: "grapheme", maxLength }),
    fc.constantFrom("a\x1fb", "\x1f", '/\\"\n\x00\x1f\x7f', "\u2028\x1f", "\\u00ab\x1f", "_".repeat(300)),
  );
const eventArbitrary: fc.Arbitrary<TestEvent> = fc.record(
  {
    device_id: nameArbitrary(200),
    event_type: nameArbitrary(128),
    timestamp: fc.oneof(
      fc.integer({ min: nowMs, max: nowMs + 3_000 }),
      fc.constantFrom(1, 8, 29).map((days) => nowMs - days * 86_400_000),
    ),
    received_at: fc.integer({ min: nowMs, max: nowMs + 10_000 }),
    value_float: fc.option(valueArbitrary),
    value_string: fc.option(fc.string({ unit: "grapheme", maxLength: 300 })),
    metadata: fc.dictionary(textArbitrary(20), textArbitrary(40), { maxKeys: 5 }),
  },
  { requiredKeys: ["device_id", "event_type", "timestamp"] },
);

describe("a batch by columns", () => {
  test("stores what the rows and the views store, to the byte of every state", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(eventArbitrary, { minLength: 1, maxLength: 400 }), async (events) => {
        await insertBoth(events);
        await expectEqualTables();
      }),
      { numRuns: 8, endOnFailure: true },
    );
  });

  test("does so with many devices, types and values, in any order of time", async () => {
    const events = Array.from({ length: 20_000 }, (_, row) => ({
      device_id: `device-${(row * 7_919) % 2_003}`,
      event_type: `type-${(row * 31) % 401}`,
      timestamp: nowMs + ((row * 7_907) % 1_900_000),
      ...(row % 5 === 0 ? {} : { value_float: Math.sin(row) * 10 ** ((row % 41) - 20) }),
      ...(row % 3 === 0 ? { metadata: { site: `site-${row % 7}`, rack: `${row % 11}` } } : {}),
    }));
    await insertBoth(events);
    await expectEqualTables();
  });

  test("is sorted by the key of the table", async () => {
    const events = Array.from({ length: 5_000 }, (_, row) => ({
      device_id: ["ä", "a", "\u{10000}", "\uffff", `d${row % 700}`][row % 5] as string,
      event_type: "t",
      timestamp: nowMs + (5_000 - row) * 300,
    }));
    const { events: block } = maker.make([encode(events)], events.length, false);
    await byBlocks.run("CREATE TABLE unsorted AS telemetry_events ENGINE = Memory");
    await insertBlock("unsorted", block);
    const [row] = await byBlocks.rows<{ sorted: boolean }>(
      `SELECT groupArray(k) = arraySort(groupArray(k)) AS sorted FROM
       (SELECT (toStartOfTenMinutes(timestamp), device_id) AS k FROM unsorted SETTINGS max_threads = 1)`,
    );
    expect(row?.sorted).toBeTruthy();
  });

  test("leaves states to the views where a DateTime cannot hold a time", () => {
    const rows = encode([{ device_id: "a", event_type: "t", timestamp: -1 }]);
    expect(maker.make([rows], 1, true).states).toBeNull();
    const epoch = encode([{ device_id: "a", event_type: "t", timestamp: 0 }]);
    expect(maker.make([epoch], 1, true).states).not.toBeNull();
  });

  test("is not made of bytes that are not its rows", () => {
    const rows = encode([{ device_id: "a", event_type: "t", timestamp: nowMs, metadata: { a: "b" } }]);
    for (const bytes of [rows.slice(0, -1), rows.slice(0, 20), Buffer.concat([rows, rows]), Buffer.alloc(100, 0xff)]) {
      expect(() => maker.make([bytes], 1, true)).toThrow(TruncatedRowError);
    }
    expect(() => maker.make([rows], 2, true)).toThrow(TruncatedRowError);
  });
});
