import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeRow, LoneSurrogateError, RowBinaryReader, RowEncoder } from "../../../contract/row.ts";
import { boundsFault, eventTimeMs, isEvent } from "../validate.ts";
import { EventScanner } from "./event-scanner.ts";
import { parseJson, parseNdjson } from "./parse.ts";

const nowMs = 1_790_000_000_000;
const limits = { maxClockSkewFutureMs: 300_000, maxEventAgeMs: 30 * 86_400_000 };
const bounds = { oldestMs: nowMs - limits.maxEventAgeMs, newestMs: nowMs + limits.maxClockSkewFutureMs };
const encoder = new RowEncoder();
const whole = new EventScanner();

type Taken = { rows: string; seen: unknown[] };

function scan(bytes: Uint8Array, ndjson: boolean, scanner = whole, devicePrefix: string | null = null): Taken | null {
  const rows: Buffer[] = [];
  const seen: unknown[] = [];
  scanner.open(bytes, ndjson, { ...bounds, nowMs, devicePrefix });
  for (;;) {
    const step = scanner.next();
    if (step === "doubt") return null;
    const { rowsStart, rowsLength, rowStarts, memory } = scanner;
    const taken = Buffer.from(memory.slice(rowsStart, rowsStart + rowsLength));
    rows.push(taken);
    const reader = new RowBinaryReader(taken);
    const met = new Set([...scanner.metTypes.subarray(0, scanner.metTypeCount)].map((type) => scanner.typeName(type)));
    for (let at = 0; at < scanner.count; at++) {
      expect(reader.offset).toBe(rowStarts[at] as number);
      const row = decodeRow(reader);
      const type = scanner.typeName(scanner.types[at] as number);
      expect(met.has(type)).toBe(true);
      const hashes = [scanner.hashesA[at], scanner.hashesB[at]];
      seen.push([type, scanner.values[at], ...hashes, row.device_id, scanner.seconds[at]]);
    }
    if (step === "end") return { rows: Buffer.concat(rows).toString("hex"), seen };
  }
}

/** Null: refused. */
function parse(text: string, ndjson: boolean, maxEvents = 1000): Taken | null {
  encoder.reset();
  const seen: unknown[] = [];
  const parsed = ndjson ? parseNdjson(text, false, maxEvents) : parseJson(text);
  if (!parsed.ok) return null;
  for (const event of parsed.events) {
    if (!isEvent(event)) return null;
    const timeMs = eventTimeMs(event, nowMs, limits);
    if (typeof timeMs !== "number" || boundsFault(event)) return null;
    try {
      encoder.encode(event, timeMs, nowMs);
    } catch (error) {
      if (error instanceof LoneSurrogateError) return null;
      throw error;
    }
    seen.push([
      event.event_type,
      event.value_float ?? Number.NaN,
      encoder.deviceHashA,
      encoder.deviceHashB,
      event.device_id,
      Math.floor(timeMs / 1000),
    ]);
  }
  return { rows: Buffer.from(encoder.bytes()).toString("hex"), seen };
}

const counts = { taken: 0, doubted: 0, refused: 0 };

function compare(text: string, ndjson: boolean): void {
  const bytes = Buffer.from(text);
  const scanned = scan(bytes, ndjson);
  // Text that is not well-formed has another in its bytes.
  const parsed = parse(bytes.toString(), ndjson);
  if (scanned === null) {
    if (parsed === null) counts.refused++;
    else counts.doubted++;
    return;
  }
  counts.taken++;
  expect(scanned).toEqual(parsed as Taken);
}

const space = fc.constantFrom("", "", "", " ", "\t", "\r", "  ", "\n", "\v", "\u00a0");
const text = fc.oneof(
  fc.string({ maxLength: 8 }).map((value) => JSON.stringify(value)),
  fc.string({ maxLength: 8, unit: "binary" }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '""',
    '"a\\u0062"',
    '"\\ud800"',
    '"\u0001"',
    '"\u007f"',
    '"__proto__"',
    '"7"',
    '"0x"',
    '"Zürich"',
    '"x',
  ),
  fc.constantFrom(128, 129, 256, 257, 65_536, 65_537).map((length) => JSON.stringify("x".repeat(length))),
  fc.constantFrom(64, 86, 128, 129).map((length) => JSON.stringify("é".repeat(length))),
);
const digits = fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: 1, maxLength: 18 });
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value.toFixed(3)),
  fc.integer().map(String),
  fc.tuple(digits, digits).map(([whole, fraction]) => `${whole}.${fraction}`),
  fc.constantFrom(
    "-0",
    "-0.0",
    "0",
    "00",
    "01",
    "1.",
    ".5",
    "1e3",
    "1E+3",
    "1e",
    "1e999",
    "-",
    "+1",
    "9007199254740993",
    "0e0",
  ),
);
const time = fc.oneof(
  fc.integer({ min: nowMs - 31 * 86_400_000, max: nowMs + 400_000 }).map(String),
  fc.integer({ min: nowMs - 86_400_000, max: nowMs }).map((ms) => JSON.stringify(new Date(ms).toISOString())),
  fc.constantFrom('"2026-13-01"', "1.79e12", "1790000000000.5", '"2026-09-20T12:00:00+02:00"', '"2026-02-30"'),
);
const pairs = (key: fc.Arbitrary<string>, value: fc.Arbitrary<string>, maxLength: number) =>
  fc
    .tuple(fc.array(fc.tuple(key, value, space, space), { maxLength }), space)
    .map(
      ([members, last]) =>
        `{${members.map(([k, v, before, after]) => `${before}${k}${after}:${before}${v}${after}`).join(",")}${last}}`,
    );
const rare = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  text,
  number,
);
const often = (arbitrary: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 12, arbitrary }, { weight: 1, arbitrary: fc.constant("null") }, { weight: 1, arbitrary: rare });
const member = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant("value_float"), often(number)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("value_string"), often(text)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("metadata"), often(pairs(text, text, 5))) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("timestamp"), often(time)) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("other", "device_id", "value_fload", "event", ""), rare) },
);
const event = fc
  .tuple(
    fc.array(member, { maxLength: 4 }),
    often(text),
    often(text),
    fc.array(space, { minLength: 12, maxLength: 12 }),
    fc.nat(),
  )
  .map(([members, device, type, spaces, turn]) => {
    const all = [["device_id", device], ["event_type", type], ...members];
    const turned = [...all.slice(turn % all.length), ...all.slice(0, turn % all.length)];
    const gap = (at: number) => spaces[at % spaces.length] as string;
    return `{${turned.map(([name, value], at) => `${gap(at)}"${name}"${gap(at + 1)}:${gap(at + 2)}${value}${gap(at + 3)}`).join(",")}}`;
  });
const everyday = fc
  .record(
    {
      device_id: fc.string({ minLength: 1, maxLength: 8 }),
      event_type: fc.constantFrom("temperature", "humidity", "Füllstand"),
      value_float: fc.double({ noNaN: true, noDefaultInfinity: true }),
      value_string: fc.string(),
      metadata: fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 4 }),
      timestamp: fc.integer({ min: nowMs - 1000, max: nowMs }),
    },
    { requiredKeys: ["device_id", "event_type"] },
  )
  .map((value) => JSON.stringify(value));
const list = fc.array(fc.oneof({ weight: 3, arbitrary: everyday }, event), { maxLength: 4 });
const body = fc.oneof(
  fc
    .tuple(list, space)
    .map(([events, gap]) => `${gap}{${gap}"events"${gap}:[${gap}${events.join(`${gap},${gap}`)}]}${gap}`),
  list.map((events) => `{"events":[${events.join(",")}],"more":1}`),
  fc.tuple(list, space).map(([events, gap]) => `[${events.join(`${gap},`)}]${gap}`),
  fc.oneof(event, everyday),
  rare,
);
const lines = fc
  .array(
    fc.tuple(fc.oneof({ weight: 3, arbitrary: everyday }, event), fc.constantFrom("\n", "\n", "\r\n", "\n\n", " ", "")),
    {
      maxLength: 4,
    },
  )
  .map((all) => all.map(([value, end]) => value + end).join(""));
/** A few bytes out of place: what the grammar does not allow must not slip through. */
const damaged = (whole: fc.Arbitrary<string>) =>
  fc
    .tuple(
      whole,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'{}[]",:\\ \n0e-.x', "", "", "﻿")), { maxLength: 2 }),
      fc.boolean(),
    )
    .map(([value, edits, insert]) =>
      edits.reduce((text, [at, piece]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + piece + text.slice(insert ? place : place + 1);
      }, value),
    );

test("what the scanner takes is what JSON.parse and the schema make of it, to the byte", () => {
  fc.assert(
    fc.property(damaged(body), (value) => compare(value, false)),
    { numRuns: 30_000 },
  );
  fc.assert(
    fc.property(damaged(lines), (value) => compare(value, true)),
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
  fc.assert(
    fc.property(damaged(body), (value) => compareSteps(value, false)),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(damaged(lines), (value) => compareSteps(value, true)),
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
