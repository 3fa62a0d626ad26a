/** Bodies of `POST /ingest` as they might come: everyday ones, odd ones, damaged ones. */
import fc from "fast-check";

/** The server's time, about which the events' own times lie. */
export const nowMs = 1_790_000_000_000;

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

export const damagedBody = damaged(body);
export const damagedLines = damaged(lines);
