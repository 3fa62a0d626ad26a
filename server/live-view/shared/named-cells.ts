import { RowBinaryReader } from "../../../contract/row.ts";
import { CellCollector, type Cells } from "../cells.ts";
import { type Epoch, epochOf } from "../epoch.ts";
import { LogHistogram } from "../log-histogram.ts";

/** Cells whose types are places in a list of names: every instance numbers types in its own order. */
export interface NamedCells {
  readonly names: readonly string[];
  readonly cells: Cells;
}

/** What another instance has of one epoch of a shard: all of it, each time. */
export interface SharedPartial {
  readonly shard: number;
  readonly epoch: Epoch;
  readonly cells: NamedCells;
}

/** Thrown for bytes that no instance of this release wrote. */
export class SharedPartialError extends Error {}

const formatVersion = 1;
const namesMax = 16_384;
const cellsMax = 1 << 20;
const binsMax = 1 << 16;

/** A copy that shares nothing: collectors take histograms over. */
export function copyCells(cells: Cells): Cells {
  return {
    length: cells.length,
    types: cells.types.slice(0, cells.length),
    seconds: cells.seconds.slice(0, cells.length),
    counts: cells.counts.slice(0, cells.length),
    valueCounts: cells.valueCounts.slice(0, cells.length),
    sums: cells.sums.slice(0, cells.length),
    mins: cells.mins.slice(0, cells.length),
    maxs: cells.maxs.slice(0, cells.length),
    histograms: cells.histograms.map(({ type, block, histogram }) => {
      const copy = new LogHistogram();
      copy.addAll(histogram);
      return { type, block, histogram: copy };
    }),
  };
}

/**
 * What has to be added to `known` for it to be `whole`, in `whole`'s names. Counts only grow, so differences are counts;
 * extremes are those of `whole`, which adding them again does not change.
 */
export function subtractCells(whole: NamedCells, known: NamedCells | null | undefined): NamedCells {
  const all = copyCells(whole.cells);
  if (known == null) return { names: whole.names, cells: all };
  const knownCells = new Map<string, number>();
  for (let cell = 0; cell < known.cells.length; cell++) {
    knownCells.set(`${known.cells.seconds[cell]} ${known.names[known.cells.types[cell] as number]}`, cell);
  }
  let kept = 0;
  for (let cell = 0; cell < all.length; cell++) {
    const at = knownCells.get(`${all.seconds[cell]} ${whole.names[all.types[cell] as number]}`);
    if (at !== undefined) {
      if (all.counts[cell] === known.cells.counts[at]) continue;
      all.counts[cell] = (all.counts[cell] as number) - (known.cells.counts[at] as number);
      all.valueCounts[cell] = (all.valueCounts[cell] as number) - (known.cells.valueCounts[at] as number);
      all.sums[cell] = (all.sums[cell] as number) - (known.cells.sums[at] as number);
    }
    for (const list of [all.types, all.seconds, all.counts, all.valueCounts, all.sums, all.mins, all.maxs]) {
      list[kept] = list[cell] as number;
    }
    kept++;
  }
  all.length = kept;
  const knownHistograms = new Map<string, LogHistogram>();
  for (const { type, block, histogram } of known.cells.histograms) {
    knownHistograms.set(`${block} ${known.names[type]}`, histogram);
  }
  all.histograms = all.histograms.flatMap((entry): Cells["histograms"] => {
    const before = knownHistograms.get(`${entry.block} ${whole.names[entry.type]}`);
    if (before === undefined) return [entry];
    const histogram = new LogHistogram();
    histogram.zeros = entry.histogram.zeros - before.zeros;
    let differs = histogram.zeros !== 0;
    eachDifference(entry.histogram.positive, before.positive, (key, count) => {
      differs = true;
      histogram.addPositive(key, count);
    });
    eachDifference(entry.histogram.negative, before.negative, (key, count) => {
      differs = true;
      histogram.addNegative(key, count);
    });
    return differs ? [{ ...entry, histogram }] : [];
  });
  return { names: whole.names, cells: all };
}

type Bins = { readonly bins: Uint32Array; readonly offset: number } | null;

function eachDifference(whole: Bins, known: Bins, visit: (key: number, count: number) => void): void {
  if (whole === null) return;
  for (let at = 0; at < whole.bins.length; at++) {
    const key = whole.offset + at;
    const more = (whole.bins[at] as number) - (known?.bins[key - known.offset] ?? 0);
    if (more > 0) visit(key, more);
  }
}

/** Collects what becomes pending of one epoch of a shard, to be sent as a whole. */
export class SharedEpoch {
  readonly #collector = new CellCollector();
  /** By type, as they were then: numbers are given to other types once nothing in the window has them. */
  readonly names = new Map<number, string>();
  #cells: Cells | null = null;

  add(cells: Cells, nameOf: (type: number) => string): void {
    for (let cell = 0; cell < cells.length; cell++) {
      const type = cells.types[cell] as number;
      if (!this.names.has(type)) this.names.set(type, nameOf(type));
    }
    const before = this.#cells;
    if (before !== null) this.#collector.absorb(before);
    this.#collector.absorb(copyCells(cells));
    this.#cells = this.#collector.take();
  }

  get cells(): Cells | null {
    return this.#cells;
  }
}

/** Little-endian, strings with a LEB128 length, as RowBinary has them. */
export function encodePartial(
  shard: number,
  epoch: Epoch,
  cells: Cells,
  names: ReadonlyMap<number, string>,
): Uint8Array {
  const writer = new Writer();
  writer.uint8(formatVersion);
  writer.length(shard);
  writer.length(epoch);
  const places = new Map<number, number>();
  for (let cell = 0; cell < cells.length; cell++) {
    const type = cells.types[cell] as number;
    if (!places.has(type)) places.set(type, places.size);
  }
  for (const { type } of cells.histograms) if (!places.has(type)) places.set(type, places.size);
  writer.length(places.size);
  for (const type of places.keys()) writer.string(names.get(type) ?? "");
  writer.length(cells.length);
  for (let cell = 0; cell < cells.length; cell++) {
    writer.length(places.get(cells.types[cell] as number) as number);
    writer.length(cells.seconds[cell] as number);
    writer.length(cells.counts[cell] as number);
    writer.length(cells.valueCounts[cell] as number);
    writer.float64(cells.sums[cell] as number);
    writer.float64(cells.mins[cell] as number);
    writer.float64(cells.maxs[cell] as number);
  }
  writer.length(cells.histograms.length);
  for (const { type, block, histogram } of cells.histograms) {
    writer.length(places.get(type) as number);
    writer.length(block);
    writer.length(histogram.zeros);
    writer.bins(histogram.positive);
    writer.bins(histogram.negative);
  }
  return writer.bytes();
}

export function decodePartial(bytes: Uint8Array): SharedPartial {
  const reader = new RowBinaryReader(bytes);
  if (reader.uint8() !== formatVersion) throw new SharedPartialError("a partial of another release");
  const shard = reader.length();
  const epoch = epochOf(reader.length());
  const names = Array.from({ length: bounded(reader, namesMax) }, () => reader.string());
  const length = bounded(reader, cellsMax);
  const cells: Cells = {
    length,
    types: new Int32Array(length),
    seconds: new Int32Array(length),
    counts: new Float64Array(length),
    valueCounts: new Float64Array(length),
    sums: new Float64Array(length),
    mins: new Float64Array(length),
    maxs: new Float64Array(length),
    histograms: [],
  };
  for (let cell = 0; cell < length; cell++) {
    cells.types[cell] = place(reader, names);
    cells.seconds[cell] = reader.length();
    cells.counts[cell] = reader.length();
    cells.valueCounts[cell] = reader.length();
    cells.sums[cell] = reader.float64();
    cells.mins[cell] = reader.float64();
    cells.maxs[cell] = reader.float64();
  }
  for (let left = bounded(reader, cellsMax); left > 0; left--) {
    const type = place(reader, names);
    const block = reader.length();
    const histogram = new LogHistogram();
    histogram.zeros = reader.length();
    readBins(reader, (key, count) => histogram.addPositive(key, count));
    readBins(reader, (key, count) => histogram.addNegative(key, count));
    cells.histograms.push({ type, block, histogram });
  }
  if (!reader.done) throw new SharedPartialError("bytes behind a partial");
  return { shard, epoch, cells: { names, cells } };
}

function bounded(reader: RowBinaryReader, most: number): number {
  const length = reader.length();
  if (length > most) throw new SharedPartialError(`${length} of what may be ${most}`);
  return length;
}

function place(reader: RowBinaryReader, names: readonly string[]): number {
  const type = reader.length();
  if (type >= names.length) throw new SharedPartialError("a type without a name");
  return type;
}

function readBins(reader: RowBinaryReader, add: (key: number, count: number) => void): void {
  let key = 0;
  for (let left = bounded(reader, binsMax); left > 0; left--) {
    const step = reader.length();
    key += step % 2 === 0 ? step / 2 : -(step + 1) / 2;
    add(key, reader.length());
  }
}

const encoder = new TextEncoder();

class Writer {
  #buffer = new Uint8Array(1 << 12);
  #view = new DataView(this.#buffer.buffer);
  #at = 0;

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#at + bytes));
    grown.set(this.#buffer);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }

  uint8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at++] = value;
  }

  length(value: number): void {
    this.#reserve(10);
    let rest = value;
    while (rest > 127) {
      this.#buffer[this.#at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#at++] = rest;
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  string(text: string): void {
    const bytes = encoder.encode(text);
    this.length(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Keys as zigzag differences, with their counts; empty bins are left out. */
  bins(of: Bins): void {
    const used: [number, number][] = [];
    for (const [at, count] of of?.bins.entries() ?? []) if (count > 0) used.push([(of?.offset ?? 0) + at, count]);
    this.length(used.length);
    let before = 0;
    for (const [key, count] of used) {
      const step = key - before;
      before = key;
      this.length(step >= 0 ? 2 * step : -2 * step - 1);
      this.length(count);
    }
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }
}
