import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Event } from "./event.ts";
import {
  decodeRow,
  hashDeviceId,
  LoneSurrogateError,
  RowBinaryReader,
  RowEncoder,
  skipRow,
  TruncatedRowError,
} from "./row.ts";

const text = (maxLength: number) => fc.string({ unit: "binary", maxLength }).filter((value) => value.isWellFormed());
const anyEvent: fc.Arbitrary<Event> = fc.record(
  {
    device_id: text(300),
    event_type: text(130),
    value_float: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: null }),
    value_string: fc.option(text(400), { nil: null }),
    metadata: fc.dictionary(text(20), text(200), { maxKeys: 8 }),
  },
  { requiredKeys: ["device_id", "event_type"] },
);
const time = fc.integer({ min: 0, max: 4_102_444_800_000 });

describe("rows", () => {
  test("what was encoded decodes to the same, one row after the other", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyEvent, time, time), { maxLength: 8 }), (events) => {
        const encoder = new RowEncoder(64);
        for (const [event, timestampMs, receivedAtMs] of events) encoder.encode(event, timestampMs, receivedAtMs);
        const reader = new RowBinaryReader(encoder.bytes());
        const skipper = new RowBinaryReader(encoder.bytes());
        for (const [event, timestampMs, receivedAtMs] of events) {
          const row = decodeRow(reader);
          expect(row).toEqual({
            timestamp: new Date(timestampMs).toISOString(),
            received_at: new Date(receivedAtMs).toISOString(),
            device_id: event.device_id,
            event_type: event.event_type,
            value_float: event.value_float ?? null,
            value_string: event.value_string ?? null,
            metadata: Object.fromEntries(Object.entries(event.metadata ?? {})),
          });
          skipRow(skipper);
          expect(skipper.offset).toBe(reader.offset);
        }
        expect(reader.done).toBe(true);
      }),
    );
  });

  test("a byte order mark at the start of a text is a character of it", () => {
    const mark = "\ufeff";
    const event = {
      device_id: `${mark}d`,
      event_type: `${mark}t`,
      value_string: mark,
      metadata: { [mark]: `${mark}v` },
    };
    const encoder = new RowEncoder();
    encoder.encode(event, 0, 0);
    expect(decodeRow(new RowBinaryReader(encoder.bytes()))).toMatchObject(event);
  });

  test("a row is no longer than its JSON and 48 bytes: the bound that frames rely on", () => {
    fc.assert(
      fc.property(anyEvent, time, (event, timestampMs) => {
        const encoder = new RowEncoder();
        encoder.encode(event, timestampMs, timestampMs);
        expect(encoder.byteLength).toBeLessThanOrEqual(Buffer.byteLength(JSON.stringify(event)) + 48);
      }),
    );
  });

  test("bytes cut anywhere are reported as truncated, never read past", () => {
    fc.assert(
      fc.property(anyEvent, fc.nat(), (event, cut) => {
        const encoder = new RowEncoder();
        encoder.encode(event, 0, 0);
        const bytes = encoder.bytes();
        const part = bytes.slice(0, cut % bytes.length);
        expect(() => decodeRow(new RowBinaryReader(part))).toThrow(TruncatedRowError);
      }),
    );
  });

  test("a lone surrogate is refused in every field", () => {
    const bad = "a\ud800b";
    for (const event of [
      { device_id: bad, event_type: "t" },
      { device_id: "d", event_type: bad },
      { device_id: "d", event_type: "t", value_string: bad },
      { device_id: "d", event_type: "t", metadata: { k: bad } },
      { device_id: "d", event_type: "t", metadata: { [bad]: "v" } },
    ]) {
      expect(() => new RowEncoder().encode(event, 0, 0)).toThrow(LoneSurrogateError);
    }
  });

  test("the encoder's device hash is the one that ClickHouse's ids are looked up by", () => {
    fc.assert(
      fc.property(text(300), (deviceId) => {
        const encoder = new RowEncoder();
        encoder.encode({ device_id: deviceId, event_type: "t" }, 0, 0);
        expect([encoder.deviceHashA, encoder.deviceHashB]).toEqual(hashDeviceId(deviceId));
      }),
    );
  });
});
