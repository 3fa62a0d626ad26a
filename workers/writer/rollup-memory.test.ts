import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import fc from "fast-check";
import type { Event } from "../../contract/event.ts";
import { RowEncoder } from "../../contract/row.ts";
import { estimateRollupBytes, rollupBytesMax, rollupGroupsSafe } from "./rollup-memory.ts";

type TimedEvent = Event & { timestamp: number };

function encode(events: readonly TimedEvent[]): Uint8Array {
  const encoder = new RowEncoder();
  for (const event of events) encoder.encode(event, event.timestamp, event.timestamp);
  return encoder.bytes().slice();
}

function estimate(events: readonly TimedEvent[], pieceBytes = 1 << 16): Promise<number> {
  const bytes = encode(events);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return estimateRollupBytes(Readable.from(pieces));
}

const row = (second: number, type: string, value?: number): TimedEvent => ({
  device_id: "d",
  event_type: type,
  timestamp: second * 1000 + 999,
  ...(value === undefined ? {} : { value_float: value }),
});
const now = 1_800_000_000;
const bytesOf = async (...values: (number | undefined)[]): Promise<number> =>
  estimate(values.map((value) => row(now, "t", value)));

test("a group costs once, by second and type; its values by sign and by the octaves between them", async () => {
  const empty = await bytesOf(undefined);
  expect(await estimate([row(now, "a"), row(now, "a"), row(now, "b"), row(now + 1, "a")])).toBe(3 * empty);
  const one = await bytesOf(20);
  expect(one).toBeGreaterThan(empty + 1024);
  expect(await bytesOf(20, 20, 31, undefined)).toBe(one);
  expect(await bytesOf(-20)).toBe(one);
  expect(await bytesOf(20, -20)).toBe(2 * one - empty);
  // A bin is 2 % wide, so an octave has 35, of 8 bytes each.
  expect((await bytesOf(1, 1024)) - one).toBe(10 * 278);
  expect(await bytesOf(1024, 1)).toBe(await bytesOf(1, 1024));
  // Zero and what is smaller than the clamp have no bin; what is larger than the clamp is the clamp.
  expect(await bytesOf(0, -0, 5e-324, 1e-300)).toBe(empty);
  expect(await bytesOf(1e21, 1e300)).toBe(await bytesOf(1e21));
});

test("no group is more than the figure that says how many are safe", async () => {
  const widest = await bytesOf(1e-18, 1e21, -1e-18, -1e300, 3);
  expect(widest * rollupGroupsSafe).toBeLessThanOrEqual(rollupBytesMax);
  expect(widest * (rollupGroupsSafe + 1)).toBeGreaterThan(rollupBytesMax);
});

test("the figure is the same however the rows are cut, and the sum of what its groups cost", async () => {
  const event = fc.record({
    device_id: fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }),
    event_type: fc.constantFrom("a", "b", "ä", "long".repeat(32)),
    timestamp: fc.integer({ min: 0, max: 5 }).map((second) => (now + second) * 1000),
    value_float: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
    value_string: fc.option(fc.string({ maxLength: 300 })),
    metadata: fc.dictionary(fc.string({ maxLength: 10 }), fc.string({ maxLength: 200 }), { maxKeys: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 40 }),
      fc.integer({ min: 1, max: 400 }),
      async (events, pieceBytes) => {
        const groups = Map.groupBy(events, (each) => `${each.timestamp} ${each.event_type}`);
        let sum = 0;
        for (const group of groups.values())
          sum += await bytesOf(...group.map((each) => each.value_float ?? undefined));
        expect(await estimate(events, pieceBytes)).toBe(sum);
      },
    ),
    { numRuns: 200 },
  );
});

test("many groups are told apart", async () => {
  const events = Array.from({ length: 60_000 }, (_, index) => row(now + (index % 6_000), `type-${index % 10}`));
  const distinct = new Set(events.map((event) => `${event.timestamp} ${event.event_type}`)).size;
  expect(await estimate(events)).toBe(distinct * (await bytesOf(undefined)));
});
