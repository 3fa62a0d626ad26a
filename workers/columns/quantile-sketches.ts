import type { ByteWriter } from "./byte-writer.ts";

/**
 * States of `quantilesDD(0.01, …)` as the view of telemetry_1s makes them (ddl/002_rollups.sql), for any number of groups.
 * A state is the mapping of values to bins, the bins of the positive and of the negative values, and the count of zeros.
 * Source: ClickHouse's AggregateFunctions/DDSketch (Mapping.h, Store.h, DDSketchEncoding.h).
 *
 * The format belongs to the release: states are made for the pinned embedded engine only, and states.test.ts compares them
 * with that engine's own.
 */
const accuracy = 0.01;
const gamma = (1 + accuracy) / (1 - accuracy);
const multiplier = 1 / Math.log(gamma);
/** What the view does to a value on its way into the sketch. */
const smallest = 1e-18;
const largest = 1e21;
const belowOneFactor = 99 / 101;

const mappingFlag = 0x02;
const positiveFlag = 0x01;
const negativeFlag = 0x03;
const zeroCountFlag = 0x04;
const contiguousBins = 0x0c;
const sparseBins = 0x04;
/** ClickHouse's states of this function start with it. */
const stateStart = 0x01;
/** Where an empty store says that it begins. */
const noKey = 0x7fffffff;

/** Bins of all magnitudes are within ± 4,096; a negative value's are another sign's. */
const keyOffset = 4096;
const keysPerSign = 8192;
const storeStartBytes = 12;
const sparseBinBytes = 5 + 8;
const stateFixedBytes = 19 + 2 * (1 + storeStartBytes) + 9;

/** Counts of (group, sign, bin), in one open-addressed table. */
export class QuantileSketches {
  #mask = (1 << 12) - 1;
  #groups = new Int32Array(1 << 12).fill(-1);
  #bins = new Uint16Array(1 << 12);
  #counts = new Float64Array(1 << 12);
  #used = 0;
  #zeros = new Float64Array(64);

  add(group: number, value: number): void {
    const magnitude = Math.abs(value);
    if (magnitude < smallest) {
      if (group >= this.#zeros.length) this.#growZeros(group);
      (this.#zeros[group] as number)++;
      return;
    }
    const clamped = magnitude < 1 ? magnitude * belowOneFactor : Math.min(magnitude, largest);
    const key = Math.trunc(Math.log(clamped) * multiplier);
    this.#count(group, key + keyOffset + (value < 0 ? keysPerSign : 0));
  }

  #count(group: number, bin: number): void {
    const mask = this.#mask;
    let place = (Math.imul(group, 0x9e3779b1) ^ Math.imul(bin, 0x85ebca6b)) >>> 0;
    place = (place ^ (place >>> 15)) & mask;
    for (; ; place = (place + 1) & mask) {
      const found = this.#groups[place];
      if (found === group && this.#bins[place] === bin) {
        (this.#counts[place] as number)++;
        return;
      }
      if (found !== -1) continue;
      this.#groups[place] = group;
      this.#bins[place] = bin;
      this.#counts[place] = 1;
      if (++this.#used * 2 > mask) this.#grow();
      return;
    }
  }

  #growZeros(group: number): void {
    const grown = new Float64Array(Math.max(this.#zeros.length * 2, group + 1));
    grown.set(this.#zeros);
    this.#zeros = grown;
  }

  #grow(): void {
    const [groups, bins, counts] = [this.#groups, this.#bins, this.#counts];
    this.#mask = this.#mask * 2 + 1;
    this.#groups = new Int32Array(this.#mask + 1).fill(-1);
    this.#bins = new Uint16Array(this.#mask + 1);
    this.#counts = new Float64Array(this.#mask + 1);
    for (let from = 0; from < groups.length; from++) {
      const group = groups[from] as number;
      if (group === -1) continue;
      const bin = bins[from] as number;
      let place = (Math.imul(group, 0x9e3779b1) ^ Math.imul(bin, 0x85ebca6b)) >>> 0;
      place = (place ^ (place >>> 15)) & this.#mask;
      while (this.#groups[place] !== -1) place = (place + 1) & this.#mask;
      this.#groups[place] = group;
      this.#bins[place] = bin;
      this.#counts[place] = counts[from] as number;
    }
  }

  /** Appends the state of each group from 0 to `groupCount`, not included. */
  write(to: ByteWriter, groupCount: number): void {
    const { firstOf, entries } = this.#byGroup(groupCount);
    for (let group = 0; group < groupCount; group++) {
      const [first, end] = [firstOf[group] as number, firstOf[group + 1] as number];
      // Below it are positive values.
      let negative = first;
      while (negative < end && binOf(entries[negative] as number) < keysPerSign) negative++;
      to.reserve(stateFixedBytes);
      to.uint8(stateStart);
      to.uint8(mappingFlag);
      to.float64(gamma);
      to.float64(0);
      to.uint8(positiveFlag);
      this.#writeStore(to, entries, first, negative, keyOffset);
      to.uint8(negativeFlag);
      this.#writeStore(to, entries, negative, end, keyOffset + keysPerSign);
      to.reserve(stateFixedBytes);
      to.uint8(zeroCountFlag);
      to.float64(this.#zeros[group] ?? 0);
    }
  }

  /** The table's entries by group, those of a group by bin: each the bin and the place in the table. */
  #byGroup(groupCount: number): { firstOf: Uint32Array; entries: Float64Array } {
    const groups = this.#groups;
    const firstOf = new Uint32Array(groupCount + 1);
    for (const group of groups) if (group !== -1) (firstOf[group + 1] as number)++;
    for (let group = 1; group <= groupCount; group++) {
      firstOf[group] = (firstOf[group] as number) + (firstOf[group - 1] as number);
    }
    const next = firstOf.slice();
    const entries = new Float64Array(this.#used);
    for (let place = 0; place < groups.length; place++) {
      const group = groups[place] as number;
      if (group === -1) continue;
      const index = next[group] as number;
      next[group] = index + 1;
      entries[index] = (this.#bins[place] as number) * 2 ** 32 + place;
    }
    for (let group = 0; group < groupCount; group++) {
      const [first, end] = [firstOf[group] as number, firstOf[group + 1] as number];
      if (end - first > 1) entries.subarray(first, end).sort();
    }
    return { firstOf, entries };
  }

  /** The shorter of ClickHouse's two encodings, by its own rule. */
  #writeStore(to: ByteWriter, entries: Float64Array, first: number, end: number, offset: number): void {
    const used = end - first;
    const lowest = used === 0 ? 0 : binOf(entries[first] as number) - offset;
    const span = used === 0 ? 0 : binOf(entries[end - 1] as number) - offset - lowest + 1;
    const contiguous = (span - used) * 8 <= 2 * used;
    to.reserve(storeStartBytes + (contiguous ? span * 8 : used * sparseBinBytes));
    to.uint8(contiguous ? contiguousBins : sparseBins);
    to.varUint(contiguous ? span : used);
    if (contiguous) {
      to.varInt(used === 0 ? noKey : lowest);
      to.varInt(1);
    }
    let previous = contiguous ? lowest - 1 : 0;
    for (let index = first; index < end; index++) {
      const entry = entries[index] as number;
      const key = binOf(entry) - offset;
      if (contiguous) for (let gap = previous + 1; gap < key; gap++) to.float64(0);
      else to.varInt(key - previous);
      to.float64(this.#counts[entry % 2 ** 32] as number);
      previous = key;
    }
  }
}

const binOf = (entry: number): number => Math.floor(entry / 2 ** 32);
