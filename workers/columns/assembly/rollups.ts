import * as columns from "./column-list";
import { indexBytes, writeIndex } from "./events";
import { Numbers, take, takeZeroed } from "./heap";
import { EventType, Group } from "./records";
import { beginSpans, widenSpan } from "./rollup-memory";
import { addToSketch, beginSketches, writeSketches } from "./sketches";
import { hashNumbers } from "./table";

/** What ClickHouse's DateTime holds: seconds from 1970 to 2106. */
const secondMax: i64 = 0xffff_ffff;
const firstPlaces: u32 = 1 << 10;

/** Places hold addresses of groups; 0 is a free place. */
let places: usize = 0;
let mask: u32 = 0;
let secondStart: i64 = i64.MIN_VALUE;
let second: i64 = 0;
let withStates: bool = false;
export const groups = new Numbers();
/** There is a time that a DateTime cannot hold: what the view makes of it is not imitated here. */
export let outOfRange: bool = false;

export function beginRollups(states: bool): void {
  withStates = states;
  mask = firstPlaces - 1;
  places = takeZeroed(<u64>firstPlaces * 4);
  secondStart = i64.MIN_VALUE;
  groups.clear();
  outOfRange = false;
  beginSketches();
}

@inline
export function addToRollup(type: EventType, timestamp: i64, hasValue: bool, value: f64): void {
  if (<u64>(timestamp - secondStart) >= 1000) {
    second = timestamp / 1000;
    second -= <i64>(second * 1000 > timestamp);
    secondStart = second * 1000;
  }
  const group =
    type.group !== 0 && type.groupSecond === second ? changetype<Group>(<usize>type.group) : findGroup(type, second);
  group.events++;
  if (!hasValue) return;
  widenSpan(group, value);
  // JSON cannot say NaN.
  if (!withStates || isNaN(value)) return;
  group.sum += value;
  if (group.values === 0 || value < group.low) group.low = value;
  if (group.values === 0 || value > group.high) group.high = value;
  group.values++;
  addToSketch(group, value);
}

function findGroup(type: EventType, second: i64): Group {
  let place = <u32>hashNumbers(<u64>second, type.id) & mask;
  for (; ; place = (place + 1) & mask) {
    const found = load<u32>(places + (<usize>place << 2));
    const group = found === 0 ? addGroup(place, second, type.id) : changetype<Group>(<usize>found);
    if (group.second !== second || group.typeId !== type.id) continue;
    type.group = <u32>changetype<usize>(group);
    type.groupSecond = second;
    return group;
  }
}

function addGroup(place: u32, second: i64, typeId: u32): Group {
  if (second < 0 || second > secondMax) outOfRange = true;
  const at = takeZeroed(offsetof<Group>());
  const group = changetype<Group>(at);
  group.second = second;
  group.typeId = typeId;
  group.id = groups.count;
  beginSpans(group);
  groups.push(<u32>at);
  store<u32>(places + (<usize>place << 2), <u32>at);
  if (groups.count * 2 > mask) grow();
  return group;
}

function grow(): void {
  mask = mask * 2 + 1;
  places = takeZeroed((<u64>mask + 1) * 4);
  for (let id: u32 = 0; id < groups.count; id++) {
    const group = groupOf(id);
    let place = <u32>hashNumbers(<u64>group.second, group.typeId) & mask;
    while (load<u32>(places + (<usize>place << 2)) !== 0) place = (place + 1) & mask;
    store<u32>(places + (<usize>place << 2), groups.get(id));
  }
}

@inline
export function groupOf(id: u32): Group {
  return changetype<Group>(<usize>groups.get(id));
}

/** The rows of `telemetry_1s` that the view would make: one for each second and type (ddl/002_rollups.sql). */
export function writeRollups(): void {
  const count = groups.count;
  const wide = <u64>count * 8;
  const width = indexBytes();
  const seconds = take(<u64>count * 4);
  const typeIndexes = take(<u64>count * width);
  const events = take(wide);
  const values = take(wide);
  const sums = take(wide);
  const nulls = take(count);
  const lows = take(wide);
  const highs = take(wide);
  for (let id: u32 = 0; id < count; id++) {
    const group = groupOf(id);
    const at = <usize>id << 3;
    store<u32>(seconds + (<usize>id << 2), <u32>group.second);
    writeIndex(typeIndexes + <usize>id * width, group.typeId, width);
    store<u64>(events + at, group.events);
    store<u64>(values + at, group.values);
    store<f64>(sums + at, group.sum);
    store<u8>(nulls + id, group.values === 0 ? 1 : 0);
    store<f64>(lows + at, group.low);
    store<f64>(highs + at, group.high);
  }
  columns.set(columns.rollupSeconds, seconds, seconds + (<usize>count << 2));
  columns.set(columns.rollupTypeIndexes, typeIndexes, typeIndexes + <usize>count * width);
  columns.set(columns.rollupEvents, events, events + <usize>wide);
  columns.set(columns.rollupValues, values, values + <usize>wide);
  columns.set(columns.rollupSums, sums, sums + <usize>wide);
  columns.set(columns.rollupNulls, nulls, nulls + count);
  columns.set(columns.rollupLows, lows, lows + <usize>wide);
  columns.set(columns.rollupHighs, highs, highs + <usize>wide);
  writeSketches(columns.rollupQuantiles);
}
