import type { Event, StoredEvent } from "./event.ts";

/**
 * One row of `telemetry_events` in ClickHouse's RowBinary: little-endian, strings with a LEB128 length, columns in the
 * order of `rowColumns`. Encoded once, on arrival; read again when a batch is made
 * into columns (workers/columns/), and by recovery, bisection and dead letters.
 * Source: ClickHouse documentation, "RowBinary".
 */
export const rowColumns = [
  "timestamp",
  "received_at",
  "device_id",
  "event_type",
  "value_float",
  "value_string",
  "metadata",
] as const;

/** Changes whenever the bytes of a row change meaning; part of each segment's header. */
export const rowFormatVersion = 1;

/** Where the device's id begins in a row, after two times. */
export const rowDeviceOffset = 16;

/** Below this many UTF-16 units a `charCodeAt` loop beats `encodeInto` (0.03 against 0.25 µs for a 12-character id). */
const shortStringUnits = 96;
const shortRowsBytes = 128;
const two32 = 2 ** 32;
const textEncoder = new TextEncoder();

/** Thrown for text that UTF-8 cannot carry: a surrogate without its partner. */
export class LoneSurrogateError extends Error {}

/** The time of the event whose row begins at `at`, in epoch milliseconds. */
export function rowTimeMs(bytes: Uint8Array, at: number): number {
  return viewedTimeMs(new DataView(bytes.buffer, bytes.byteOffset + at, 8), 0);
}

/** The same where many rows are looked at. */
export function viewedTimeMs(rows: DataView, at: number): number {
  return rows.getInt32(at + 4, true) * two32 + rows.getUint32(at, true);
}

/**
 * One event as places in the body's bytes: nothing is copied and no object is made. `…Start` is the first byte of a
 * string's content, `…End` the one after its last. All strings are free of escapes, so their bytes are their UTF-8.
 */
export interface ScannedEvent {
  readonly bytes: Uint8Array;
  readonly deviceStart: number;
  readonly deviceEnd: number;
  /** The two hashes of `hashDeviceId`. */
  readonly deviceHashA: number;
  readonly deviceHashB: number;
  readonly typeStart: number;
  readonly typeEnd: number;
  /** FNV-1a of the type's bytes. */
  readonly typeHash: number;
  /** NaN: none. */
  readonly value: number;
  /** -1: none. */
  readonly textStart: number;
  readonly textEnd: number;
  /** Of each key and value: start, end, start, end; the first `metadataKeys` of them. */
  readonly metadata: Int32Array;
  readonly metadataKeys: number;
  /** -1: none. Of a string, its place; of a number, `timestampMs`. */
  readonly timestampStart: number;
  readonly timestampEnd: number;
  /** NaN: none. */
  readonly timestampMs: number;
}

/** Appends rows to one growing buffer. `reset`, `encode` any number of events, then `bytes()`; `rewind` drops the last ones. */
export class RowEncoder {
  #buffer: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #offset = 0;
  /** FNV-1a and a second multiplicative hash of the device id encoded last: its identity in the active-device table. */
  deviceHashA = 0;
  deviceHashB = 0;

  constructor(initialBytes = 1 << 16) {
    this.#buffer = new Uint8Array(initialBytes);
    this.#view = new DataView(this.#buffer.buffer);
  }

  get byteLength(): number {
    return this.#offset;
  }

  reset(): void {
    this.#offset = 0;
  }

  rewind(byteLength: number): void {
    this.#offset = byteLength;
  }

  /** A view of what was encoded since `reset`; valid until the next `encode`. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#offset);
  }

  /** Appends one event; times in epoch milliseconds. Throws `LoneSurrogateError`, after which the caller rewinds. */
  encode(event: Event, timestampMs: number, receivedAtMs: number): void {
    // Fixed-width parts, flags and lengths need at most 48 bytes; every UTF-16 unit at most three.
    this.#reserve(48 + 3 * (event.device_id.length + event.event_type.length));
    this.#writeInt64(timestampMs);
    this.#writeInt64(receivedAtMs);
    this.#writeDeviceId(event.device_id);
    this.#writeString(event.event_type);
    const value = event.value_float;
    if (value === undefined || value === null) {
      this.#buffer[this.#offset++] = 1;
    } else {
      this.#buffer[this.#offset++] = 0;
      this.#view.setFloat64(this.#offset, value, true);
      this.#offset += 8;
    }
    const text = event.value_string;
    if (text === undefined || text === null) {
      this.#buffer[this.#offset++] = 1;
    } else {
      this.#reserve(16 + 3 * text.length);
      this.#buffer[this.#offset++] = 0;
      this.#writeString(text);
    }
    const metadata = event.metadata;
    if (metadata === undefined) {
      this.#buffer[this.#offset++] = 0;
    } else {
      const keys = Object.keys(metadata);
      this.#reserve(16);
      this.#writeLength(keys.length);
      for (const key of keys) {
        const entry = metadata[key] as string;
        this.#reserve(32 + 3 * (key.length + entry.length));
        this.#writeString(key);
        this.#writeString(entry);
      }
    }
  }

  /** Appends whole rows: `length` bytes of `memory`, from `start` on. */
  append(memory: Uint8Array, start: number, length: number): void {
    this.#reserve(length);
    const buffer = this.#buffer;
    const offset = this.#offset;
    // A view costs more than copying a single row byte by byte.
    if (length < shortRowsBytes) for (let at = 0; at < length; at++) buffer[offset + at] = memory[start + at] as number;
    else buffer.set(memory.subarray(start, start + length), offset);
    this.#offset = offset + length;
  }

  /** `encode` of an event that lies in the bytes of its body, as `LineScanner` finds it. Throws nothing. */
  encodeScanned(event: ScannedEvent, timestampMs: number, receivedAtMs: number): void {
    const { bytes, value, textStart, metadata, metadataKeys } = event;
    const last = metadataKeys * 4;
    let textBytes = textStart < 0 ? 0 : event.textEnd - textStart;
    for (let place = 0; place < last; place += 2) {
      textBytes += 3 + (metadata[place + 1] as number) - (metadata[place] as number);
    }
    this.#reserve(64 + event.deviceEnd - event.deviceStart + event.typeEnd - event.typeStart + textBytes);
    this.#writeInt64(timestampMs);
    this.#writeInt64(receivedAtMs);
    this.deviceHashA = event.deviceHashA;
    this.deviceHashB = event.deviceHashB;
    this.#copyString(bytes, event.deviceStart, event.deviceEnd);
    this.#copyString(bytes, event.typeStart, event.typeEnd);
    if (Number.isNaN(value)) {
      this.#buffer[this.#offset++] = 1;
    } else {
      this.#buffer[this.#offset++] = 0;
      this.#view.setFloat64(this.#offset, value, true);
      this.#offset += 8;
    }
    if (textStart < 0) {
      this.#buffer[this.#offset++] = 1;
    } else {
      this.#buffer[this.#offset++] = 0;
      this.#copyString(bytes, textStart, event.textEnd);
    }
    this.#buffer[this.#offset++] = metadataKeys;
    for (let place = 0; place < last; place += 2) {
      this.#copyString(bytes, metadata[place] as number, metadata[place + 1] as number);
    }
  }

  #copyString(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#writeLength(length);
    const buffer = this.#buffer;
    let to = this.#offset;
    if (length < shortStringUnits) for (let from = start; from < end; from++) buffer[to++] = bytes[from] as number;
    else buffer.set(bytes.subarray(start, end), to);
    this.#offset += length;
  }

  #reserve(bytes: number): void {
    if (this.#offset + bytes <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#offset + bytes));
    grown.set(this.#buffer.subarray(0, this.#offset));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }

  #writeInt64(value: number): void {
    const high = Math.floor(value / two32);
    this.#view.setUint32(this.#offset, value - high * two32, true);
    this.#view.setInt32(this.#offset + 4, high, true);
    this.#offset += 8;
  }

  #writeLength(length: number): void {
    let rest = length;
    while (rest > 127) {
      this.#buffer[this.#offset++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#buffer[this.#offset++] = rest;
  }

  #writeString(text: string): void {
    const { length } = text;
    if (length < shortStringUnits) {
      // One length byte is enough, as long as every unit is one byte.
      const buffer = this.#buffer;
      const start = this.#offset;
      let at = start + 1;
      for (let index = 0; index < length; index++) {
        const unit = text.charCodeAt(index);
        if (unit > 127) {
          this.#writeWideString(text);
          return;
        }
        buffer[at++] = unit;
      }
      buffer[start] = length;
      this.#offset = at;
      return;
    }
    this.#writeWideString(text);
  }

  /** `#writeString` that hashes on the way: the loop is there anyway, and two multiplications a byte are cheaper than a Map. */
  #writeDeviceId(text: string): void {
    const { length } = text;
    const start = this.#offset;
    let a = 0x811c9dc5;
    let b = 0x9e3779b9;
    if (length < shortStringUnits) {
      const buffer = this.#buffer;
      let at = start + 1;
      let index = 0;
      for (; index < length; index++) {
        const unit = text.charCodeAt(index);
        if (unit > 127) break;
        buffer[at++] = unit;
        a = Math.imul(a ^ unit, 0x01000193);
        b = Math.imul(b + unit, 0x85ebca6b) ^ (b >>> 15);
      }
      if (index === length) {
        buffer[start] = length;
        this.#offset = at;
        this.deviceHashA = a >>> 0;
        this.deviceHashB = b >>> 0;
        return;
      }
    }
    this.#writeWideString(text);
    [this.deviceHashA, this.deviceHashB] = hashDeviceId(text);
  }

  #writeWideString(text: string): void {
    if (!text.isWellFormed()) throw new LoneSurrogateError();
    this.#writeLength(Buffer.byteLength(text));
    this.#offset += textEncoder.encodeInto(text, this.#buffer.subarray(this.#offset)).written;
  }
}

/** The two hashes under which `RowEncoder` knows a device id. */
export function hashDeviceId(text: string): [a: number, b: number] {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b + unit, 0x85ebca6b) ^ (b >>> 15);
  }
  return [a >>> 0, b >>> 0];
}

/** Thrown when bytes end inside a value; the bytes are then not RowBinary of the expected columns. */
export class TruncatedRowError extends Error {}

/** Reads RowBinary values one after the other. Shared by rows, rollup answers and dead letters. */
export class RowBinaryReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = offset;
  }

  get done(): boolean {
    return this.offset >= this.#bytes.length;
  }

  #take(bytes: number): number {
    const at = this.offset;
    if (at + bytes > this.#bytes.length) throw new TruncatedRowError(`row ends ${bytes} bytes early`);
    this.offset = at + bytes;
    return at;
  }

  uint8(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** Exact up to 2^53. */
  int64(): number {
    const at = this.#take(8);
    return this.#view.getInt32(at + 4, true) * two32 + this.#view.getUint32(at, true);
  }

  uint64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at + 4, true) * two32 + this.#view.getUint32(at, true);
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  length(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.uint8();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }

  string(): string {
    const length = this.length();
    const at = this.#take(length);
    // Not TextDecoder: by default that drops a byte order mark, which may well be the first character of a name.
    return this.#bytes.toString("utf8", at, at + length);
  }

  skipString(): void {
    this.#take(this.length());
  }
}

/** Decodes the row at the reader. Times as ISO 8601 in UTC. */
export function decodeRow(reader: RowBinaryReader): StoredEvent {
  const timestamp = new Date(reader.int64()).toISOString();
  const received_at = new Date(reader.int64()).toISOString();
  const device_id = reader.string();
  const event_type = reader.string();
  const value_float = reader.uint8() === 0 ? reader.float64() : null;
  const value_string = reader.uint8() === 0 ? reader.string() : null;
  const metadata: [string, string][] = [];
  for (let left = reader.length(); left > 0; left--) metadata.push([reader.string(), reader.string()]);
  // fromEntries defines own properties, so a key "__proto__" stays a key.
  return {
    timestamp,
    received_at,
    device_id,
    event_type,
    value_float,
    value_string,
    metadata: Object.fromEntries(metadata),
  };
}

/** Moves the reader past one row without decoding it. */
export function skipRow(reader: RowBinaryReader): void {
  reader.int64();
  reader.int64();
  reader.skipString();
  reader.skipString();
  if (reader.uint8() === 0) reader.float64();
  if (reader.uint8() === 0) reader.skipString();
  for (let left = reader.length(); left > 0; left--) {
    reader.skipString();
    reader.skipString();
  }
}
