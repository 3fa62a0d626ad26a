import { LogHistogram } from "./log-histogram.ts";

/** Seconds of one block: the unit of histograms, of rollup queries and of replacement. */
export const blockSeconds = 8;
export const blockShift = 3;
/** Rings of seconds and blocks; what is alive at once spans less than 1,000 seconds, so places never clash. */
export const ringSeconds = 1024;
export const ringBlocks = ringSeconds >> blockShift;

/** Aggregates of some events: a cell for each (event type, second), a histogram for each (event type, block). */
export interface Cells {
  length: number;
  types: Int32Array<ArrayBuffer>;
  seconds: Int32Array<ArrayBuffer>;
  counts: Float64Array<ArrayBuffer>;
  valueCounts: Float64Array<ArrayBuffer>;
  sums: Float64Array<ArrayBuffer>;
  /** Infinity and -Infinity where there are no values. */
  mins: Float64Array<ArrayBuffer>;
  maxs: Float64Array<ArrayBuffer>;
  histograms: BlockHistogram[];
}

interface BlockHistogram {
  type: number;
  block: number;
  histogram: LogHistogram;
}

const firstCells = 64;
/** Bins left free around the keys that a type used last. */
const spareBins = 4;

/** `#histogramOf` of a cell that has no values yet. */
const none = -1;

/**
 * Collects events, or other cells, into `Cells`. Everything in it lies within `ringSeconds` of each other: its owner
 * takes the cells out before the window moves on.
 */
export class CellCollector {
  #cells: Cells = emptyCells(firstCells);
  /** Of each cell: its histogram's place in `histograms`. */
  #histogramOf = new Int32Array(firstCells);
  /** (type, second) → cell + 1; (type, block) → histogram + 1. Flat, because a Map costs 20 ns an event. */
  #cellAt = new Int32Array(16 * ringSeconds);
  #histogramAt = new Int32Array(16 * ringBlocks);
  /** Of each type: the keys of positive values that its last histogram used. New ones begin there instead of growing there. */
  #hints = new Int32Array(2 * 16);

  get length(): number {
    return this.#cells.length;
  }

  observe(type: number, second: number, value: number): void {
    const place = type * ringSeconds + (second & (ringSeconds - 1));
    let cell = place < this.#cellAt.length ? (this.#cellAt[place] as number) - 1 : none;
    if (cell < 0) cell = this.#addCell(type, second);
    const cells = this.#cells;
    cells.counts[cell] = (cells.counts[cell] as number) + 1;
    // NaN stands for no value.
    if (!Number.isNaN(value)) {
      cells.valueCounts[cell] = (cells.valueCounts[cell] as number) + 1;
      cells.sums[cell] = (cells.sums[cell] as number) + value;
      if (value < (cells.mins[cell] as number)) cells.mins[cell] = value;
      if (value > (cells.maxs[cell] as number)) cells.maxs[cell] = value;
      let at = this.#histogramOf[cell] as number;
      if (at === none) {
        at = this.#histogramFor(type, second >> blockShift);
        this.#histogramOf[cell] = at;
      }
      (cells.histograms[at] as BlockHistogram).histogram.observe(value);
    }
  }

  /** Adds `other`, whose histograms may be taken over: it is not to be used afterwards. */
  absorb(other: Cells): void {
    for (let from = 0; from < other.length; from++) {
      const type = other.types[from] as number;
      const second = other.seconds[from] as number;
      const place = type * ringSeconds + (second & (ringSeconds - 1));
      let cell = place < this.#cellAt.length ? (this.#cellAt[place] as number) - 1 : none;
      if (cell < 0) cell = this.#addCell(type, second);
      const cells = this.#cells;
      cells.counts[cell] = (cells.counts[cell] as number) + (other.counts[from] as number);
      cells.valueCounts[cell] = (cells.valueCounts[cell] as number) + (other.valueCounts[from] as number);
      cells.sums[cell] = (cells.sums[cell] as number) + (other.sums[from] as number);
      cells.mins[cell] = Math.min(cells.mins[cell] as number, other.mins[from] as number);
      cells.maxs[cell] = Math.max(cells.maxs[cell] as number, other.maxs[from] as number);
    }
    for (const entry of other.histograms) {
      const place = this.#histogramPlace(entry.type, entry.block);
      const at = (this.#histogramAt[place] as number) - 1;
      if (at >= 0) {
        (this.#cells.histograms[at] as BlockHistogram).histogram.addAll(entry.histogram);
      } else {
        this.#cells.histograms.push(entry);
        this.#histogramAt[place] = this.#cells.histograms.length;
      }
    }
  }

  /** What was collected, in arrays of its own size; the collector is empty again. */
  take(): Cells {
    const cells = this.#cells;
    const { length } = cells;
    for (let cell = 0; cell < length; cell++) {
      const second = cells.seconds[cell] as number;
      this.#cellAt[(cells.types[cell] as number) * ringSeconds + (second & (ringSeconds - 1))] = 0;
    }
    for (const { type, block, histogram } of cells.histograms) {
      this.#histogramAt[type * ringBlocks + (block & (ringBlocks - 1))] = 0;
      if (type * 2 >= this.#hints.length) this.#hints = widened(this.#hints, type * 2 + 2);
      [this.#hints[type * 2], this.#hints[type * 2 + 1]] = histogram.positive.extent();
    }
    const taken: Cells = {
      length,
      types: cells.types.slice(0, length),
      seconds: cells.seconds.slice(0, length),
      counts: cells.counts.slice(0, length),
      valueCounts: cells.valueCounts.slice(0, length),
      sums: cells.sums.slice(0, length),
      mins: cells.mins.slice(0, length),
      maxs: cells.maxs.slice(0, length),
      histograms: cells.histograms,
    };
    cells.length = 0;
    cells.histograms = [];
    return taken;
  }

  #addCell(type: number, second: number): number {
    const place = type * ringSeconds + (second & (ringSeconds - 1));
    if (place >= this.#cellAt.length) this.#cellAt = widened(this.#cellAt, (type + 1) * ringSeconds);
    const cells = this.#cells;
    const cell = cells.length;
    if (cell === cells.types.length) this.#growCells();
    cells.length++;
    cells.types[cell] = type;
    cells.seconds[cell] = second;
    cells.counts[cell] = 0;
    cells.valueCounts[cell] = 0;
    cells.sums[cell] = 0;
    cells.mins[cell] = Number.POSITIVE_INFINITY;
    cells.maxs[cell] = Number.NEGATIVE_INFINITY;
    this.#histogramOf[cell] = none;
    this.#cellAt[place] = cell + 1;
    return cell;
  }

  #growCells(): void {
    const cells = this.#cells;
    const length = cells.types.length * 2;
    cells.types = widened(cells.types, length);
    cells.seconds = widened(cells.seconds, length);
    this.#histogramOf = widened(this.#histogramOf, length);
    for (const name of ["counts", "valueCounts", "sums", "mins", "maxs"] as const) {
      const grown = new Float64Array(length);
      grown.set(cells[name]);
      cells[name] = grown;
    }
  }

  #histogramFor(type: number, block: number): number {
    const place = this.#histogramPlace(type, block);
    const at = (this.#histogramAt[place] as number) - 1;
    if (at >= 0) return at;
    const histogram = new LogHistogram();
    const from = this.#hints[type * 2] ?? 0;
    const to = this.#hints[type * 2 + 1] ?? 0;
    if (to > from) histogram.positive.reserve(from - spareBins, to - from + 2 * spareBins);
    this.#cells.histograms.push({ type, block, histogram });
    this.#histogramAt[place] = this.#cells.histograms.length;
    return this.#cells.histograms.length - 1;
  }

  #histogramPlace(type: number, block: number): number {
    const place = type * ringBlocks + (block & (ringBlocks - 1));
    if (place >= this.#histogramAt.length) {
      this.#histogramAt = widened(this.#histogramAt, (type + 1) * ringBlocks);
    }
    return place;
  }
}

/** `cells` without those that `keeps` refuses, by (type, block). The same object when all are kept. */
export function filterCells(cells: Cells, keeps: (block: number) => boolean): Cells {
  let kept = 0;
  for (let cell = 0; cell < cells.length; cell++) {
    if (!keeps((cells.seconds[cell] as number) >> blockShift)) continue;
    if (kept !== cell) {
      cells.types[kept] = cells.types[cell] as number;
      cells.seconds[kept] = cells.seconds[cell] as number;
      cells.counts[kept] = cells.counts[cell] as number;
      cells.valueCounts[kept] = cells.valueCounts[cell] as number;
      cells.sums[kept] = cells.sums[cell] as number;
      cells.mins[kept] = cells.mins[cell] as number;
      cells.maxs[kept] = cells.maxs[cell] as number;
    }
    kept++;
  }
  if (kept === cells.length) return cells;
  cells.length = kept;
  cells.histograms = cells.histograms.filter((entry) => keeps(entry.block));
  return cells;
}

function emptyCells(capacity: number): Cells {
  return {
    length: 0,
    types: new Int32Array(capacity),
    seconds: new Int32Array(capacity),
    counts: new Float64Array(capacity),
    valueCounts: new Float64Array(capacity),
    sums: new Float64Array(capacity),
    mins: new Float64Array(capacity),
    maxs: new Float64Array(capacity),
    histograms: [],
  };
}

/** Grown to at least `length`, doubling. */
function widened(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(Math.max(array.length * 2, length));
  grown.set(array);
  return grown;
}
