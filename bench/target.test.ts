import { expect, test } from "bun:test";
import { judge } from "./case.ts";
import { createBatches, plainFleet, wideFleet } from "./events.ts";
import { medians, slope, spread } from "./stats.ts";
import { createUpdateReader } from "./streams.ts";
import { type RunningTarget, type StoredTotals, settle } from "./target.ts";

const storing = (...totals: StoredTotals[]): RunningTarget => ({
  port: 0,
  processes: [],
  encode: () => ({ bytes: new Uint8Array(), bodyBytes: 0, events: 0, valueSum: 0 }),
  stored: async () => totals,
  queryableOnAnswer: false,
  stop: async () => true,
});
const expected = { events: 1000, valueSum: 21_250.25 };
const right = { place: "table", ...expected };

test("one event lost, doubled or altered, in the table or in a rollup, is a problem", async () => {
  expect(await settle(storing(right, right), expected, 0)).toEqual([]);
  expect(await settle(storing(right, { ...right, events: 999 }), expected, 0)).toEqual([
    "table: 1 events lost of 1000",
  ]);
  expect(await settle(storing({ ...right, events: 1001 }), expected, 0)).toEqual(["table: 1 events too many of 1000"]);
  expect(await settle(storing({ ...right, valueSum: 21_250.5 }), expected, 0)).toHaveLength(1);
  expect(await settle(storing({ ...right, valueSum: null }), expected, 0)).toEqual([]);
});

test("the same seed gives the same events, and a batch holds each device once", () => {
  const make = (seed: number) => createBatches(plainFleet, { seed, batches: 2, size: 1000 });
  expect(make(1)).toEqual(make(1));
  expect(make(1)).not.toEqual(make(2));
  for (const { events, valueSum } of make(3)) {
    expect(new Set(events.map(({ device_id }) => device_id)).size).toBe(1000);
    expect(events.reduce((sum, { value_float }) => sum + (value_float ?? 0), 0)).toBe(valueSum);
  }
});

test("events are as large as the documents say", () => {
  const bytes = (fleet: typeof plainFleet) => {
    const [batch] = createBatches(fleet, { seed: 1, batches: 1, size: 1000 });
    return JSON.stringify({ events: batch?.events }).length / 1000;
  };
  expect(Math.abs(bytes(plainFleet) - 120)).toBeLessThan(8);
  expect(Math.abs(bytes(wideFleet) - 285)).toBeLessThan(15);
});

test("a median is of the metric, a spread is the largest distance from it", () => {
  expect(medians([{ a: 1 }, { a: 9, b: 2 }, { a: 3, b: 4 }])).toEqual({ a: 3, b: 3 });
  expect(spread([90, 100, 130])).toBeCloseTo(0.3);
});

test("a slope is told from noise by its error", () => {
  const steady = Array.from({ length: 100 }, (_, x) => [x, 50 + (x % 2)] as const);
  const growing = Array.from({ length: 100 }, (_, x) => [x, 50 + (x % 2) + x] as const);
  expect(Math.abs(slope(steady).slope)).toBeLessThan(2 * slope(steady).error);
  expect(slope(growing).slope).toBeGreaterThan(50 * slope(growing).error);
});

test("a goal with a missing side is not measured rather than reached", () => {
  const medianOf = new Map([["sluice", { p99_ms: 4 }]]);
  expect(judge({ metric: "p99_ms", of: "sluice", atMost: 5 }, medianOf).reached).toBe(true);
  expect(judge({ metric: "p99_ms", of: "sluice", atMost: 3 }, medianOf).reached).toBe(false);
  expect(judge({ metric: "p99_ms", of: "sluice", against: "nchan", atMost: 1.5 }, medianOf).reached).toBeNull();
});

test("an update is read whole, however the bytes are cut and chunked, and nothing but updates", () => {
  const text =
    'x\r\n\r\n26\r\nid: 1-1\nevent: update\ndata: {"a":"é"}\n\n\r\n1e\r\nevent: alerts\ndata: {"c":3}\n\n\r\n' +
    '2e\r\nid: 1-2\nevent: update\ndata: {"b"\r\n4\r\n:2}\n\n\r\n';
  const bytes = Buffer.from(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const updates: string[] = [];
    const read = createUpdateReader((data) => updates.push(data));
    read(bytes.subarray(0, cut));
    read(bytes.subarray(cut));
    expect(updates).toEqual(['{"a":"é"}', '{"b":2}']);
  }
});
