import { ByteWriter } from "./byte-writer.ts";
import { createNativeBlock, DictionaryColumn, type NativeBlock } from "./native-block.ts";
import { QuantileSketches } from "./quantile-sketches.ts";
import type { RowTable } from "./row-table.ts";

/** What ClickHouse's DateTime holds: seconds from 1970 to 2106. */
const secondMax = 2 ** 32 - 1;

/** The rows of `telemetry_1s` that the view would make of the batch: one for each second and type (ddl/002_rollups.sql). */
export class RollupStates {
  readonly #table: RowTable;
  readonly #sketches = new QuantileSketches();
  #mask = (1 << 9) - 1;
  /** Of each place in the table: the group and one. */
  #places = new Uint32Array(1 << 9);
  #seconds = new Float64Array(1 << 8);
  #types = new Uint32Array(1 << 8);
  #eventCounts = new Float64Array(1 << 8);
  #valueCounts = new Float64Array(1 << 8);
  #sums = new Float64Array(1 << 8);
  #lows = new Float64Array(1 << 8);
  #highs = new Float64Array(1 << 8);
  #count = 0;
  #lastSecond = Number.NaN;
  #lastType = 0;
  #lastGroup = 0;
  /** A time that a DateTime cannot hold: what the view makes of it is not imitated here. */
  outOfRange = false;

  constructor(table: RowTable) {
    this.#table = table;
    const { rowCount, timestamps, typeIds } = table;
    for (let row = 0; row < rowCount; row++) {
      this.#add(Math.floor((timestamps[row] as number) / 1000), typeIds[row] as number, table.valueOf(row));
    }
  }

  #add(second: number, type: number, value: number): void {
    const group =
      second === this.#lastSecond && type === this.#lastType ? this.#lastGroup : this.#groupOf(second, type);
    (this.#eventCounts[group] as number)++;
    if (Number.isNaN(value)) return;
    const known = this.#valueCounts[group] as number;
    this.#valueCounts[group] = known + 1;
    this.#sums[group] = (this.#sums[group] as number) + value;
    if (known === 0 || value < (this.#lows[group] as number)) this.#lows[group] = value;
    if (known === 0 || value > (this.#highs[group] as number)) this.#highs[group] = value;
    this.#sketches.add(group, value);
  }

  #groupOf(second: number, type: number): number {
    let place = (Math.imul(second, 0x9e3779b1) ^ Math.imul(type, 0x85ebca6b)) >>> 0;
    place = (place ^ (place >>> 15)) & this.#mask;
    for (; ; place = (place + 1) & this.#mask) {
      const group = (this.#places[place] as number) - 1;
      if (group >= 0 && (this.#seconds[group] !== second || this.#types[group] !== type)) continue;
      this.#lastSecond = second;
      this.#lastType = type;
      this.#lastGroup = group >= 0 ? group : this.#addGroup(place, second, type);
      return this.#lastGroup;
    }
  }

  #addGroup(place: number, second: number, type: number): number {
    const group = this.#count++;
    if (second < 0 || second > secondMax) this.outOfRange = true;
    if (group === this.#seconds.length) this.#growGroups();
    this.#seconds[group] = second;
    this.#types[group] = type;
    this.#places[place] = group + 1;
    if (this.#count * 2 > this.#mask) this.#growPlaces();
    return group;
  }

  #growGroups(): void {
    const length = this.#seconds.length * 2;
    const grown = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(length);
      to.set(from);
      return to;
    };
    this.#seconds = grown(this.#seconds);
    this.#eventCounts = grown(this.#eventCounts);
    this.#valueCounts = grown(this.#valueCounts);
    this.#sums = grown(this.#sums);
    this.#lows = grown(this.#lows);
    this.#highs = grown(this.#highs);
    const types = new Uint32Array(length);
    types.set(this.#types);
    this.#types = types;
  }

  #growPlaces(): void {
    this.#mask = this.#mask * 2 + 1;
    this.#places = new Uint32Array(this.#mask + 1);
    for (let group = 0; group < this.#count; group++) {
      let place =
        (Math.imul(this.#seconds[group] as number, 0x9e3779b1) ^
          Math.imul(this.#types[group] as number, 0x85ebca6b)) >>>
        0;
      place = (place ^ (place >>> 15)) & this.#mask;
      while (this.#places[place] !== 0) place = (place + 1) & this.#mask;
      this.#places[place] = group + 1;
    }
  }

  block(): NativeBlock {
    const count = this.#count;
    const { types } = this.#table;
    const times = new ByteWriter(count * 4);
    const names = new DictionaryColumn(types.encode(), types.count, count);
    const [events, values, sums] = [new ByteWriter(count * 8), new ByteWriter(count * 8), new ByteWriter(count * 8)];
    const [nulls, lows, highs] = [new ByteWriter(count), new ByteWriter(count * 8), new ByteWriter(count * 8)];
    const quantiles = new ByteWriter(count * 64);
    for (let group = 0; group < count; group++) {
      times.uint32(this.#seconds[group] as number);
      names.add(this.#types[group] as number);
      events.uint64(this.#eventCounts[group] as number);
      values.uint64(this.#valueCounts[group] as number);
      sums.float64(this.#sums[group] as number);
      nulls.uint8(this.#valueCounts[group] === 0 ? 1 : 0);
      lows.float64(this.#lows[group] as number);
      highs.float64(this.#highs[group] as number);
    }
    this.#sketches.write(quantiles, count);
    const count64 = "SimpleAggregateFunction(sum, UInt64)";
    return createNativeBlock(count, [
      { name: "time", type: "DateTime('UTC')", pieces: [times.bytes()] },
      { name: "event_type", type: "LowCardinality(String)", pieces: names.pieces() },
      { name: "event_count", type: count64, pieces: [events.bytes()] },
      { name: "value_count", type: count64, pieces: [values.bytes()] },
      { name: "value_sum", type: "SimpleAggregateFunction(sum, Float64)", pieces: [sums.bytes()] },
      {
        name: "value_min",
        type: "SimpleAggregateFunction(min, Nullable(Float64))",
        pieces: [nulls.bytes(), lows.bytes()],
      },
      {
        name: "value_max",
        type: "SimpleAggregateFunction(max, Nullable(Float64))",
        pieces: [nulls.bytes(), highs.bytes()],
      },
      {
        name: "value_quantiles",
        type: "AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64))",
        pieces: [quantiles.bytes()],
      },
    ]);
  }
}
