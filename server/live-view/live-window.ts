import { blockSeconds, blockShift, type Cells, ringBlocks, ringSeconds } from "./cells.ts";
import { LogHistogram, storeBinsMax, WindowHistogram } from "./log-histogram.ts";
import type { StoredBlock } from "./stored-window.ts";

export const windowSeconds = 600;
/**
 * How far ahead of now a second may be: what the door lets in (MAX_CLOCK_SKEW_FUTURE is at most 300 s) and a minute for
 * two clocks that differ. With the window it stays below `ringSeconds` by more than a block.
 */
const futureSeconds = 360;
const secondMask = ringSeconds - 1;
const blockMask = ringBlocks - 1;
/** Rates are means over this long. */
export const rateSeconds = 10;

/**
 * Bins of all blocks, 128 MB: 1,000 types with 300 bins in every block. Past it, new blocks get coarse stores, which read
 * true for the upper decade of magnitudes and fold the rest.
 */
const windowBinsMax = 1 << 25;
const coarseStoreBins = 128;

class BinBudget {
  used = 0;

  get storeBins(): number {
    return this.used > windowBinsMax ? coarseStoreBins : storeBinsMax;
  }
}

/** The window's figures of one event type. */
export interface TypeTotals {
  count: number;
  valueCount: number;
  sum: number;
  min: number;
  max: number;
}

/** One event type: a ring of seconds, a ring of blocks derived from it, histograms by block and their running total. 46 KB. */
class TypeWindow {
  readonly counts = new Uint32Array(ringSeconds);
  readonly valueCounts = new Uint32Array(ringSeconds);
  readonly sums = new Float64Array(ringSeconds);
  readonly mins = new Float64Array(ringSeconds).fill(Number.POSITIVE_INFINITY);
  readonly maxs = new Float64Array(ringSeconds).fill(Number.NEGATIVE_INFINITY);
  readonly blockCounts = new Float64Array(ringBlocks);
  readonly blockValueCounts = new Float64Array(ringBlocks);
  readonly blockSums = new Float64Array(ringBlocks);
  readonly blockMins = new Float64Array(ringBlocks).fill(Number.POSITIVE_INFINITY);
  readonly blockMaxs = new Float64Array(ringBlocks).fill(Number.NEGATIVE_INFINITY);
  readonly histograms: (LogHistogram | null)[] = new Array(ringBlocks).fill(null);
  readonly histogram = new WindowHistogram();
  readonly totals: TypeTotals = { count: 0, valueCount: 0, sum: 0, min: 0, max: 0 };
  /** Whether `totals` are behind. */
  stale = true;

  add(second: number, count: number, valueCount: number, sum: number, min: number, max: number): void {
    const at = second & secondMask;
    const block = (second >> blockShift) & blockMask;
    this.counts[at] = (this.counts[at] as number) + count;
    this.blockCounts[block] = (this.blockCounts[block] as number) + count;
    this.stale = true;
    if (valueCount === 0) return;
    this.valueCounts[at] = (this.valueCounts[at] as number) + valueCount;
    this.blockValueCounts[block] = (this.blockValueCounts[block] as number) + valueCount;
    this.sums[at] = (this.sums[at] as number) + sum;
    this.blockSums[block] = (this.blockSums[block] as number) + sum;
    this.mins[at] = Math.min(this.mins[at] as number, min);
    this.blockMins[block] = Math.min(this.blockMins[block] as number, min);
    this.maxs[at] = Math.max(this.maxs[at] as number, max);
    this.blockMaxs[block] = Math.max(this.blockMaxs[block] as number, max);
  }

  addHistogram(block: number, histogram: LogHistogram, budget: BinBudget): void {
    const at = block & blockMask;
    let own = this.histograms[at];
    if (!own) {
      own = new LogHistogram(budget.storeBins);
      this.histograms[at] = own;
    }
    const before = own.binCount;
    this.#merge(own, histogram);
    budget.used += own.binCount - before;
  }

  /** Bins of the block may be folded together as it grows; the total then takes the difference of the block, not the part. */
  #merge(own: LogHistogram, histogram: LogHistogram): void {
    if (own.fits(histogram)) {
      own.addAll(histogram);
      this.histogram.add(histogram);
      return;
    }
    this.histogram.subtract(own);
    own.addAll(histogram);
    this.histogram.add(own);
  }

  clearBlock(block: number, budget: BinBudget): void {
    const at = block & blockMask;
    if (this.blockCounts[at] === 0 && !this.histograms[at]) return;
    const from = (block << blockShift) & secondMask;
    this.counts.fill(0, from, from + blockSeconds);
    this.valueCounts.fill(0, from, from + blockSeconds);
    this.sums.fill(0, from, from + blockSeconds);
    this.mins.fill(Number.POSITIVE_INFINITY, from, from + blockSeconds);
    this.maxs.fill(Number.NEGATIVE_INFINITY, from, from + blockSeconds);
    this.blockCounts[at] = 0;
    this.blockValueCounts[at] = 0;
    this.blockSums[at] = 0;
    this.blockMins[at] = Number.POSITIVE_INFINITY;
    this.blockMaxs[at] = Number.NEGATIVE_INFINITY;
    const histogram = this.histograms[at];
    if (histogram) {
      this.histogram.subtract(histogram);
      this.histograms[at] = null;
      budget.used -= histogram.binCount;
    }
    this.stale = true;
  }

  /** Sums are made anew from the blocks, never by subtraction: nothing drifts. */
  total(fromSecond: number, toBlock: number): TypeTotals {
    if (!this.stale) return this.totals;
    this.stale = false;
    let count = 0;
    let valueCount = 0;
    let sum = 0;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    let block = fromSecond >> blockShift;
    if ((fromSecond & (blockSeconds - 1)) !== 0) {
      // The oldest block is only partly in the window.
      if (this.blockCounts[block & blockMask] !== 0) {
        const end = (block + 1) << blockShift;
        for (let second = fromSecond; second < end; second++) {
          const at = second & secondMask;
          count += this.counts[at] as number;
          valueCount += this.valueCounts[at] as number;
          sum += this.sums[at] as number;
          min = Math.min(min, this.mins[at] as number);
          max = Math.max(max, this.maxs[at] as number);
        }
      }
      block++;
    }
    for (; block <= toBlock; block++) {
      const at = block & blockMask;
      const inBlock = this.blockCounts[at] as number;
      if (inBlock === 0) continue;
      count += inBlock;
      valueCount += this.blockValueCounts[at] as number;
      sum += this.blockSums[at] as number;
      min = Math.min(min, this.blockMins[at] as number);
      max = Math.max(max, this.blockMaxs[at] as number);
    }
    const { totals } = this;
    totals.count = count;
    totals.valueCount = valueCount;
    totals.sum = sum;
    totals.min = min;
    totals.max = max;
    return totals;
  }

  /** Whether nothing is left in any block, the partly expired one included. */
  get empty(): boolean {
    return this.blockCounts.every((count) => count === 0) && this.histograms.every((histogram) => histogram === null);
  }
}

/**
 * Everything in the window, stored and pending, materialised. Times outside [`fromSecond`, `toSecond`] are refused, so
 * a place of a ring is never two seconds at once.
 */
export class LiveWindow {
  readonly #types: (TypeWindow | null)[] = [];
  readonly #budget = new BinBudget();
  #nowSecond: number;

  constructor(nowSecond: number) {
    this.#nowSecond = nowSecond;
  }

  get nowSecond(): number {
    return this.#nowSecond;
  }

  get fromSecond(): number {
    return this.#nowSecond - windowSeconds;
  }

  get toSecond(): number {
    return this.#nowSecond + futureSeconds;
  }

  get fromBlock(): number {
    return this.fromSecond >> blockShift;
  }

  get toBlock(): number {
    return this.toSecond >> blockShift;
  }

  /** Moves on. True when a second that held events has left the window. */
  advance(nowSecond: number): boolean {
    const fromSecond = this.fromSecond;
    const fromBlock = this.fromBlock;
    this.#nowSecond = nowSecond;
    const left = Math.min(this.fromSecond - fromSecond, ringSeconds);
    const blocks = Math.min(this.fromBlock - fromBlock, ringBlocks);
    let changed = false;
    for (const type of this.#types) {
      if (!type) continue;
      type.stale = true;
      for (let second = 0; second < left && !changed; second++) {
        changed = (type.counts[(fromSecond + second) & secondMask] as number) > 0;
      }
      for (let block = 0; block < blocks; block++) type.clearBlock(fromBlock + block, this.#budget);
    }
    return changed;
  }

  add(cells: Cells): void {
    const { fromBlock, toBlock } = this;
    for (let cell = 0; cell < cells.length; cell++) this.#addCell(cells, cell);
    for (const { type, block, histogram } of cells.histograms) {
      if (block >= fromBlock && block <= toBlock) this.#types[type]?.addHistogram(block, histogram, this.#budget);
    }
  }

  clearBlock(block: number): void {
    for (const type of this.#types) type?.clearBlock(block, this.#budget);
  }

  /** Adds what of `cells` lies in `blocks`. */
  addBlocks(cells: Cells, blocks: ReadonlySet<number>): void {
    for (let cell = 0; cell < cells.length; cell++) {
      if (blocks.has((cells.seconds[cell] as number) >> blockShift)) this.#addCell(cells, cell);
    }
    for (const { type, block, histogram } of cells.histograms) {
      if (blocks.has(block)) this.#types[type]?.addHistogram(block, histogram, this.#budget);
    }
  }

  addStored(index: number, stored: StoredBlock): void {
    const { fromSecond, toSecond } = this;
    const type = this.#typeAt(index);
    for (const { second, count, valueCount, sum, min, max } of stored.seconds) {
      if (second >= fromSecond && second <= toSecond) type.add(second, count, valueCount, sum, min, max);
    }
    type.addHistogram(stored.block, stored.histogram, this.#budget);
  }

  /** Differs when a block's counts do; for telling whether an answer brought anything new. */
  signature(block: number): number {
    const at = block & blockMask;
    let sum = 0;
    for (let index = 0; index < this.#types.length; index++) {
      const type = this.#types[index];
      if (type) sum += (index + 1) * ((type.blockCounts[at] as number) + 3 * (type.blockValueCounts[at] as number));
    }
    return sum;
  }

  /** Whether any event lies in the seconds that rates are made of, or has just left them. */
  get moving(): boolean {
    for (const type of this.#types) {
      if (!type) continue;
      for (let ago = 0; ago <= rateSeconds + 1; ago++)
        if (type.counts[(this.#nowSecond - ago) & secondMask] !== 0) return true;
    }
    return false;
  }

  /** The window's totals of each type that has any, by index. */
  forEachType(visit: (type: number, totals: TypeTotals) => void): void {
    const { fromSecond, toBlock } = this;
    for (let index = 0; index < this.#types.length; index++) {
      const type = this.#types[index];
      if (!type) continue;
      const totals = type.total(fromSecond, toBlock);
      if (totals.count > 0) visit(index, totals);
    }
  }

  /** Values at `ranks`; NaN when no event of the type carried one. The oldest block counts whole: up to 7 s more than the window. */
  quantiles(type: number, ranks: readonly number[]): number[] {
    const window = this.#types[type];
    if (!window || window.totals.valueCount === 0) return ranks.map(() => Number.NaN);
    return window.histogram.quantiles(ranks, window.totals.min, window.totals.max);
  }

  /**
   * Events of the type in the ten seconds before the present one. Whole seconds only: with the present one and the part of it
   * that has passed, a fleet that reports at the turn of the second read up to a tenth too high.
   */
  recentCount(type: number): number {
    const counts = this.#types[type]?.counts;
    if (!counts) return 0;
    let sum = 0;
    for (let ago = 1; ago <= rateSeconds; ago++) sum += counts[(this.#nowSecond - ago) & secondMask] as number;
    return sum;
  }

  /** Gives back the memory of types that hold nothing; returns the others. */
  dropEmptyTypes(): Set<number> {
    const held = new Set<number>();
    for (let index = 0; index < this.#types.length; index++) {
      const type = this.#types[index];
      if (!type) continue;
      if (type.empty) this.#types[index] = null;
      else held.add(index);
    }
    return held;
  }

  #addCell(cells: Cells, cell: number): void {
    const second = cells.seconds[cell] as number;
    if (second < this.fromSecond || second > this.toSecond) return;
    this.#typeAt(cells.types[cell] as number).add(
      second,
      cells.counts[cell] as number,
      cells.valueCounts[cell] as number,
      cells.sums[cell] as number,
      cells.mins[cell] as number,
      cells.maxs[cell] as number,
    );
  }

  #typeAt(index: number): TypeWindow {
    let type = this.#types[index];
    if (!type) {
      type = new TypeWindow();
      this.#types[index] = type;
    }
    return type;
  }
}
