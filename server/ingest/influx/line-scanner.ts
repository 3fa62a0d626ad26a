import { limits } from "../../../contract/limits.ts";
import { hashDeviceId } from "../../../contract/row.ts";
import type { PlacedEvent } from "../staging.ts";
import { quotedLineEnd } from "./bad-line.ts";
import {
  backslash,
  characters,
  comma,
  equals,
  firstDigit,
  fnvOffset,
  fnvPrime,
  hash,
  isDigit,
  isNameEscape,
  isSame,
  isSpecial,
  isTagEscape,
  latin1,
  minus,
  newline,
  quote,
  space,
  startsAt,
  underscore,
} from "./line-bytes.ts";
import { LineCursor } from "./line-cursor.ts";
import { Fields } from "./line-fields.ts";
import { readPlainValue, readText } from "./line-values.ts";
import { type Precision, timestampMs } from "./precision.ts";

/** `bad`: the line is no point, and `fault` says why. A bad line costs its own events and no others. */
export type LineStep = "line" | "bad" | "end";

export interface LineOptions {
  readonly precision: Precision;
  /** Tags that name the device, in order of preference, as UTF-8. */
  readonly deviceTags: readonly Uint8Array[];
  /** Names the device of a line without such a tag: the database or bucket, as UTF-8. */
  readonly place: Uint8Array | null;
}

const emptyBytes = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The composed event type stands at the scratch's start; no accepted one is longer. */
const typeBytes = 4 * limits.eventTypeCharacters + 4;
const valueName = new TextEncoder().encode("value");
const deviceName = new TextEncoder().encode("device_id");

/**
 * Reads line protocol straight from a body's bytes: `next` moves to the next point, `select` to one of its fields, and the
 * scanner then is that field's event. The body is copied into `bytes`, behind the place where event types are composed; names
 * stay where they are, and what has escapes is unescaped in place, so neither costs a detour. `testing/line-protocol-reference.ts` says the same by way of strings and objects; a test
 * compares the two on anything.
 */
export class LineScanner implements PlacedEvent {
  deviceStart = 0;
  deviceEnd = 0;
  deviceHashA = 0;
  deviceHashB = 0;
  readonly typeStart = 0;
  typeEnd = 0;
  typeHash = 0;
  value = Number.NaN;
  textStart = -1;
  textEnd = -1;
  readonly metadata = new Int32Array(limits.metadataKeys * 4);
  metadataKeys = 0;
  readonly timestampStart = -1;
  readonly timestampEnd = -1;
  /** Epoch milliseconds of the point; NaN: it has no time. */
  timestampMs = Number.NaN;
  fieldCount = 0;

  readonly #cursor = new LineCursor();
  readonly #fields = new Fields();
  #body: Uint8Array = emptyBytes;
  #options: LineOptions = { precision: "ns", deviceTags: [], place: null };
  /** Where the body begins in `bytes`; all places below are in there, too. */
  #bodyStart = 0;
  #lineStart = 0;
  #countedTo = 0;
  #counted = 1;
  #measurementEnd = 0;
  #measurementHash = 0;
  #placeStart = 0;
  #placeEnd = 0;

  /** The body need not be UTF-8: the caller looks at that, and at single lines by `line` when it is not. */
  open(body: Uint8Array, options: LineOptions): void {
    const cursor = this.#cursor;
    this.#body = body;
    this.#options = options;
    const place = options.place ?? emptyBytes;
    const start = typeBytes + place.length;
    const end = start + body.length;
    if (cursor.bytes.length <= end) cursor.bytes = new Uint8Array(Math.max(end + 1, 1 << 16));
    cursor.bytes.set(place, typeBytes);
    cursor.bytes.set(body, start);
    // A line end behind the last line, so that no loop needs to ask where the body ends but that within a string.
    cursor.bytes[end] = newline;
    this.#placeStart = typeBytes;
    this.#placeEnd = start;
    this.#bodyStart = start;
    cursor.end = end;
    cursor.at = start;
    this.#lineStart = start;
    this.#countedTo = start;
    this.#counted = 1;
  }

  /** The bytes of the line at hand, without its end. */
  get line(): Uint8Array {
    return this.#body.subarray(this.#lineStart - this.#bodyStart, this.#cursor.at - this.#bodyStart);
  }

  /** The line at hand, from 1, as an editor counts. */
  get lineNumber(): number {
    for (; this.#countedTo < this.#lineStart; this.#countedTo++) {
      if (this.#body[this.#countedTo - this.#bodyStart] === newline) this.#counted++;
    }
    return this.#counted;
  }

  next(): LineStep {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    const { end } = cursor;
    for (;;) {
      if (cursor.at < end && bytes[cursor.at] === newline) cursor.at++;
      cursor.skipBlanks();
      if (cursor.atLineEnd()) cursor.skipCarriageReturn();
      if (cursor.at >= end) return "end";
      if (bytes[cursor.at] === newline) continue;
      this.#lineStart = cursor.at;
      if (bytes[cursor.at] !== hash) break;
      cursor.at = this.#physicalEnd(cursor.at);
    }
    if (this.#point()) return "line";
    // What was unescaped of it may be read again, as part of another line.
    const from = this.#lineStart - this.#bodyStart;
    cursor.bytes.set(this.#body.subarray(from, cursor.at - this.#bodyStart), this.#lineStart);
    cursor.at = this.#endOfBadLine();
    return "bad";
  }

  /** Makes this scanner the event of one of the point's fields. */
  select(index: number): void {
    const { bytes } = this.#cursor;
    const fields = this.#fields;
    let to = this.#measurementEnd;
    let typeHash = this.#measurementHash;
    const start = fields.keyStart[index] as number;
    const end = fields.keyEnd[index] as number;
    if (!(end - start === valueName.length && startsAt(bytes, start, valueName))) {
      bytes[to++] = underscore;
      typeHash = Math.imul(typeHash ^ underscore, fnvPrime);
      for (let from = start; from < end; from++) {
        const byte = bytes[from] as number;
        bytes[to++] = byte;
        typeHash = Math.imul(typeHash ^ byte, fnvPrime);
      }
    }
    this.typeEnd = to;
    this.typeHash = typeHash >>> 0;
    this.value = fields.value[index] as number;
    this.textStart = fields.textStart[index] as number;
    this.textEnd = fields.textEnd[index] as number;
  }

  #point(): boolean {
    const cursor = this.#cursor;
    this.metadataKeys = 0;
    this.timestampMs = Number.NaN;
    this.#fields.count = 0;
    if (!this.#measurement()) return false;
    while (cursor.byte() === comma) if (!this.#tag()) return false;
    if (!this.#device()) return false;
    cursor.skipBlanks();
    if (cursor.atLineEnd()) return cursor.bad("fields are missing");
    for (;;) {
      if (!this.#field()) return false;
      if (cursor.byte() !== comma) break;
      cursor.at++;
    }
    this.fieldCount = this.#fields.count;
    return this.#time();
  }

  /** Into the place where types are composed. */
  #measurement(): boolean {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    let at = cursor.at;
    let to = 0;
    let typeHash = fnvOffset;
    for (; ; at++) {
      let byte = bytes[at] as number;
      if (isSpecial[byte] !== 0) {
        if (byte === comma || byte === space || byte === newline) break;
        if (byte === backslash && isNameEscape[bytes[at + 1] as number] !== 0) byte = bytes[++at] as number;
      }
      if (to === typeBytes - 2)
        return cursor.bad(`measurement is longer than ${limits.eventTypeCharacters} characters`);
      bytes[to++] = byte;
      typeHash = Math.imul(typeHash ^ byte, fnvPrime);
    }
    cursor.at = at;
    if (to === 0) return cursor.bad("measurement is missing");
    if (bytes[at] === newline) return cursor.bad("fields are missing");
    this.#measurementEnd = to;
    this.#measurementHash = typeHash;
    return true;
  }

  #tag(): boolean {
    const cursor = this.#cursor;
    const { metadata } = this;
    const { bytes } = cursor;
    const keyStart = cursor.at + 1;
    const keyEnd = cursor.name(keyStart, isTagEscape);
    if (keyEnd === keyStart) return cursor.bad("a tag has no key");
    if (cursor.byte() !== equals) return cursor.bad("a tag has no value");
    const start = cursor.at + 1;
    const end = cursor.name(start, isTagEscape);
    if (end === start) return cursor.bad("a tag has no value");
    if (cursor.byte() === equals) return cursor.bad("a tag value has an = that is not escaped");
    if (this.metadataKeys === limits.metadataKeys) return cursor.bad(`there are more than ${limits.metadataKeys} tags`);
    const place = this.metadataKeys * 4;
    for (let other = 0; other < place; other += 4) {
      if (isSame(bytes, metadata[other] as number, metadata[other + 1] as number, keyStart, keyEnd)) {
        return cursor.bad("a tag is there twice");
      }
    }
    metadata[place] = keyStart;
    metadata[place + 1] = keyEnd;
    metadata[place + 2] = start;
    metadata[place + 3] = end;
    this.metadataKeys++;
    return true;
  }

  #device(): boolean {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    this.deviceStart = this.#placeStart;
    this.deviceEnd = this.#placeEnd;
    this.#findDeviceTag();
    const { deviceStart, deviceEnd } = this;
    if (deviceStart === deviceEnd)
      return cursor.bad("no tag names a device, and the request names no database or bucket");
    const { deviceIdCharacters } = limits;
    // Never more characters than bytes.
    if (
      deviceEnd - deviceStart > deviceIdCharacters &&
      characters(bytes, deviceStart, deviceEnd) > deviceIdCharacters
    ) {
      return cursor.bad(`the device's name is longer than ${limits.deviceIdCharacters} characters`);
    }
    let a = fnvOffset;
    let b = 0x9e3779b9;
    for (let at = deviceStart; at < deviceEnd; at++) {
      const byte = bytes[at] as number;
      if (byte > 127) {
        // The hashes are of UTF-16 units; only in ASCII are those the bytes.
        [this.deviceHashA, this.deviceHashB] = hashDeviceId(this.deviceId);
        return true;
      }
      a = Math.imul(a ^ byte, fnvPrime);
      b = Math.imul(b + byte, 0x85ebca6b) ^ (b >>> 15);
    }
    this.deviceHashA = a >>> 0;
    this.deviceHashB = b >>> 0;
    return true;
  }

  get bytes(): Uint8Array {
    return this.#cursor.bytes;
  }

  /** What is wrong with a bad line. */
  get fault(): string {
    return this.#cursor.fault;
  }

  get hasTimestamp(): boolean {
    return !Number.isNaN(this.timestampMs);
  }

  get timestamp(): number {
    return this.timestampMs;
  }

  get deviceId(): string {
    return decoder.decode(this.#cursor.bytes.subarray(this.deviceStart, this.deviceEnd));
  }

  #findDeviceTag(): void {
    const { metadata } = this;
    const { bytes } = this.#cursor;
    const last = this.metadataKeys * 4;
    for (const name of this.#options.deviceTags) {
      for (let place = 0; place < last; place += 4) {
        const start = metadata[place] as number;
        if ((metadata[place + 1] as number) - start !== name.length || !startsAt(bytes, start, name)) continue;
        this.deviceStart = metadata[place + 2] as number;
        this.deviceEnd = metadata[place + 3] as number;
        if (name.length === deviceName.length && startsAt(name, 0, deviceName)) {
          // It is the column of that name; a second copy beside it would say nothing.
          for (let to = place; to < last - 4; to++) metadata[to] = metadata[to + 4] as number;
          this.metadataKeys--;
        }
        return;
      }
    }
  }

  #field(): boolean {
    const cursor = this.#cursor;
    const fields = this.#fields;
    const keyStart = cursor.at;
    const keyEnd = cursor.name(keyStart, isNameEscape);
    if (keyEnd === keyStart) return cursor.bad("a field has no key");
    if (cursor.byte() !== equals) return cursor.bad("a field has no value");
    cursor.at++;
    const index = fields.place(cursor.bytes, keyStart, keyEnd);
    fields.textStart[index] = -1;
    fields.value[index] = Number.NaN;
    if (cursor.byte() === quote ? !readText(cursor, fields, index) : !readPlainValue(cursor, fields, index))
      return false;
    const isValue = keyEnd - keyStart === valueName.length && startsAt(cursor.bytes, keyStart, valueName);
    const length = this.#measurementEnd + (isValue ? 0 : 1 + keyEnd - keyStart);
    if (length > limits.eventTypeCharacters && !this.#isShort(keyStart, isValue ? keyStart : keyEnd)) {
      return cursor.bad(`measurement and field together are longer than ${limits.eventTypeCharacters} characters`);
    }
    return true;
  }

  #isShort(keyStart: number, keyEnd: number): boolean {
    const own = characters(this.#cursor.bytes, 0, this.#measurementEnd);
    const key = keyStart === keyEnd ? 0 : 1 + characters(this.#cursor.bytes, keyStart, keyEnd);
    return own + key <= limits.eventTypeCharacters;
  }

  #time(): boolean {
    const cursor = this.#cursor;
    const { bytes } = cursor;
    cursor.skipBlanks();
    if (cursor.atLineEnd()) return cursor.skipCarriageReturn();
    const negative = bytes[cursor.at] === minus;
    if (negative) cursor.at++;
    const start = cursor.at;
    while (isDigit(bytes[cursor.at])) cursor.at++;
    const end = cursor.at;
    cursor.skipBlanks();
    if (end === start || !cursor.atLineEnd()) return cursor.bad("the timestamp is not a whole number");
    const first = firstDigit(bytes, start, end);
    if (end - first > 19) return cursor.bad("the timestamp is out of range");
    this.timestampMs = timestampMs(latin1(bytes, first, end), negative, this.#options.precision);
    return cursor.skipCarriageReturn();
  }

  #physicalEnd(from: number): number {
    const end = this.#body.indexOf(newline, from - this.#bodyStart);
    return end < 0 ? this.#cursor.end : end + this.#bodyStart;
  }

  /**
   * Where a bad line ends. A quote that is missing or misplaced would swallow the good lines after it, so then it is the first line
   * end of all. Otherwise strings keep their line ends: what stands in one is never read as a line of its own.
   */
  #endOfBadLine(): number {
    const end = quotedLineEnd(this.#body, this.#lineStart - this.#bodyStart);
    return end === undefined ? this.#physicalEnd(this.#lineStart) : end + this.#bodyStart;
  }
}
