import * as columns from "./column-list";
import { copyShort, takeForStrings } from "./heap";
import { lengthBytes, stringBytes } from "./lengths";
import { Device, EventType, Metadata, Row } from "./records";
import { rowIn, sortRun } from "./row-order";
import { bucketOf, keyBytes, rowAt, rowCount, textBytes, typeList, types, valueBytes } from "./rows";

/** Where the next value of each column goes. */
let timestamps: usize = 0;
let received: usize = 0;
let names: usize = 0;
let typeIndexes: usize = 0;
let valueNulls: usize = 0;
let values: usize = 0;
let textNulls: usize = 0;
let texts: usize = 0;
let pairEnds: usize = 0;
let keys: usize = 0;
let pairValues: usize = 0;
let pairs: u64 = 0;

/** One, two or four bytes for an index into the types; 0 of them is for ClickHouse's own first key. */
export function indexBytes(): u32 {
  const keyCount = types.count + 1;
  return keyCount <= 0xff ? 1 : keyCount <= 0xffff ? 2 : 4;
}

@inline
export function writeIndex(to: usize, id: u32, width: u32): usize {
  if (width === 1) store<u8>(to, id + 1);
  else if (width === 2) store<u16>(to, id + 1);
  else store<u32>(to, id + 1);
  return to + width;
}

/** Puts the rows in order and writes the columns of `telemetry_events`. */
export function writeEvents(order: usize, nameBytes: u64): void {
  beginColumns(nameBytes);
  const width = indexBytes();
  for (let start: u32 = 0; start < rowCount; ) {
    const end = endOfRun(order, start);
    sortRun(order, start, end);
    const device = changetype<Device>(<usize>rowAt(rowIn(order, start)).device);
    for (let index = start; index < end; index++) {
      copyShort(names, device.at, device.bytes);
      names += device.bytes;
      writeRow(rowAt(rowIn(order, index)), width);
    }
    start = end;
  }

}

/** Where another device, or another ten minutes, begin. */
function endOfRun(order: usize, start: u32): u32 {
  const first = rowAt(rowIn(order, start));
  const bucketStart = bucketOf(first.timestamp) * 600_000;
  let end = start + 1;
  for (; end < rowCount; end++) {
    const row = rowAt(rowIn(order, end));
    if (row.device !== first.device || <u64>(row.timestamp - bucketStart) >= 600_000) break;
  }
  return end;
}

@inline
function writeRow(row: Row, width: u32): void {
  store<i64>(timestamps, row.timestamp);
  timestamps += 8;
  store<i64>(received, row.received);
  received += 8;
  typeIndexes = writeIndex(typeIndexes, changetype<EventType>(<usize>row.type).id, width);
  store<u8>(valueNulls++, 1 - row.hasValue);
  store<f64>(values, row.value);
  values += 8;
  store<u8>(textNulls++, row.text === 0 ? 1 : 0);
  if (row.text === 0) store<u8>(texts++, 0);
  else {
    const bytes = stringBytes(row.text);
    copyShort(texts, row.text, bytes);
    texts += bytes;
  }
  if (row.metadata !== 0) writePairs(changetype<Metadata>(<usize>row.metadata));
  store<u64>(pairEnds, pairs);
  pairEnds += 8;
}

/** The keys go to one column and the values to another; once they are written, they are copied from there. */
@inline
function writePairs(metadata: Metadata): void {
  const keysFrom = <usize>metadata.keysAt;
  pairs += metadata.pairs;
  if (keysFrom === 0) {
    writeNewPairs(metadata);
    return;
  }
  copyShort(keys, keysFrom, metadata.keyBytes);
  keys += metadata.keyBytes;
  copyShort(pairValues, metadata.valuesAt, metadata.valueBytes);
  pairValues += metadata.valueBytes;
}

function writeNewPairs(metadata: Metadata): void {
  metadata.keysAt = <u32>keys;
  metadata.valuesAt = <u32>pairValues;
  let at = changetype<usize>(metadata) + offsetof<Metadata>();
  at += lengthBytes(at);
  for (let left = metadata.pairs; left > 0; left--) {
    const ofKey = stringBytes(at);
    copyShort(keys, at, ofKey);
    keys += ofKey;
    at += ofKey;
    const ofValue = stringBytes(at);
    copyShort(pairValues, at, ofValue);
    pairValues += ofValue;
    at += ofValue;
  }
}

function beginColumns(nameBytes: u64): void {
  const wide = <u64>rowCount * 8;
  pairs = 0;
  timestamps = begin(columns.eventTimestamps, wide);
  received = begin(columns.eventReceived, wide);
  names = begin(columns.eventDevices, nameBytes);
  typeIndexes = begin(columns.eventTypeIndexes, <u64>rowCount * indexBytes());
  valueNulls = begin(columns.eventValueNulls, rowCount);
  values = begin(columns.eventValues, wide);
  textNulls = begin(columns.eventTextNulls, rowCount);
  texts = begin(columns.eventTexts, textBytes);
  pairEnds = begin(columns.eventPairEnds, wide);
  keys = begin(columns.eventKeys, keyBytes);
  pairValues = begin(columns.eventPairValues, valueBytes);
  writeTypeNames();
}

/** All that a column will have is known beforehand. */
function begin(column: u32, bytes: u64): usize {
  const at = takeForStrings(bytes);
  columns.set(column, at, at + <usize>bytes);
  return at;
}

function writeTypeNames(): void {
  let bytes: u64 = 0;
  for (let id: u32 = 0; id < typeList.count; id++) bytes += changetype<EventType>(<usize>typeList.get(id)).bytes;
  let to = begin(columns.typeNames, bytes);
  for (let id: u32 = 0; id < typeList.count; id++) {
    const type = changetype<EventType>(<usize>typeList.get(id));
    copyShort(to, type.at, type.bytes);
    to += type.bytes;
  }
}
