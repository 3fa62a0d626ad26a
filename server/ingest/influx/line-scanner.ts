import { limits } from "../../../contract/limits.ts";
import { hashDeviceId } from "../../../contract/row.ts";
import type { PlacedEvent } from "../staging.ts";
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

const space = 32;
const tab = 9;
const newline = 10;
const carriageReturn = 13;
const quote = 34;
const hash = 35;
const comma = 44;
const minus = 45;
const dot = 46;
const zero = 48;
const equals = 61;
const backslash = 92;
const underscore = 95;

const integerSuffix = 105;
const unsignedSuffix = 117;
const timeSuffix = 116;

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/** What ends a run of plain bytes in a measurement, tag key, tag value or field key. */
const isSpecial = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte === comma || byte === space || byte === equals || byte === backslash || byte === newline),
);
const among = (...bytes: number[]) => Uint8Array.from({ length: 256 }, (_, byte) => Number(bytes.includes(byte)));
/** What a backslash makes plain: in tags, and in names of measurements and fields. */
const isTagEscape = among(comma, space, equals);
const isNameEscape = among(comma, space, equals, quote);
const isNumberByte = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number((byte >= zero && byte <= 57) || [dot, minus, 43, 69, 101].includes(byte)),
);
const exactDigits = 15;
const powersOfTen = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);
const decimal = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/** The composed event type stands at the scratch's start; no accepted one is longer. */
const typeBytes = 4 * limits.eventTypeCharacters + 4;
const valueName = new TextEncoder().encode("value");
const deviceName = new TextEncoder().encode("device_id");

const booleans: Readonly<Record<string, number>> = {
  t: 1,
  T: 1,
  true: 1,
  True: 1,
  TRUE: 1,
  f: 0,
  F: 0,
  false: 0,
  False: 0,
  FALSE: 0,
};

/**
 * Reads line protocol straight from a body's bytes: `next` moves to the next point, `select` to one of its fields, and the
 * scanner then is that field's event. The body is copied into `bytes`, behind the place where event types are composed; names
 * stay where they are, and what has escapes is unescaped in place, so neither costs a detour. `testing/line-protocol-reference.ts` says the same by way of strings and objects; a test
 * compares the two on anything.
 */
export class LineScanner implements PlacedEvent {
  bytes: Uint8Array = new Uint8Array(0);
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
  /** What is wrong with a bad line. */
  fault = "";

  #body: Uint8Array = new Uint8Array(0);
  #options: LineOptions = { precision: "ns", deviceTags: [], place: null };
  /** Where the body begins and ends in `bytes`; all places below are in there, too. */
  #bodyStart = 0;
  #bodyEnd = 0;
  #at = 0;
  #lineStart = 0;
  #countedTo = 0;
  #counted = 1;
  #measurementEnd = 0;
  #measurementHash = 0;
  #placeStart = 0;
  #placeEnd = 0;
  #fields = new Fields();

  /** The body need not be UTF-8: the caller looks at that, and at single lines by `line` when it is not. */
  open(body: Uint8Array, options: LineOptions): void {
    this.#body = body;
    this.#options = options;
    const place = options.place ?? emptyBytes;
    const start = typeBytes + place.length;
    const end = start + body.length;
    if (this.bytes.length <= end) this.bytes = new Uint8Array(Math.max(end + 1, 1 << 16));
    this.bytes.set(place, typeBytes);
    this.bytes.set(body, start);
    // A line end behind the last line, so that no loop needs to ask where the body ends but that within a string.
    this.bytes[end] = newline;
    this.#placeStart = typeBytes;
    this.#placeEnd = start;
    this.#bodyStart = start;
    this.#bodyEnd = end;
    this.#at = start;
    this.#lineStart = start;
    this.#countedTo = start;
    this.#counted = 1;
  }

  /** The bytes of the line at hand, without its end. */
  get line(): Uint8Array {
    return this.#body.subarray(this.#lineStart - this.#bodyStart, this.#at - this.#bodyStart);
  }

  /** The line at hand, from 1, as an editor counts. */
  get lineNumber(): number {
    for (; this.#countedTo < this.#lineStart; this.#countedTo++) {
      if (this.#body[this.#countedTo - this.#bodyStart] === newline) this.#counted++;
    }
    return this.#counted;
  }

  next(): LineStep {
    const { bytes } = this;
    const end = this.#bodyEnd;
    for (;;) {
      if (this.#at < end && bytes[this.#at] === newline) this.#at++;
      this.#skipBlanks();
      if (this.#atLineEnd()) this.#skipCarriageReturn();
      if (this.#at >= end) return "end";
      if (bytes[this.#at] === newline) continue;
      this.#lineStart = this.#at;
      if (bytes[this.#at] !== hash) break;
      this.#at = this.#physicalEnd(this.#at);
    }
    if (this.#point()) return "line";
    // What was unescaped of it may be read again, as part of another line.
    const from = this.#lineStart - this.#bodyStart;
    this.bytes.set(this.#body.subarray(from, this.#at - this.#bodyStart), this.#lineStart);
    this.#at = this.#endOfBadLine();
    return "bad";
  }

  /** Makes this scanner the event of one of the point's fields. */
  select(index: number): void {
    const { bytes } = this;
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

  #bad(fault: string): false {
    this.fault = fault;
    return false;
  }

  #skipBlanks(): void {
    while (isBlank(this.bytes[this.#at])) this.#at++;
  }

  #byte(): number {
    return this.bytes[this.#at] as number;
  }

  #point(): boolean {
    this.metadataKeys = 0;
    this.timestampMs = Number.NaN;
    this.#fields.count = 0;
    if (!this.#measurement()) return false;
    while (this.#byte() === comma) if (!this.#tag()) return false;
    if (!this.#device()) return false;
    this.#skipBlanks();
    if (this.#atLineEnd()) return this.#bad("fields are missing");
    for (;;) {
      if (!this.#field()) return false;
      if (this.#byte() !== comma) break;
      this.#at++;
    }
    this.fieldCount = this.#fields.count;
    return this.#time();
  }

  /** Into the place where types are composed. */
  #measurement(): boolean {
    const { bytes } = this;
    let at = this.#at;
    let to = 0;
    let typeHash = fnvOffset;
    for (; ; at++) {
      let byte = bytes[at] as number;
      if (isSpecial[byte] !== 0) {
        if (byte === comma || byte === space || byte === newline) break;
        if (byte === backslash && isNameEscape[bytes[at + 1] as number] !== 0) byte = bytes[++at] as number;
      }
      if (to === typeBytes - 2) return this.#bad(`measurement is longer than ${limits.eventTypeCharacters} characters`);
      bytes[to++] = byte;
      typeHash = Math.imul(typeHash ^ byte, fnvPrime);
    }
    this.#at = at;
    if (to === 0) return this.#bad("measurement is missing");
    if (bytes[at] === newline) return this.#bad("fields are missing");
    this.#measurementEnd = to;
    this.#measurementHash = typeHash;
    return true;
  }

  /**
   * The end of a name or tag value that begins at `start`, unescaped where it stands; `#at` is then at the special byte that
   * ended it.
   */
  #name(start: number, isEscape: Uint8Array): number {
    const at = plainEnd(this.bytes, start);
    this.#at = at;
    return this.bytes[at] === backslash ? this.#escapedName(at, isEscape) : at;
  }

  /** From its first backslash on. */
  #escapedName(start: number, isEscape: Uint8Array): number {
    const { bytes } = this;
    let at = start;
    let to = start;
    for (; ; at++) {
      let byte = bytes[at] as number;
      if (isSpecial[byte] !== 0) {
        if (byte !== backslash) break;
        if (isEscape[bytes[at + 1] as number] !== 0) byte = bytes[++at] as number;
      }
      bytes[to++] = byte;
    }
    this.#at = at;
    return to;
  }

  #tag(): boolean {
    const { bytes, metadata } = this;
    const keyStart = this.#at + 1;
    const keyEnd = this.#name(keyStart, isTagEscape);
    if (keyEnd === keyStart) return this.#bad("a tag has no key");
    if (this.#byte() !== equals) return this.#bad("a tag has no value");
    const start = this.#at + 1;
    const end = this.#name(start, isTagEscape);
    if (end === start) return this.#bad("a tag has no value");
    if (this.#byte() === equals) return this.#bad("a tag value has an = that is not escaped");
    if (this.metadataKeys === limits.metadataKeys) return this.#bad(`there are more than ${limits.metadataKeys} tags`);
    const place = this.metadataKeys * 4;
    for (let other = 0; other < place; other += 4) {
      if (isSame(bytes, metadata[other] as number, metadata[other + 1] as number, keyStart, keyEnd)) {
        return this.#bad("a tag is there twice");
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
    const { bytes } = this;
    this.deviceStart = this.#placeStart;
    this.deviceEnd = this.#placeEnd;
    this.#findDeviceTag();
    const { deviceStart, deviceEnd } = this;
    if (deviceStart === deviceEnd)
      return this.#bad("no tag names a device, and the request names no database or bucket");
    const { deviceIdCharacters } = limits;
    // Never more characters than bytes.
    if (
      deviceEnd - deviceStart > deviceIdCharacters &&
      characters(bytes, deviceStart, deviceEnd) > deviceIdCharacters
    ) {
      return this.#bad(`the device's name is longer than ${limits.deviceIdCharacters} characters`);
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

  get hasTimestamp(): boolean {
    return !Number.isNaN(this.timestampMs);
  }

  get timestamp(): number {
    return this.timestampMs;
  }

  get deviceId(): string {
    return decoder.decode(this.bytes.subarray(this.deviceStart, this.deviceEnd));
  }

  #findDeviceTag(): void {
    const { bytes, metadata } = this;
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
    const fields = this.#fields;
    const keyStart = this.#at;
    const keyEnd = this.#name(keyStart, isNameEscape);
    if (keyEnd === keyStart) return this.#bad("a field has no key");
    if (this.#byte() !== equals) return this.#bad("a field has no value");
    this.#at++;
    const index = fields.place(this.bytes, keyStart, keyEnd);
    fields.textStart[index] = -1;
    fields.value[index] = Number.NaN;
    if (this.#byte() === quote ? !this.#text(index) : !this.#plainValue(index)) return false;
    const isValue = keyEnd - keyStart === valueName.length && startsAt(this.bytes, keyStart, valueName);
    const length = this.#measurementEnd + (isValue ? 0 : 1 + keyEnd - keyStart);
    if (length > limits.eventTypeCharacters && !this.#isShort(keyStart, isValue ? keyStart : keyEnd)) {
      return this.#bad(`measurement and field together are longer than ${limits.eventTypeCharacters} characters`);
    }
    return true;
  }

  #isShort(keyStart: number, keyEnd: number): boolean {
    const own = characters(this.bytes, 0, this.#measurementEnd);
    const key = keyStart === keyEnd ? 0 : 1 + characters(this.bytes, keyStart, keyEnd);
    return own + key <= limits.eventTypeCharacters;
  }

  /** A quoted string, unescaped where it stands; line ends are characters like any other in it. */
  #text(index: number): boolean {
    const { bytes } = this;
    const bodyEnd = this.#bodyEnd;
    const start = this.#at + 1;
    let at = start;
    while (at < bodyEnd && bytes[at] !== quote && bytes[at] !== backslash) at++;
    let to = at;
    for (; at < bodyEnd; at++) {
      let byte = bytes[at] as number;
      if (byte === quote) break;
      if (byte === backslash && at + 1 < bodyEnd) {
        const escaped = bytes[at + 1] as number;
        if (escaped === quote || escaped === backslash) {
          byte = escaped;
          at++;
        }
      }
      bytes[to++] = byte;
    }
    this.#at = Math.min(at + 1, bodyEnd);
    if (at >= bodyEnd) return this.#bad("a string has no closing quote");
    if (!this.#atFieldEnd()) return this.#bad("a string's closing quote is followed by something else");
    if (to - start > limits.valueStringBytes) return this.#bad(`a string is over ${limits.valueStringBytes} bytes`);
    this.#fields.textStart[index] = start;
    this.#fields.textEnd[index] = to;
    return true;
  }

  #atFieldEnd(): boolean {
    const byte = this.#byte();
    return byte === comma || byte === space || this.#atLineEnd();
  }

  /** A carriage return before the line's end is part of that end. */
  #atLineEnd(): boolean {
    const { bytes } = this;
    const at = this.#at;
    return bytes[at] === newline || (bytes[at] === carriageReturn && bytes[at + 1] === newline);
  }

  #plainValue(index: number): boolean {
    if (this.#atFieldEnd()) return this.#bad("a field has no value");
    const first = this.#byte();
    const isNumber = isDigit(first) || first === minus || first === dot;
    return isNumber ? this.#number(index) : this.#boolean(index);
  }

  #boolean(index: number): boolean {
    const start = this.#at;
    while (!this.#atFieldEnd() && this.#at - start < 6) this.#at++;
    const word = latin1(this.bytes, start, this.#at);
    if (!this.#atFieldEnd() || !Object.hasOwn(booleans, word)) {
      return this.#bad("a field's value is neither a number nor true, false or a quoted string");
    }
    this.#fields.value[index] = booleans[word] as number;
    return true;
  }

  #number(index: number): boolean {
    const { bytes } = this;
    const start = this.#at;
    let at = start;
    const negative = bytes[at] === minus;
    if (negative) at++;
    let digits = 0;
    let integer = 0;
    for (; isDigit(bytes[at]); at++) {
      integer = integer * 10 + ((bytes[at] as number) - zero);
      digits++;
    }
    const suffix = bytes[at];
    if ((suffix === integerSuffix || suffix === unsignedSuffix || suffix === timeSuffix) && digits > 0) {
      return this.#integer(index, start, at, suffix, negative, integer);
    }
    let fraction = 0;
    if (suffix === dot) {
      at++;
      for (; isDigit(bytes[at]); at++) {
        integer = integer * 10 + ((bytes[at] as number) - zero);
        fraction++;
      }
    }
    this.#at = at;
    if (digits + fraction > 0 && digits + fraction <= exactDigits && this.#atFieldEnd()) {
      const value = fraction === 0 ? integer : integer / (powersOfTen[fraction] as number);
      this.#fields.value[index] = negative ? -value : value;
      return true;
    }
    while (isNumberByte[bytes[at] as number] !== 0) at++;
    this.#at = at;
    const text = latin1(bytes, start, at);
    if (!this.#atFieldEnd() || !decimal.test(text)) return this.#bad("a field's value is not a number");
    const value = Number(text);
    if (!Number.isFinite(value)) return this.#bad("a number is too large");
    this.#fields.value[index] = value;
    return true;
  }

  /** Digits and `i`, `u`, or `t` for QuestDB's times in microseconds. What a double does not hold is kept as text, too. */
  #integer(index: number, start: number, end: number, suffix: number, negative: boolean, rounded: number): boolean {
    const { bytes } = this;
    const fields = this.#fields;
    this.#at = end + 1;
    if (!this.#atFieldEnd()) return this.#bad("a field's value is not a number");
    if (suffix === unsignedSuffix && negative) return this.#bad("an unsigned number is negative");
    // InfluxDB has no negative zero among its integers.
    fields.value[index] = negative && rounded > 0 ? -rounded : rounded;
    if (rounded <= Number.MAX_SAFE_INTEGER) return true;
    const first = firstDigit(bytes, negative ? start + 1 : start, end);
    if (end - first > 20) return this.#bad("an integer is out of range");
    const magnitude = BigInt(latin1(bytes, first, end));
    const max = suffix === unsignedSuffix ? uint64Max : negative ? int64Max + 1n : int64Max;
    if (magnitude > max) return this.#bad("an integer is out of range");
    fields.value[index] = Number(negative ? -magnitude : magnitude);
    // Leading zeros are no part of the digits; the sign takes the place of the last of them, or its own.
    if (negative) bytes[first - 1] = minus;
    fields.textStart[index] = negative ? first - 1 : first;
    fields.textEnd[index] = end;
    return true;
  }

  #time(): boolean {
    const { bytes } = this;
    this.#skipBlanks();
    if (this.#atLineEnd()) return this.#skipCarriageReturn();
    const negative = bytes[this.#at] === minus;
    if (negative) this.#at++;
    const start = this.#at;
    while (isDigit(bytes[this.#at])) this.#at++;
    const end = this.#at;
    this.#skipBlanks();
    if (end === start || !this.#atLineEnd()) return this.#bad("the timestamp is not a whole number");
    const first = firstDigit(bytes, start, end);
    if (end - first > 19) return this.#bad("the timestamp is out of range");
    this.timestampMs = timestampMs(latin1(bytes, first, end), negative, this.#options.precision);
    return this.#skipCarriageReturn();
  }

  #skipCarriageReturn(): true {
    if (this.#byte() === carriageReturn) this.#at++;
    return true;
  }

  #physicalEnd(from: number): number {
    const end = this.#body.indexOf(newline, from - this.#bodyStart);
    return end < 0 ? this.#bodyEnd : end + this.#bodyStart;
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

/** The end of the line that begins at `start`, line ends within strings left out; undefined when quotes do not pair. */
function quotedLineEnd(body: Uint8Array, start: number): number | undefined {
  let inFields = false;
  let inText = false;
  for (let at = start; at < body.length; at++) {
    const byte = body[at];
    if (byte === backslash && body[at + 1] !== newline) at++;
    else if (inText) {
      if (byte !== quote) continue;
      inText = false;
      const next = body[at + 1];
      if (next !== comma && next !== space && next !== newline && next !== carriageReturn && at + 1 < body.length) {
        return undefined;
      }
    } else if (byte === newline) return at;
    else if (byte === space) inFields = true;
    else if (byte === quote) inText = inFields && body[at - 1] === equals;
  }
  return inText ? undefined : body.length;
}

/** What a point's fields are, by their order in the line; of one that is there twice the last counts. */
class Fields {
  count = 0;
  keyStart = new Int32Array(16);
  keyEnd = new Int32Array(16);
  keyHash = new Int32Array(16);
  textStart = new Int32Array(16);
  textEnd = new Int32Array(16);
  value = new Float64Array(16);

  /** The place of the field with this key. */
  place(bytes: Uint8Array, start: number, end: number): number {
    // Of most lines there is one field, which needs no comparison.
    if (this.count === 1) this.keyHash[0] = hashOf(bytes, this.keyStart[0] as number, this.keyEnd[0] as number);
    const keyHash = this.count === 0 ? 0 : hashOf(bytes, start, end);
    for (let other = 0; other < this.count; other++) {
      if (
        this.keyHash[other] === keyHash &&
        isSame(bytes, this.keyStart[other] as number, this.keyEnd[other] as number, start, end)
      ) {
        return other;
      }
    }
    if (this.count === this.keyStart.length) this.#grow();
    this.keyStart[this.count] = start;
    this.keyEnd[this.count] = end;
    this.keyHash[this.count] = keyHash;
    return this.count++;
  }

  #grow(): void {
    for (const name of ["keyStart", "keyEnd", "keyHash", "textStart", "textEnd"] as const) {
      const grown = new Int32Array(this[name].length * 2);
      grown.set(this[name]);
      this[name] = grown;
    }
    const grown = new Float64Array(this.value.length * 2);
    grown.set(this.value);
    this.value = grown;
  }
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let value = fnvOffset;
  for (let at = start; at < end; at++) value = Math.imul(value ^ (bytes[at] as number), fnvPrime);
  return value;
}

const emptyBytes = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The first special byte from `start` on; a line end is one, so there always is. */
function plainEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isSpecial[bytes[at] as number] === 0) at++;
  return at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === space || byte === tab;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= 57;
}

/** The first digit that is not a leading zero. */
function firstDigit(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end - 1 && bytes[at] === zero) at++;
  return at;
}

/** Code points of UTF-8. */
function characters(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if (((bytes[at] as number) & 0xc0) !== 0x80) count++;
  return count;
}

function startsAt(bytes: Uint8Array, start: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[start + index] !== text[index]) return false;
  return true;
}

function isSame(bytes: Uint8Array, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let index = end - start - 1; index >= 0; index--) {
    if (bytes[start + index] !== bytes[otherStart + index]) return false;
  }
  return true;
}

/** Text of bytes that are ASCII. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}
