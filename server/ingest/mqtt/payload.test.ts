import { describe, expect, test } from "bun:test";
import { readPayload } from "./payload.ts";

const topic = { deviceId: "d", eventType: "t", metadata: {} };
const named = { device_id: "d", event_type: "t" };
const read = (text: string, given: Parameters<typeof readPayload>[1] = topic) => readPayload(Buffer.from(text), given);
const event = (text: string) => {
  const payload = read(text);
  return payload.ok ? payload.events[0] : payload.reason;
};

describe("payloads", () => {
  test.each([
    ["21.5", { value_float: 21.5 }],
    [" -3e2\n", { value_float: -300 }],
    ["true", { value_float: 1 }],
    ["false", { value_float: 0 }],
    ["9007199254740993", { value_float: 9007199254740992, value_string: "9007199254740993" }],
    ["1e999", { value_string: "1e999" }],
    ["NaN", { value_string: "NaN" }],
    ["0x10", { value_string: "0x10" }],
    ["on ", { value_string: "on " }],
    ['"on"', { value_string: '"on"' }],
    ["", {}],
  ])("bare: %p", (text, value) => {
    expect(event(text)).toEqual({ ...named, ...value });
  });

  test("an object lacks no more than what the topic says, and goes before it", () => {
    expect(event('{"value_float":1}')).toEqual({ ...named, value_float: 1 });
    expect(event('{"device_id":"own","event_type":"other"}')).toEqual({ device_id: "own", event_type: "other" });
  });

  test("names of the topic are metadata, under the payload's own", () => {
    const given = { ...topic, metadata: { site: "a", line: "1" } };
    expect(read('{"metadata":{"line":"2"}}', given)).toEqual({
      ok: true,
      events: [{ ...named, metadata: { site: "a", line: "2" } }],
    });
    expect(read("1", given)).toEqual({ ok: true, events: [{ ...named, value_float: 1, metadata: given.metadata }] });
    expect(read('{"metadata":7}', given)).toEqual({ ok: true, events: [{ ...named, metadata: 7 }] });
  });

  test("lists, wrapped lists and lines", () => {
    const two = [
      { ...named, value_float: 1 },
      { ...named, value_float: 2 },
    ];
    expect(read('[{"value_float":1},{"value_float":2}]')).toEqual({ ok: true, events: two });
    expect(read('{"events":[{"value_float":1},{"value_float":2}]}')).toEqual({ ok: true, events: two });
    expect(read('{"value_float":1}\n\n{"value_float":2}\r\n')).toEqual({ ok: true, events: two });
    expect(read("[1]")).toEqual({ ok: true, events: [1] });
  });

  test.each(["{", "[1,", '{"a":1}{', '{"a":1}\nx', "{}\n[]"])("no JSON: %p", (text) => {
    expect(read(text)).toEqual({ ok: false, reason: "the payload begins as JSON and is none" });
  });

  test("not UTF-8", () => {
    expect(readPayload(Uint8Array.of(0xff), topic).ok).toBe(false);
  });
});
