import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Event } from "../../contract/event.ts";
import { RowEncoder } from "../../contract/row.ts";
import { BlockMaker } from "./batch-blocks.ts";

type TimedEvent = Event & { timestamp: number };

const maker = new BlockMaker();

function bound(events: readonly TimedEvent[], wantsStates = true): number {
  const encoder = new RowEncoder();
  for (const event of events) encoder.encode(event, event.timestamp, event.timestamp);
  return maker.make([encoder.bytes()], events.length, wantsStates).rollupBytes;
}

const row = (second: number, type: string, value?: number): TimedEvent => ({
  device_id: "d",
  event_type: type,
  timestamp: second * 1000 + 999,
  ...(value === undefined ? {} : { value_float: value }),
});
const now = 1_800_000_000;
const boundOf = (...values: (number | undefined)[]): number => bound(values.map((value) => row(now, "t", value)));

// The figures are part of the journal's format: a batch that is half stored has to be cut again as it was.
test("a group costs once, by second and type; its values by sign and by the octaves between them", () => {
  const empty = 512;
  const one = empty + 1024 + 278;
  expect(boundOf(undefined)).toBe(empty);
  expect(bound([row(now, "a"), row(now, "a"), row(now, "b"), row(now + 1, "a")])).toBe(3 * empty);
  expect(boundOf(20)).toBe(one);
  expect(boundOf(20, 20, 31, undefined)).toBe(one);
  expect(boundOf(-20)).toBe(one);
  expect(boundOf(20, -20)).toBe(2 * one - empty);
  // A bin is 2 % wide, so an octave has 35, of 8 bytes each.
  expect(boundOf(1, 1024)).toBe(one + 10 * 278);
  expect(boundOf(1024, 1)).toBe(boundOf(1, 1024));
  // Zero and what is smaller than the clamp have no bin; what is larger than the clamp is the clamp.
  expect(boundOf(0, -0, 5e-324, 1e-300)).toBe(empty);
  expect(boundOf(1e21, 1e300)).toBe(boundOf(1e21));
  expect(boundOf(1e-18, 1e21, -1e-18, -1e300, 3)).toBe(empty + 2 * (1024 + 130 * 278));
});

test("it is the sum of what the groups cost, with states or without", () => {
  const event = fc.record({
    device_id: fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }),
    event_type: fc.constantFrom("a", "b", "ä", "long".repeat(32)),
    timestamp: fc.integer({ min: 0, max: 5 }).map((second) => (now + second) * 1000),
    value_float: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const groups = Map.groupBy(events, (each) => `${each.timestamp} ${each.event_type}`);
      let sum = 0;
      for (const group of groups.values()) sum += boundOf(...group.map((each) => each.value_float ?? undefined));
      expect(bound(events)).toBe(sum);
      expect(bound(events, false)).toBe(sum);
    }),
    { numRuns: 200 },
  );
});

test("many groups are told apart", () => {
  const events = Array.from({ length: 60_000 }, (_, index) => row(now + (index % 6_000), `type-${index % 10}`));
  const distinct = new Set(events.map((event) => `${event.timestamp} ${event.event_type}`)).size;
  expect(bound(events)).toBe(distinct * 512);
});
