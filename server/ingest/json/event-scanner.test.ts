import { expect, test } from "bun:test";
import fc from "fast-check";
import { damagedBody, damagedLines } from "../../../testing/json-bodies.ts";
import { compare, counts, parse, scan, type Taken, whole } from "../../../testing/scanner-comparison.ts";
import { EventScanner } from "./event-scanner.ts";

test("what the scanner takes is what JSON.parse and the schema make of it, to the byte", () => {
  fc.assert(
    fc.property(damagedBody, (value) => compare(value, false)),
    { numRuns: 30_000 },
  );
  fc.assert(
    fc.property(damagedLines, (value) => compare(value, true)),
    { numRuns: 15_000 },
  );
  expect(counts.taken).toBeGreaterThan(2_000);
  expect(counts.doubted).toBeGreaterThan(1_000);
  expect(counts.refused).toBeGreaterThan(2_000);
});

test("everyday bodies are taken by the scanner, in every form and order of fields", () => {
  const plain =
    '{"device_id":"d","event_type":"t","value_float":-1.5e-7,"metadata":{"site":"Zürich"},"timestamp":1790000000000}';
  const other = '{ "timestamp":"2026-09-21T14:13:20.000Z", "value_string":null, "event_type":"t", "device_id":"e" }';
  for (const value of [`{"events":[${plain},${other}]}`, `[${plain}]`, other, " [ ] ", '{"events":[]}']) {
    expect(scan(Buffer.from(value), false)).toEqual(parse(value, false) as Taken);
    expect(scan(Buffer.from(value), false)).not.toBeNull();
  }
  const ndjson = `${plain}\r\n\n${other}\n`;
  expect(scan(Buffer.from(ndjson), true)).toEqual(parse(ndjson, true) as Taken);
  expect(scan(Buffer.from(ndjson), true)?.seen.length).toBe(2);
});

test("names of types that share a slot are told apart", () => {
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 5_000; index++) {
      const value = `{"device_id":"d","event_type":"type-${index}"}`;
      expect(scan(Buffer.from(value), false)?.seen[0]).toEqual(parse(value, false)?.seen[0]);
    }
  }
});

test("a body in several steps is the same body, wherever it is cut", () => {
  const bySteps = new EventScanner();
  let inPieces = 0;
  const compareSteps = (value: string, ndjson: boolean): void => {
    const bytes = Buffer.from(value);
    const expected = scan(bytes, ndjson);
    for (let windowBytes = 1; windowBytes < Math.min(bytes.length, 400); windowBytes++) {
      bySteps.windowBytes = windowBytes;
      const taken = scan(bytes, ndjson, bySteps);
      // Null: an event does not fit into the window, or stands in doubt anyway.
      if (taken === null) continue;
      inPieces++;
      expect(taken).toEqual(expected as Taken);
    }
    bySteps.windowBytes = Math.max(1, bytes.length);
    expect(scan(bytes, ndjson, bySteps)).toEqual(expected as Taken);
  };
  const whole = Array.from(
    { length: 20 },
    (_, index) => `{"device_id":"d-${index}","event_type":"t","value_float":${index}}`,
  );
  compareSteps(`{"events":[${whole.join(",")}]}`, false);
  compareSteps(whole.join("\n"), true);
  fc.assert(
    fc.property(damagedBody, (value) => compareSteps(value, false)),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(damagedLines, (value) => compareSteps(value, true)),
    { numRuns: 60 },
  );
  expect(inPieces).toBeGreaterThan(200);
});

test("more events, and more types, than one step has room for", () => {
  const events = Array.from(
    { length: 9_000 },
    (_, index) => `{"device_id":"device-${index % 70}","event_type":"type-${index % 5_000}","value_float":${index}}`,
  );
  for (const [value, ndjson] of [
    [`{"events":[${events.join(",")}]}`, false],
    [`[${events.join(", ")}]`, false],
    [events.join("\n"), true],
  ] as const) {
    const taken = scan(Buffer.from(value), ndjson);
    expect(taken?.seen.length).toBe(events.length);
    expect(taken?.seen.map((one) => (one as unknown[])[0])).toEqual(events.map((_, index) => `type-${index % 5_000}`));
    expect(taken?.rows).toBe((parse(value, ndjson, 10_000) as Taken).rows);
  }
});

test("a device outside of the key's prefix is in doubt, at any length of the prefix", () => {
  const value = Buffer.from('[{"device_id":"plant-1/pump","event_type":"t"},{"device_id":"plant-1","event_type":"t"}]');
  for (const prefix of ["", "p", "plant-1", null]) expect(scan(value, false, whole, prefix)?.seen.length).toBe(2);
  for (const prefix of ["q", "plant-1/", "plant-1/pump-and-more", "é", "x".repeat(5_000)]) {
    expect(scan(value, false, whole, prefix)).toBeNull();
  }
  expect(scan(value.subarray(0, 47), false, whole, "plant-1/")).toBeNull();
});
