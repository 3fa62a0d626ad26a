import * as columns from "./column-list";
import { Numbers, take, takeZeroed } from "./heap";
import { Group } from "./records";
import { groupOf, groups } from "./rollups";
import { writeSketch } from "./sketch-state";
import { hashNumbers } from "./table";

/** ClickHouse's mapping of values to bins, and what the view does to a value on its way into the sketch. */
const accuracy: f64 = 0.01;
export const gamma: f64 = (1 + accuracy) / (1 - accuracy);
const multiplier: f64 = 1 / Math.log(gamma);
const smallest: f64 = 1e-18;
const largest: f64 = 1e21;
const belowOneFactor: f64 = 99.0 / 101.0;

/** Bins of all magnitudes are within ± 4,096; a negative value's are another sign's. */
export const keyOffset: i32 = 4096;
export const keysPerSign: i32 = 8192;
const binBits: u64 = 14;
const binCount: u32 = 1 << 14;

/** A number of values in one bin of one group. */
@unmanaged
export class Bin {
  /** The group's id and the bin, and one; 0: none yet. */
  key: u64;
  count: u32;
  unused: u32;

  @inline
  get number(): u32 {
    return <u32>((this.key - 1) & (binCount - 1));
  }

  @inline
  get group(): u32 {
    return <u32>((this.key - 1) >> binBits);
  }
}

/**
 * The bins that are counted in: one for each place, and what another one pushes out goes to `counted`. Few groups stay here, and
 * for many no table has to grow that would not fit into a cache.
 */
const currentPlaces: usize = 1 << 12;
let current: usize = 0;
/** Addresses of the others; several of them may be of one bin of one group until `sortBins`. */
const counted = new Numbers();

/** Values repeat: where the bins of the last ones are kept, each with the value itself. */
const memoPlaces: u32 = 1 << 10;
const memo: usize = memory.data(16 * (1 << 10));

export function beginSketches(): void {
  current = takeZeroed(currentPlaces * offsetof<Bin>());
  counted.clear();
}

export function addToSketch(group: Group, value: f64): void {
  if (Math.abs(value) < smallest) {
    group.zeros++;
    return;
  }
  const bits = reinterpret<u64>(value);
  const known = memo + ((<usize>((bits * 0x9e3779b97f4a7c15) >> 54) & (memoPlaces - 1)) << 4);
  if (load<u64>(known) !== bits) {
    store<u64>(known, bits);
    store<u32>(known, binOf(value), 8);
  }
  count((<u64>group.id << binBits) + load<u32>(known, 8) + 1);
}

function binOf(value: f64): u32 {
  const magnitude = Math.abs(value);
  const clamped = magnitude < 1 ? magnitude * belowOneFactor : Math.min(magnitude, largest);
  const key = <i32>(Math.log(clamped) * multiplier);
  return key + keyOffset + (value < 0 ? keysPerSign : 0);
}

function count(key: u64): void {
  const place = <usize>hashNumbers(key, 0) & (currentPlaces - 1);
  const bin = changetype<Bin>(current + place * offsetof<Bin>());
  if (bin.key !== key) {
    if (bin.key !== 0) putAway(bin);
    bin.key = key;
    bin.count = 0;
  }
  bin.count++;
}

function putAway(bin: Bin): void {
  const away = changetype<Bin>(take(offsetof<Bin>()));
  away.key = bin.key;
  away.count = bin.count;
  counted.push(<u32>changetype<usize>(away));
}

/** Of a group's state beside its bins, and of each bin: a key and a count, as `sketch-state.ts` writes them. */
const stateBytesMax: u64 = 64;
const binBytesMax: u64 = 5 + 8;

/** Writes the state of each group, in the order of their ids, and tells where they are. */
export function writeSketches(column: u32): void {
  const sorted = sortBins();
  const states = take(<u64>groups.count * stateBytesMax + <u64>sorted.count * binBytesMax);
  let to = states;
  let next: u32 = 0;
  for (let id: u32 = 0; id < groups.count; id++) {
    const first = next;
    while (next < sorted.count && binIn(sorted, next).group === id) next++;
    to = writeSketch(to, sorted, first, next, groupOf(id).zeros);
  }
  columns.set(column, states, to);
}

@inline
export function binIn(bins: Numbers, index: u32): Bin {
  return changetype<Bin>(<usize>bins.get(index));
}

/** All bins by group, those of a group by number: sorted by counting, first by the number, then by the group. */
function sortBins(): Numbers {
  for (let place: usize = 0; place < currentPlaces; place++) {
    const bin = changetype<Bin>(current + place * offsetof<Bin>());
    if (bin.key !== 0) counted.push(<u32>changetype<usize>(bin));
  }
  sortByCounting(counted, byNumber, binCount, false);
  sortByCounting(byNumber, counted, groups.count, true);
  // The same bin may have been put away more than once.
  let last: u32 = 0;
  for (let index: u32 = 1; index < counted.count; index++) {
    const bin = binIn(counted, index);
    if (bin.key === binIn(counted, last).key) binIn(counted, last).count += bin.count;
    else counted.set(++last, counted.get(index));
  }
  counted.count = min(counted.count, last + 1);
  return counted;
}

const byNumber = new Numbers();

function sortByCounting(from: Numbers, to: Numbers, keys: u32, byGroup: bool): void {
  to.resize(from.count);
  const starts = takeZeroed((<u64>keys + 1) * 4);
  for (let index: u32 = 0; index < from.count; index++) {
    const bin = binIn(from, index);
    const start = starts + ((byGroup ? bin.group : bin.number) << 2);
    store<u32>(start, load<u32>(start, 4) + 1, 4);
  }
  let sum: u32 = 0;
  for (let key: u32 = 0; key < keys; key++) {
    sum += load<u32>(starts + (<usize>key << 2));
    store<u32>(starts + (<usize>key << 2), sum);
  }
  for (let index: u32 = 0; index < from.count; index++) {
    const bin = binIn(from, index);
    const start = starts + ((byGroup ? bin.group : bin.number) << 2);
    const place = load<u32>(start);
    store<u32>(start, place + 1);
    to.set(place, from.get(index));
  }
}
