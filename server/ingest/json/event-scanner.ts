import { limits } from "../../../contract/limits.ts";
import type { PlacedEvent } from "../staging.ts";

/** `doubt`: not for certain a good event in a good body. The schema and `JSON.parse` will tell. */
export type Step = "event" | "end" | "doubt";

const quote = 34;
const backslash = 92;
const comma = 44;
const colon = 58;
const openBrace = 123;
const closeBrace = 125;
const openBracket = 91;
const closeBracket = 93;
const minus = 45;
const plus = 43;
const dot = 46;
const zero = 48;
const newline = 10;

/** What ends the scan of a string: its quote; an escape or a control character, which are for `JSON.parse` to judge. */
const endsText = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte === quote || byte === backslash || byte < 32),
);
const isSpace = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte === 32 || (byte >= 9 && byte <= 13 && byte !== 11 && byte !== 12)),
);
/** A double holds every integer of this many digits, and every power of ten up to the 22nd: their quotient is rounded once. */
const exactDigits = 15;
const powersOfTen = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);

const field = { device: 1, type: 2, value: 4, text: 8, metadata: 16, timestamp: 32 } as const;
const textBytes = new TextEncoder();
const names = {
  device: textBytes.encode("device_id"),
  type: textBytes.encode("event_type"),
  value: textBytes.encode("value_float"),
  text: textBytes.encode("value_string"),
  metadata: textBytes.encode("metadata"),
  timestamp: textBytes.encode("timestamp"),
  events: textBytes.encode("events"),
};

/**
 * Reads events straight from a body's bytes, as long as they are everyday ones: known fields, each once, strings without
 * escapes, a device id in ASCII. At anything else it says `doubt`, and the caller begins again with `JSON.parse` and the
 * schema, which alone refuse. What it takes, they take, with the same meaning: event-scanner.test.ts compares the two on anything.
 *
 * It is here for its speed. Body to rows, in batches of 1,000, µs an event: 0.17 against 0.31 by way of objects for 120-byte
 * events, 0.40 against 1.0 for ones with eight metadata keys and a time of their own; and no objects means no collection of
 * them. At full load the HTTP thread went from 0.87 to 0.48 s of CPU for a million events, the service from 598 to 900 k/s.
 */
export class EventScanner implements PlacedEvent {
  bytes: Uint8Array = new Uint8Array(0);
  deviceStart = 0;
  deviceEnd = 0;
  deviceHashA = 0;
  deviceHashB = 0;
  typeStart = 0;
  typeEnd = 0;
  typeHash = 0;
  value = Number.NaN;
  textStart = -1;
  textEnd = -1;
  readonly metadata = new Int32Array(limits.metadataKeys * 4);
  metadataKeys = 0;
  timestampStart = -1;
  timestampEnd = -1;
  timestampMs = Number.NaN;
  #at = 0;
  /** A line an event; else one event, or a list, bare or under "events". */
  #lines = false;
  #listed = false;
  #wrapped = false;
  #first = true;

  /** `bytes` are UTF-8. False: not a body that this can read. */
  open(bytes: Uint8Array, ndjson: boolean): boolean {
    this.bytes = bytes;
    this.#lines = ndjson;
    this.#first = true;
    this.#listed = false;
    this.#wrapped = false;
    this.#at = 0;
    if (ndjson) return true;
    this.#space();
    if (bytes[this.#at] === openBracket) {
      this.#listed = true;
      this.#at++;
      return true;
    }
    if (bytes[this.#at] !== openBrace) return false;
    const start = this.#at++;
    this.#space();
    const key = this.#at + 1;
    if (
      bytes[this.#at] !== quote ||
      !startsAt(bytes, key, names.events) ||
      bytes[key + names.events.length] !== quote
    ) {
      this.#at = start;
      return true;
    }
    this.#at = key + names.events.length + 1;
    this.#space();
    if (bytes[this.#at++] !== colon) return false;
    this.#space();
    if (bytes[this.#at++] !== openBracket) return false;
    this.#listed = true;
    this.#wrapped = true;
    return true;
  }

  /** Moves to the next event, or to the end of the body. */
  next(): Step {
    const { bytes } = this;
    if (this.#lines) {
      if (!this.#first) {
        // One event a line: the next may not follow on the same.
        while (this.#at < bytes.length && bytes[this.#at] !== newline) {
          if (isSpace[bytes[this.#at] as number] === 0) return "doubt";
          this.#at++;
        }
      }
      this.#space();
      if (this.#at === bytes.length) return this.#first ? "doubt" : "end";
    } else if (this.#listed) {
      this.#space();
      const byte = bytes[this.#at];
      if (byte === closeBracket) {
        this.#at++;
        return this.#close();
      }
      if (!this.#first) {
        if (byte !== comma) return "doubt";
        this.#at++;
        this.#space();
      }
    } else if (!this.#first) {
      return this.#close();
    }
    this.#first = false;
    return this.#event() ? "event" : "doubt";
  }

  get hasTimestamp(): boolean {
    return this.timestampStart >= 0 || !Number.isNaN(this.timestampMs);
  }

  /** ISO 8601 or epoch milliseconds, when there is one. */
  get timestamp(): string | number {
    const { timestampStart } = this;
    return timestampStart < 0 ? this.timestampMs : latin1(this.bytes, timestampStart, this.timestampEnd);
  }

  get deviceId(): string {
    return latin1(this.bytes, this.deviceStart, this.deviceEnd);
  }

  #close(): Step {
    this.#space();
    if (this.#wrapped) {
      if (this.bytes[this.#at++] !== closeBrace) return "doubt";
      this.#space();
    }
    return this.#at === this.bytes.length ? "end" : "doubt";
  }

  #event(): boolean {
    const { bytes } = this;
    let seen = 0;
    this.value = Number.NaN;
    this.textStart = -1;
    this.metadataKeys = 0;
    this.timestampStart = -1;
    this.timestampMs = Number.NaN;
    if (bytes[this.#at++] !== openBrace) return false;
    for (;;) {
      this.#spaceInEvent();
      const key = this.#at + 1;
      if (bytes[this.#at] !== quote) return false;
      let name: number = field.device;
      let text = names.device;
      // The first letters differ, but for two.
      switch (bytes[key]) {
        case 100:
          break;
        case 101:
          name = field.type;
          text = names.type;
          break;
        case 109:
          name = field.metadata;
          text = names.metadata;
          break;
        case 116:
          name = field.timestamp;
          text = names.timestamp;
          break;
        case 118:
          name = bytes[key + 6] === 102 ? field.value : field.text;
          text = name === field.value ? names.value : names.text;
          break;
        default:
          return false;
      }
      if ((seen & name) !== 0 || !startsAt(bytes, key, text) || bytes[key + text.length] !== quote) return false;
      seen |= name;
      this.#at = key + text.length + 1;
      this.#spaceInEvent();
      if (bytes[this.#at++] !== colon) return false;
      this.#spaceInEvent();
      let good: boolean;
      switch (name) {
        case field.device:
          good = this.#device();
          break;
        case field.type:
          good = this.#type();
          break;
        case field.value:
          good = bytes[this.#at] === 110 ? this.#null() : this.#number();
          break;
        case field.text:
          good = bytes[this.#at] === 110 ? this.#null() : this.#text();
          break;
        case field.metadata:
          good = this.#metadata();
          break;
        default:
          good = this.#timestamp();
      }
      if (!good) return false;
      this.#spaceInEvent();
      const byte = bytes[this.#at++];
      if (byte === comma) continue;
      return byte === closeBrace && (seen & (field.device | field.type)) === (field.device | field.type);
    }
  }

  #device(): boolean {
    const { bytes } = this;
    if (bytes[this.#at] !== quote) return false;
    const start = this.#at + 1;
    let at = start;
    let a = 0x811c9dc5;
    let b = 0x9e3779b9;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (endsText[byte] !== 0) break;
      // The hashes are of UTF-16 units; only in ASCII are those the bytes.
      if (byte > 127) return false;
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b + byte, 0x85ebca6b) ^ (b >>> 15);
    }
    if (bytes[at] !== quote || at === start || at - start > limits.deviceIdCharacters) return false;
    this.deviceStart = start;
    this.deviceEnd = at;
    this.deviceHashA = a >>> 0;
    this.deviceHashB = b >>> 0;
    this.#at = at + 1;
    return true;
  }

  #type(): boolean {
    const { bytes } = this;
    if (bytes[this.#at] !== quote) return false;
    const start = this.#at + 1;
    let at = start;
    let hash = 0x811c9dc5;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (endsText[byte] !== 0) break;
      hash = Math.imul(hash ^ byte, 0x01000193);
    }
    if (bytes[at] !== quote || at === start || at - start > limits.eventTypeCharacters) return false;
    this.typeStart = start;
    this.typeEnd = at;
    this.typeHash = hash >>> 0;
    this.#at = at + 1;
    return true;
  }

  #text(): boolean {
    if (this.bytes[this.#at] !== quote) return false;
    const start = this.#at + 1;
    const end = this.#endOfText(start);
    if (end < 0 || end - start > limits.valueStringBytes) return false;
    this.textStart = start;
    this.textEnd = end;
    this.#at = end + 1;
    return true;
  }

  #metadata(): boolean {
    const { bytes, metadata } = this;
    if (bytes[this.#at++] !== openBrace) return false;
    this.#spaceInEvent();
    if (bytes[this.#at] === closeBrace) {
      this.#at++;
      return true;
    }
    for (let keys = 0; ; ) {
      if (keys === limits.metadataKeys || bytes[this.#at] !== quote) return false;
      const keyStart = this.#at + 1;
      const keyEnd = this.#endOfText(keyStart);
      // An object lists keys like "7" first; in which order is not for this to imitate.
      if (keyEnd < 0 || isDigit(bytes[keyStart])) return false;
      this.#at = keyEnd + 1;
      this.#spaceInEvent();
      if (bytes[this.#at++] !== colon) return false;
      this.#spaceInEvent();
      if (bytes[this.#at] !== quote) return false;
      const start = this.#at + 1;
      const end = this.#endOfText(start);
      if (end < 0) return false;
      this.#at = end + 1;
      const place = keys * 4;
      // The last of equal keys counts, which again is for an object to say.
      for (let other = 0; other < place; other += 4) {
        if (this.#isSame(metadata[other] as number, metadata[other + 1] as number, keyStart, keyEnd)) return false;
      }
      metadata[place] = keyStart;
      metadata[place + 1] = keyEnd;
      metadata[place + 2] = start;
      metadata[place + 3] = end;
      keys++;
      this.#spaceInEvent();
      const byte = bytes[this.#at++];
      if (byte === closeBrace) {
        this.metadataKeys = keys;
        return true;
      }
      if (byte !== comma) return false;
      this.#spaceInEvent();
    }
  }

  #timestamp(): boolean {
    const start = this.#at + 1;
    if (this.bytes[this.#at] !== quote) {
      const { value } = this;
      const good = this.#number() && Number.isSafeInteger(this.value);
      this.timestampMs = this.value;
      this.value = value;
      return good;
    }
    const end = this.#endOfText(start);
    if (end < 0) return false;
    this.timestampStart = start;
    this.timestampEnd = end;
    this.#at = end + 1;
    return true;
  }

  /** Into `value`; finite. */
  #number(): boolean {
    const { bytes } = this;
    const start = this.#at;
    let at = start;
    const negative = bytes[at] === minus;
    if (negative) at++;
    const first = at;
    let digits = 0;
    let integer = 0;
    for (; isDigit(bytes[at]); at++) {
      integer = integer * 10 + ((bytes[at] as number) - zero);
      digits++;
    }
    if (digits === 0 || (digits > 1 && bytes[first] === zero)) return false;
    let fraction = 0;
    if (bytes[at] === dot) {
      at++;
      for (; isDigit(bytes[at]); at++) {
        integer = integer * 10 + ((bytes[at] as number) - zero);
        fraction++;
      }
      if (fraction === 0) return false;
    }
    const exponent = bytes[at] === 101 || bytes[at] === 69;
    if (exponent) {
      at++;
      if (bytes[at] === plus || bytes[at] === minus) at++;
      if (!isDigit(bytes[at])) return false;
      while (isDigit(bytes[at])) at++;
    }
    if (exponent || digits + fraction > exactDigits) {
      const value = Number(latin1(bytes, start, at));
      if (!Number.isFinite(value)) return false;
      this.value = value;
    } else {
      const value = fraction === 0 ? integer : integer / (powersOfTen[fraction] as number);
      this.value = negative ? -value : value;
    }
    this.#at = at;
    return true;
  }

  #null(): boolean {
    const { bytes } = this;
    const at = this.#at;
    this.#at = at + 4;
    return bytes[at + 1] === 117 && bytes[at + 2] === 108 && bytes[at + 3] === 108;
  }

  /** -1: an escape, a control character, or no end. */
  #endOfText(start: number): number {
    const { bytes } = this;
    let at = start;
    while (at < bytes.length && endsText[bytes[at] as number] === 0) at++;
    return bytes[at] === quote ? at : -1;
  }

  #isSame(start: number, end: number, otherStart: number, otherEnd: number): boolean {
    if (end - start !== otherEnd - otherStart) return false;
    const { bytes } = this;
    for (let index = end - start - 1; index >= 0; index--) {
      if (bytes[start + index] !== bytes[otherStart + index]) return false;
    }
    return true;
  }

  #space(): void {
    const { bytes } = this;
    while (this.#at < bytes.length && isSpace[bytes[this.#at] as number] !== 0) this.#at++;
  }

  /** A line of NDJSON ends where its event does: a line end within one is no space, and so ends in doubt. */
  #spaceInEvent(): void {
    const { bytes } = this;
    while (this.#at < bytes.length && isSpace[bytes[this.#at] as number] !== 0) {
      if (this.#lines && bytes[this.#at] === newline) return;
      this.#at++;
    }
  }
}

function startsAt(bytes: Uint8Array, start: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[start + index] !== text[index]) return false;
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= 57;
}

/** Text of bytes that are ASCII. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}
