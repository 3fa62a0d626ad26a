import { expect, test } from "bun:test";
import fc from "fast-check";
import { Compile } from "typebox/compile";
import { Event } from "../../contract/event.ts";
import { limits } from "../../contract/limits.ts";
import { isEvent, isPlainEvent } from "./validate.ts";

const schema = Compile(Event);

test("what the short way takes for an event, the schema does too; and it takes the everyday ones", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 6, unit: "binary" }),
    fc.constantFrom("x".repeat(256), "x".repeat(257), "😀".repeat(200), "é".repeat(256)),
  );
  const odd = fc.oneof(fc.jsonValue(), fc.constantFrom(Number.POSITIVE_INFINITY, 1e300, 1.5, -0, [], {}));
  const metadata = fc.oneof(
    fc.dictionary(fc.oneof(text, fc.constantFrom("__proto__", "a\nb")), fc.oneof({ weight: 9, arbitrary: text }, odd)),
    fc
      .integer({ min: 60, max: 70 })
      .map((keys) => Object.fromEntries(Array.from({ length: keys }, (_, key) => [key, ""]))),
    odd,
  );
  const often = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 9, arbitrary }, { weight: 1, arbitrary: odd });
  const event = fc.record(
    {
      device_id: often(text),
      event_type: often(text),
      value_float: often(fc.oneof(fc.double(), fc.constant(null))),
      value_string: often(fc.oneof(text, fc.constant(null))),
      metadata,
      timestamp: often(fc.oneof(text, fc.integer())),
      extra: odd,
    },
    { requiredKeys: [] },
  );
  let plain = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: event }, { weight: 1, arbitrary: odd }), (value) => {
      // As it comes out of a body: own keys alone, "__proto__" among them; infinity from a number too large.
      const parsed = JSON.parse(JSON.stringify(value)?.replaceAll("1e+300", "1e999") ?? "null");
      const allowed = schema.Check(parsed);
      if (isPlainEvent(parsed)) plain++;
      else refused++;
      expect(isPlainEvent(parsed) && !allowed).toBe(false);
      expect(isEvent(parsed)).toBe(allowed);
    }),
    { numRuns: 20_000 },
  );
  expect(plain).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
  expect(isPlainEvent({ device_id: "a", event_type: "b", value_float: 1, metadata: { site: "x" }, timestamp: 0 })).toBe(
    true,
  );
});

test("a metadata key with a line end has no other rights than any key", () => {
  const event = (value: unknown) => ({ device_id: "a", event_type: "b", metadata: { "a\nb": value } });
  expect(isEvent(event("text"))).toBe(true);
  expect(isEvent(event(5))).toBe(false);
});

test("lengths are counted in characters", () => {
  const event = (characters: number) => ({ device_id: "😀".repeat(characters), event_type: "b" });
  expect(isEvent(event(limits.deviceIdCharacters))).toBe(true);
  expect(isEvent(event(limits.deviceIdCharacters + 1))).toBe(false);
});
