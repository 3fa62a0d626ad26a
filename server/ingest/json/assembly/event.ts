import {
  hashesAAt,
  hashesBAt,
  metadataAt,
  prefixAt,
  rowStartsAt,
  rowsAt,
  secondsAt,
  typesAt,
  valuesAt,
} from "./layout";
import { clearMetadata, metadataEnd, metadataKeys, readMetadata } from "./metadata";
import { number, readNumber } from "./number";
import { skipSpace } from "./space";
import { copyBytes, isSame, putText, quote, textEnd } from "./text";
import { isoTimeMs } from "./timestamp";
import { typeOf } from "./types";

const deviceBytesMax: usize = 256;
const typeBytesMax: usize = 128;
const textBytesMax: usize = 64 * 1024;
const safeIntegerMax: f64 = 9007199254740991;

// Bits of the fields that an event has had.
const deviceField: i32 = 1;
const typeField: i32 = 2;
const valueField: i32 = 4;
const textField: i32 = 8;
const metadataField: i32 = 16;
const timestampField: i32 = 32;
const required: i32 = deviceField | typeField;

// Names of fields with their quotes, as integers in the order of memory: the first eight bytes, and the last four or eight.
const deviceHead: u64 = 0x5f65636976656422;
const deviceTail: u32 = 0x2264695f;
const typeHead: u64 = 0x745f746e65766522;
const typeTail: u64 = 0x22657079745f746e;
const valueHead: u64 = 0x665f65756c617622;
const valueTail: u64 = 0x2274616f6c665f65;
const textHead: u64 = 0x735f65756c617622;
const textTail: u64 = 0x22676e697274735f;
const metadataHead: u64 = 0x7461646174656d22;
const metadataTail: u32 = 0x22617461;
const timestampHead: u64 = 0x617473656d697422;
const timestampTail: u32 = 0x22706d61;
const nullWord: u32 = 0x6c6c756e;

// The body's circumstances.
let nowMs: f64 = 0;
let nowSecond: i32 = 0;
let oldestMs: f64 = 0;
let newestMs: f64 = 0;
let prefixBytes: usize = 0;

// What a call has made.
export let count: i32 = 0;
export let rowsEnd: usize = rowsAt;
/** The earliest time of an event. */
export let earliestMs: f64 = 0;

// The event that is being read.
let deviceStart: usize = 0;
let deviceEnd: usize = 0;
let hashA: u32 = 0;
let hashB: u32 = 0;
let typeStart: usize = 0;
let typeEnd: usize = 0;
let value: f64 = NaN;
let textStart: usize = 0;
let textStop: usize = 0;
let timeMs: f64 = 0;

export function setBody(now: f64, oldest: f64, newest: f64, prefix: usize): void {
  nowMs = now;
  nowSecond = <i32>(now / 1000);
  oldestMs = oldest;
  newestMs = newest;
  prefixBytes = prefix;
}

export function startEvents(): void {
  count = 0;
  rowsEnd = rowsAt;
  earliestMs = Infinity;
}

/** Reads the event at `at` and adds it to what the call has made. Gives where it ends; 0: not for this to judge. */
export function readEvent(at: usize): usize {
  value = NaN;
  textStart = 0;
  timeMs = nowMs;
  clearMetadata();
  if (load<u8>(at) !== 123) return 0;
  let seen: i32 = 0;
  for (;;) {
    at = skipSpace(at + 1);
    const field = fieldAt(at);
    if (field === 0 || (seen & field) !== 0) return 0;
    seen |= field;
    at = skipSpace(at + nameBytes(field));
    if (load<u8>(at) !== 58) return 0;
    at = readField(field, skipSpace(at + 1));
    if (at === 0) return 0;
    at = skipSpace(at);
    const byte = load<u8>(at);
    if (byte === 44) continue;
    if (byte !== 125 || (seen & required) !== required) return 0;
    addEvent();
    return at + 1;
  }
}

function fieldAt(at: usize): i32 {
  const head = load<u64>(at);
  if (head === deviceHead) return load<u32>(at, 7) === deviceTail ? deviceField : 0;
  if (head === typeHead) return load<u64>(at, 4) === typeTail ? typeField : 0;
  if (head === valueHead) return load<u64>(at, 5) === valueTail ? valueField : 0;
  if (head === metadataHead) return load<u32>(at, 6) === metadataTail ? metadataField : 0;
  if (head === timestampHead) return load<u32>(at, 7) === timestampTail ? timestampField : 0;
  if (head === textHead) return load<u64>(at, 6) === textTail ? textField : 0;
  return 0;
}

/** Of the field's name, with its quotes. */
function nameBytes(field: i32): usize {
  switch (field) {
    case typeField:
      return 12;
    case valueField:
      return 13;
    case textField:
      return 14;
    case metadataField:
      return 10;
    default:
      return 11;
  }
}

function readField(field: i32, at: usize): usize {
  switch (field) {
    case deviceField:
      return readDevice(at);
    case typeField:
      return readType(at);
    case valueField:
      return readValue(at);
    case textField:
      return readText(at);
    case metadataField:
      return readMetadata(at);
    default:
      return readTimestamp(at);
  }
}

function readDevice(at: usize): usize {
  if (load<u8>(at) !== quote) return 0;
  const start = at + 1;
  const end = textEnd(start);
  const bytes = end - start;
  if (end === 0 || bytes === 0 || bytes > deviceBytesMax) return 0;
  let a: u32 = 0x811c9dc5;
  let b: u32 = 0x9e3779b9;
  let units: u32 = 0;
  for (let place = start; place < end; place++) {
    const byte = <u32>load<u8>(place);
    units |= byte;
    a = (a ^ byte) * 0x01000193;
    b = ((b + byte) * 0x85ebca6b) ^ (b >>> 15);
  }
  // The hashes are of UTF-16 units; only in ASCII are those the bytes.
  if (units > 127) return 0;
  if (prefixBytes > 0 && (bytes < prefixBytes || !isSame(start, prefixAt, prefixBytes))) return 0;
  deviceStart = start;
  deviceEnd = end;
  hashA = a;
  hashB = b;
  return end + 1;
}

function readType(at: usize): usize {
  if (load<u8>(at) !== quote) return 0;
  const start = at + 1;
  const end = textEnd(start);
  const bytes = end - start;
  if (end === 0 || bytes === 0 || bytes > typeBytesMax) return 0;
  typeStart = start;
  typeEnd = end;
  return end + 1;
}

function readValue(at: usize): usize {
  if (load<u32>(at) === nullWord) return at + 4;
  const end = readNumber(at);
  if (end !== 0) value = number;
  return end;
}

function readText(at: usize): usize {
  if (load<u32>(at) === nullWord) return at + 4;
  if (load<u8>(at) !== quote) return 0;
  const start = at + 1;
  const end = textEnd(start);
  if (end === 0 || end - start > textBytesMax) return 0;
  textStart = start;
  textStop = end;
  return end + 1;
}

/** ISO 8601, or epoch milliseconds. */
function readTimestamp(at: usize): usize {
  let end: usize;
  if (load<u8>(at) === quote) {
    const start = at + 1;
    end = textEnd(start);
    if (end === 0) return 0;
    timeMs = isoTimeMs(start, end);
    end++;
  } else {
    end = readNumber(at);
    timeMs = number;
    if (end === 0 || abs(timeMs) > safeIntegerMax || floor(timeMs) !== timeMs) return 0;
  }
  // Also when it is NaN.
  return timeMs >= oldestMs && timeMs <= newestMs ? end : 0;
}

/** Nothing can fail any more: the event counts. */
function addEvent(): void {
  const place = (<usize>count) << 2;
  store<u32>(rowStartsAt + place, <u32>(rowsEnd - rowsAt));
  store<i32>(typesAt + place, typeOf(typeStart, typeEnd - typeStart));
  store<i32>(secondsAt + place, timeMs === nowMs ? nowSecond : <i32>floor(timeMs / 1000));
  store<u32>(hashesAAt + place, hashA);
  store<u32>(hashesBAt + place, hashB);
  store<f64>(valuesAt + (place << 1), value);
  earliestMs = min(earliestMs, timeMs);
  count++;
  putRow();
}

/** Columns in the order of `rowColumns` in contract/row.ts. */
function putRow(): void {
  let to = rowsEnd;
  store<i64>(to, <i64>timeMs);
  store<i64>(to, <i64>nowMs, 8);
  to = putText(to + 16, deviceStart, deviceEnd - deviceStart);
  to = putText(to, typeStart, typeEnd - typeStart);
  if (isNaN(value)) {
    store<u8>(to++, 1);
  } else {
    store<u8>(to, 0);
    store<f64>(to, value, 1);
    to += 9;
  }
  if (textStart === 0) {
    store<u8>(to++, 1);
  } else {
    store<u8>(to, 0);
    to = putText(to + 1, textStart, textStop - textStart);
  }
  store<u8>(to++, <u8>metadataKeys);
  const bytes = metadataEnd - metadataAt;
  copyBytes(to, metadataAt, bytes);
  rowsEnd = to + bytes;
}
