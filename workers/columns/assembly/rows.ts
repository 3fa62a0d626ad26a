import { addToDevice, findDevice } from "./devices";
import { areEqual, copyShort, Numbers, take, takeForStrings } from "./heap";
import { lengthBytes, readLength, skipString } from "./lengths";
import { Device, EventType, Metadata, Row } from "./records";
import { addToRollup } from "./rollups";
import { NameTable } from "./table";

/** Two times, two names, two flags, the number of pairs. */
const rowMinBytes: usize = 16 + 2 + 2 + 1;
const bucketMs: i64 = 600_000;

export const types = new NameTable();
export const typeList = new Numbers();
export let rows: usize = 0;
export let rowCount: u32 = 0;
let rowCapacity: u32 = 0;
let withStates: bool = false;

/** Ten minutes, numbered from 1970: which of them occur. */
export let firstBucket: i64 = i64.MAX_VALUE;
export let lastBucket: i64 = i64.MIN_VALUE;
let bucketStart: i64 = i64.MIN_VALUE;

/** What the columns of strings take. */
export let keyBytes: u64 = 0;
export let valueBytes: u64 = 0;
export let textBytes: u64 = 0;
export let pairCount: u64 = 0;

export function beginRows(capacity: u32, states: bool): void {
  types.clear();
  typeList.clear();
  rows = take(<u64>capacity * offsetof<Row>());
  rowCapacity = capacity;
  rowCount = 0;
  withStates = states;
  firstBucket = i64.MAX_VALUE;
  lastBucket = i64.MIN_VALUE;
  bucketStart = i64.MIN_VALUE;
  keyBytes = 0;
  valueBytes = 0;
  textBytes = 0;
  pairCount = 0;
}

@inline
export function rowAt(index: u32): Row {
  return changetype<Row>(rows + <usize>index * offsetof<Row>());
}

/** Takes in the whole rows there; gives where the first that is not whole begins. More rows than were announced stay, too. */
export function readRows(start: usize, end: usize): usize {
  let at = start;
  while (at < end && rowCount < rowCapacity) {
    const next = readRow(at, end);
    if (next === 0) break;
    at = next;
  }
  return at;
}

/** Takes in one row; gives where it ends, or 0 when that is behind `end`. */
function readRow(at: usize, end: usize): usize {
  if (end - at < rowMinBytes) return 0;
  const timestamp = load<i64>(at);
  const received = load<i64>(at, 8);
  const deviceAt = at + 16;
  const typeAt = skipString(deviceAt, end);
  if (typeAt === 0) return 0;
  let next = skipString(typeAt, end);
  if (next === 0) return 0;
  const typeEnd = next;
  const hasValue = load<u8>(next++) === 0;
  let value: f64 = 0;
  if (hasValue) {
    value = load<f64>(next);
    next += 8;
  }
  const hasText = load<u8>(next++) === 0;
  const textAt = next;
  if (hasText) {
    if (next > end) return 0;
    next = skipString(next, end);
    if (next === 0) return 0;
  }
  if (next >= end) return 0;
  const textEnd = next;

  const device = findDevice(deviceAt, typeAt - deviceAt);
  const metadata: usize = load<u8>(next) === 0 ? 0 : findMetadata(device, next, end);
  if (metadata === wantsMore) return 0;
  next += metadata === 0 ? 1 : changetype<Metadata>(metadata).bytes;
  const type = findType(typeAt, typeEnd - typeAt);

  const row = rowAt(rowCount++);
  row.timestamp = timestamp;
  row.received = received;
  row.value = value;
  row.device = <u32>changetype<usize>(device);
  row.type = <u32>changetype<usize>(type);
  row.metadata = <u32>metadata;
  row.text = hasText ? <u32>keep(textAt, textEnd - textAt) : 0;
  row.hasValue = hasValue;
  textBytes += hasText ? textEnd - textAt : 1;
  noteBucket(timestamp);
  device.rows++;
  if (withStates) addToDevice(device, timestamp, received, metadata);
  addToRollup(type, timestamp, hasValue, value);
  return next;
}

function keep(at: usize, bytes: usize): usize {
  const kept = takeForStrings(bytes);
  copyShort(kept, at, bytes);
  return kept;
}

@inline
function noteBucket(timestamp: i64): void {
  if (<u64>(timestamp - bucketStart) < <u64>bucketMs) return;
  const bucket = bucketOf(timestamp);
  bucketStart = bucket * bucketMs;
  firstBucket = min(firstBucket, bucket);
  lastBucket = max(lastBucket, bucket);
}

export function bucketOf(timestamp: i64): i64 {
  const bucket = timestamp / bucketMs;
  return bucket - <i64>(bucket * bucketMs > timestamp);
}

function findType(at: usize, bytes: usize): EventType {
  const known = types.count;
  const type = changetype<EventType>(types.find(at, bytes, offsetof<EventType>()));
  if (types.count > known) {
    type.id = known;
    typeList.push(<u32>changetype<usize>(type));
  }
  return type;
}

/** Not an address: the metadata ends behind the bytes there are. */
const wantsMore: usize = 1;

/** Mostly a device's metadata are those of its row before. Comparing them is cheaper than reading them. */
@inline
function findMetadata(device: Device, at: usize, end: usize): usize {
  const last = changetype<Metadata>(<usize>device.metadata);
  if (device.metadata !== 0 && <usize>last.bytes <= end - at) {
    if (areEqual(at, changetype<usize>(last) + offsetof<Metadata>(), last.bytes)) {
      countMetadata(last);
      return changetype<usize>(last);
    }
  }
  return addMetadata(device, at, end);
}

@inline
function countMetadata(metadata: Metadata): void {
  keyBytes += metadata.keyBytes;
  valueBytes += metadata.valueBytes;
  pairCount += metadata.pairs;
}

function addMetadata(device: Device, at: usize, end: usize): usize {
  const pairs = readLength(at);
  let next = at + lengthBytes(at);
  let keys: usize = 0;
  for (let left = pairs; left > 0; left--) {
    if (next >= end) return wantsMore;
    const valueAt = skipString(next, end);
    if (valueAt === 0 || valueAt >= end) return wantsMore;
    keys += valueAt - next;
    next = skipString(valueAt, end);
    if (next === 0) return wantsMore;
  }
  if (next > end) return wantsMore;
  const bytes = next - at;
  const metadata = changetype<Metadata>(take(offsetof<Metadata>() + bytes));
  metadata.pairs = <u32>pairs;
  metadata.keyBytes = <u32>keys;
  metadata.valueBytes = <u32>(bytes - lengthBytes(at) - keys);
  metadata.bytes = <u32>bytes;
  metadata.keysAt = 0;
  metadata.valuesAt = 0;
  memory.copy(changetype<usize>(metadata) + offsetof<Metadata>(), at, bytes);
  device.metadata = <u32>changetype<usize>(metadata);
  countMetadata(metadata);
  return changetype<usize>(metadata);
}
