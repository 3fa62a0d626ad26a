import { Numbers } from "./heap";
import { binIn, gamma, keyOffset, keysPerSign } from "./sketches";

/**
 * States of `quantilesDD(0.01, …)` as the view of telemetry_1s makes them (ddl/002_rollups.sql): the mapping of values to bins, the
 * bins of the positive and of the negative values, and the count of zeros.
 * Source: ClickHouse's AggregateFunctions/DDSketch (Mapping.h, Store.h, DDSketchEncoding.h).
 *
 * The format belongs to the release: states are made for the pinned embedded engine only, and states.test.ts compares them
 * with that engine's own.
 */
const mappingFlag: u32 = 0x02;
const positiveFlag: u32 = 0x01;
const negativeFlag: u32 = 0x03;
const zeroCountFlag: u32 = 0x04;
const contiguousBins: u32 = 0x0c;
const sparseBins: u32 = 0x04;
/** ClickHouse's states of this function start with it. */
const stateStart: u32 = 0x01;
/** Where an empty store says that it begins. */
const noKey: i32 = 0x7fffffff;

let to: usize = 0;

@inline
function byte(value: u32): void {
  store<u8>(to++, value);
}

@inline
function float(value: f64): void {
  store<f64>(to, value);
  to += 8;
}

function varUint(value: u32): void {
  while (value > 127) {
    byte((value & 127) | 128);
    value >>= 7;
  }
  byte(value);
}

/** In the zigzag form. */
function varInt(value: i32): void {
  varUint((<u32>value << 1) ^ <u32>(value >> 31));
}

/** Writes the state of a group whose bins are those from `start` up to `end`; gives where it ends. */
export function writeSketch(at: usize, bins: Numbers, start: u32, end: u32, zeros: u32): usize {
  let negative = start;
  while (negative < end && <i32>binIn(bins, negative).number < keysPerSign) negative++;
  to = at;
  byte(stateStart);
  byte(mappingFlag);
  float(gamma);
  float(0);
  byte(positiveFlag);
  writeStore(bins, start, negative, keyOffset);
  byte(negativeFlag);
  writeStore(bins, negative, end, keyOffset + keysPerSign);
  byte(zeroCountFlag);
  float(zeros);
  return to;
}

@inline
function keyIn(bins: Numbers, index: u32, offset: i32): i32 {
  return <i32>binIn(bins, index).number - offset;
}

/** The shorter of ClickHouse's two encodings, by its own rule. */
function writeStore(bins: Numbers, start: u32, end: u32, offset: i32): void {
  const used = <i32>(end - start);
  const lowest = used === 0 ? 0 : keyIn(bins, start, offset);
  const span = used === 0 ? 0 : keyIn(bins, end - 1, offset) - lowest + 1;
  const contiguous = (span - used) * 8 <= 2 * used;
  byte(contiguous ? contiguousBins : sparseBins);
  varUint(contiguous ? span : used);
  if (contiguous) {
    varInt(used === 0 ? noKey : lowest);
    varInt(1);
  }
  let previous = contiguous ? lowest - 1 : 0;
  for (let index = start; index < end; index++) {
    const key = keyIn(bins, index, offset);
    if (contiguous) for (let gap = previous + 1; gap < key; gap++) float(0);
    else varInt(key - previous);
    float(binIn(bins, index).count);
    previous = key;
  }
}
