import { afterAll, beforeAll, expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { RowBinaryReader } from "../../contract/row.ts";
import { startTestStore, type TestDatabase, type TestStore } from "../../testing/test-store.ts";
import { WindowHistogram } from "./log-histogram.ts";
import {
  buildDeviceCountQuery,
  buildDevicesQuery,
  buildRollupQuery,
  decodeSketch,
  decodeStoredBlock,
  StoredAnswerError,
} from "./stored-window.ts";

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const mapping = "02 FD4A815ABF52F03F 0000000000000000";
const empty = "0C 00 FEFFFFFF0F 02";

/** Printed by ClickHouse 26.7.2.1: `SELECT hex(quantilesDDState(0.01, 0.5)(x)) …`. */
const sparse = `${mapping} 01 04 03 00 0000000000000040 5A 000000000000F03F F202 000000000000F03F
  03 0C 01 6C 02 000000000000F03F 04 000000000000F03F`.replaceAll(/\s+/g, " ");

test("a sparse and a contiguous store, of [1, 1, 2.5, 100, -3, 0], bare and Nullable", () => {
  for (const prefix of ["", "01"]) {
    const reader = new RowBinaryReader(fromHex(prefix + sparse));
    const histogram = decodeSketch(reader);
    expect(reader.done).toBe(true);
    expect(histogram.zeros).toBe(1);
    expect(binsOf(histogram.positive)).toEqual([
      [0, 2],
      [45, 1],
      [230, 1],
    ]);
    expect(binsOf(histogram.negative)).toEqual([[54, 1]]);
  }
});

test("no values: an empty state, bare, Nullable, and Nullable that never held any", () => {
  const nothing = `${mapping} 01 ${empty} 03 ${empty} 04 0000000000000000`;
  for (const hex of [nothing, `01 ${nothing}`, "00"]) {
    const reader = new RowBinaryReader(fromHex(hex));
    const histogram = decodeSketch(reader);
    expect(reader.done).toBe(true);
    expect([binsOf(histogram.positive), binsOf(histogram.negative), histogram.zeros]).toEqual([[], [], 0]);
  }
});

test("bytes that are no sketch, or one of another accuracy, are refused", () => {
  const bad = [
    "05",
    `02 FD4A815ABF52F13F 0000000000000000 01 ${empty}`,
    `02 FD4A815ABF52F03F 000000000000F03F 01 ${empty}`,
    `${mapping} 03 ${empty}`,
    `${mapping} 01 08 00`,
    `${mapping} 01 0C FFFFFFFF0F 00 02`,
  ];
  for (const hex of bad) {
    expect(() => decodeSketch(new RowBinaryReader(fromHex(hex)))).toThrow(StoredAnswerError);
  }
});

test("seconds are numbers, so nothing can be spliced into the text", () => {
  expect(() => buildRollupQuery([[Number.NaN, 8]])).toThrow(RangeError);
  expect(() => buildDevicesQuery(-1, 10)).toThrow(RangeError);
});

function binsOf(store: { bins: Uint32Array; offset: number } | null): [number, number][] {
  if (store === null) return [];
  return [...store.bins].map((count, at): [number, number] => [store.offset + at, count]).filter((bin) => bin[1] > 0);
}

let store: TestStore;
let database: TestDatabase;
beforeAll(async () => {
  store = await startTestStore();
  database = await store.createDatabase();
});
afterAll(() => store.stop());

async function bytesOf(query: string): Promise<Uint8Array> {
  const result = await database.client.exec({ query });
  const chunks: Buffer[] = [];
  for await (const chunk of result.stream) chunks.push(chunk as Buffer);
  return new Uint8Array(Buffer.concat(chunks));
}

test("the rollup query's answer is what was inserted: counts, sums, extremes exact, quantiles within 1 %", async () => {
  const random = createRandom(1);
  const base = Math.floor(Date.now() / 8000) * 8;
  const generators: Record<string, () => number | null> = {
    wide: () => 10 ** (random() * 12 - 6) * (random() < 0.3 ? -1 : 1),
    narrow: () => 20 + random() * 0.5,
    "small ünïcode": () => random() / 1000,
    integers: () => Math.floor(random() * 5) - 2,
    none: () => null,
  };
  const events = Object.entries(generators).flatMap(([event_type, value]) =>
    Array.from({ length: 2000 }, (_, index) => ({
      device_id: `d${index % 7}`,
      event_type,
      value_float: value(),
      timestamp: (base + Math.floor(random() * 24)) * 1000 + Math.floor(random() * 1000),
    })),
  );
  // Two batches, so that the query has states to merge.
  await database.insert(events.slice(0, 4000), "one");
  await database.insert(events.slice(4000), "two");

  const reader = new RowBinaryReader(
    await bytesOf(
      buildRollupQuery([
        [base, base + 8],
        [base + 16, base + 24],
      ]),
    ),
  );
  const seen = new Set<string>();
  let last = 0;
  while (!reader.done) {
    const row = decodeStoredBlock(reader);
    expect(row.block).toBeGreaterThanOrEqual(last);
    last = row.block;
    seen.add(`${row.block - base / 8} ${row.eventType}`);
    const ofBlock = events.filter(
      (event) => event.event_type === row.eventType && Math.floor(event.timestamp / 8000) === row.block,
    );
    for (const second of row.seconds) {
      const ofSecond = ofBlock.filter((event) => Math.floor(event.timestamp / 1000) === second.second);
      const values = ofSecond.map((event) => event.value_float).filter((value) => value !== null);
      expect(second.count).toBe(ofSecond.length);
      expect(second.valueCount).toBe(values.length);
      expect(second.sum).toBeCloseTo(
        values.reduce((sum, value) => sum + value, 0),
        4,
      );
      expect(second.min).toBe(Math.min(...values));
      expect(second.max).toBe(Math.max(...values));
    }
    expect(row.seconds.reduce((sum, second) => sum + second.count, 0)).toBe(ofBlock.length);
    const values = ofBlock
      .map((event) => event.value_float)
      .filter((value) => value !== null)
      .sort((a, b) => a - b);
    if (values.length === 0) continue;
    const total = new WindowHistogram();
    total.add(row.histogram);
    const quantiles = total.quantiles([0.5, 0.95, 0.99], values[0] as number, values.at(-1) as number);
    for (const [index, rank] of [0.5, 0.95, 0.99].entries()) {
      const exact = values[Math.floor(rank * (values.length - 1))] as number;
      expect(Math.abs((quantiles[index] as number) - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.0101);
    }
  }
  expect(seen.size).toBe(2 * Object.keys(generators).length);
});

test("the device queries know who was there since", async () => {
  const since = Math.floor(Date.now() / 1000) - 600;
  await database.insert([{ device_id: "long ago", event_type: "t", timestamp: (since - 5000) * 1000 }], "old");
  const reader = new RowBinaryReader(await bytesOf(buildDevicesQuery(since, 100)));
  const ids: string[] = [];
  while (!reader.done) {
    ids.push(reader.string());
    expect(reader.uint32()).toBeGreaterThanOrEqual(since);
  }
  expect(ids.sort()).toEqual(["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
  expect(new RowBinaryReader(await bytesOf(buildDeviceCountQuery(since))).uint64()).toBe(7);
});
