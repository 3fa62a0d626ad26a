import { expect, test } from "bun:test";
import type { StoredEvent } from "../../contract/event.ts";
import { exportFormats } from "./event-formats.ts";

const event: StoredEvent = {
  timestamp: "2026-01-01T00:00:00.000Z",
  received_at: "2026-01-01T00:00:00.001Z",
  device_id: "a",
  event_type: "t",
  value_float: 1.5,
  value_string: null,
  metadata: {},
};

test("CSV quotes what would break a row, and tells null from empty", () => {
  const { encode } = exportFormats.csv;
  const field = (value_string: string | null) =>
    encode({ ...event, value_string }).slice("2026-01-01T00:00:00.000Z,2026-01-01T00:00:00.001Z,a,t,1.5,".length, -5);
  expect(field(null)).toBe("");
  expect(field("")).toBe('""');
  expect(field("plain")).toBe("plain");
  expect(field('say "x"')).toBe('"say ""x"""');
  expect(field("a,b")).toBe('"a,b"');
  expect(field("a\nb\r\nc")).toBe('"a\nb\r\nc"');
  expect(field(" a")).toBe('" a"');
  expect(field("O'Brien")).toBe("O'Brien");
  expect(encode({ ...event, metadata: { k: 'v"' } })).toEndWith(',"{""k"":""v\\""""}"\r\n');
});

test("a line of NDJSON is the event, and has no line break inside", () => {
  const odd = { ...event, value_string: "a\nb\u2028c", metadata: { "\n": "\r" } };
  const line = exportFormats.ndjson.encode(odd);
  expect(line.slice(0, -1)).not.toMatch(/[\r\n]/);
  expect(JSON.parse(line)).toEqual(odd);
});
