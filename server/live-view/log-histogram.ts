/**
 * DDSketch's logarithmic bins: bin k holds the magnitudes [γ^k, γ^(k+1)) and is read as its middle, within 1 %. They are
 * those of `value_quantiles`, so what is stored and what is pending merge bin by bin. (ClickHouse's own mapping truncates
 * towards zero instead of rounding down, one bin too high below magnitude 1; ddl/002_rollups.sql feeds such values so that
 * the stored key is the one rounded down.) Source: ClickHouse, src/AggregateFunctions/DDSketch/{Mapping,Store}.h.
 */
const accuracy = 0.01;
export const gamma = (1 + accuracy) / (1 - accuracy);
const binsPerE = 1 / Math.log(gamma);

/** The bounds that ddl/002_rollups.sql puts on a sketch's input: smaller counts as 0, larger as the bound. */
const magnitudeMin = 1e-18;
const magnitudeMax = 1e21;
export const keyMin = Math.floor(Math.log(magnitudeMin) * binsPerE);
export const keyMax = Math.floor(Math.log(magnitudeMax) * binsPerE);

/** Past this many bins a store of one block folds its lowest magnitudes into one bin (17 decades remain), as DDSketch does. */
export const storeBinsMax = 2048;
const firstBins = 32;

/** Bin of a magnitude within the bounds. */
function keyOf(magnitude: number): number {
  return Math.floor(Math.log(magnitude) * binsPerE);
}

function magnitudeOf(key: number): number {
  return Math.exp(key / binsPerE) * (1 + accuracy);
}

const noBins = new Uint32Array(0);

/** Counts of adjacent bins; covers what was seen and a little more. */
class BinStore {
  readonly #binsMax: number;
  bins = noBins;
  /** Key of `bins[0]`. */
  offset = 0;

  constructor(binsMax: number) {
    this.#binsMax = binsMax;
  }

  add(key: number, count: number): void {
    let at = key - this.offset;
    if (at < 0 || at >= this.bins.length) at = this.#reach(key);
    this.bins[at] = (this.bins[at] as number) + count;
  }

  addAll(other: BinStore): void {
    const { bins, offset } = other;
    if (bins.length === 0) return;
    if (this.bins.length === 0 && bins.length <= this.#binsMax) {
      this.bins = bins.slice();
      this.offset = offset;
      return;
    }
    const start = offset - this.offset;
    if (start >= 0 && start + bins.length <= this.bins.length) {
      const own = this.bins;
      for (let at = 0; at < bins.length; at++) own[start + at] = (own[start + at] as number) + (bins[at] as number);
      return;
    }
    for (let at = 0; at < bins.length; at++) {
      const count = bins[at] as number;
      if (count !== 0) this.add(offset + at, count);
    }
  }

  /** Room for these keys in advance; only of an empty store. */
  reserve(offset: number, length: number): void {
    if (this.bins.length > 0 || length > this.#binsMax) return;
    this.bins = new Uint32Array(length);
    this.offset = offset;
  }

  /** Keys in use, as [first, one past the last]; equal when there are none. */
  extent(): [number, number] {
    const { bins, offset } = this;
    let first = 0;
    while (first < bins.length && bins[first] === 0) first++;
    let last = bins.length - 1;
    while (last > first && bins[last] === 0) last--;
    return first >= bins.length ? [0, 0] : [offset + first, offset + last + 1];
  }

  /** Whether `other` can be added without folding any bins together. */
  fits(other: BinStore): boolean {
    if (other.bins.length === 0) return true;
    if (this.bins.length === 0) return other.bins.length <= this.#binsMax;
    const low = Math.min(this.offset, other.offset);
    return Math.max(this.offset + this.bins.length, other.offset + other.bins.length) - low <= this.#binsMax;
  }

  /** Makes room for `key`; returns where it is. */
  #reach(key: number): number {
    const { bins, offset } = this;
    if (bins.length === 0) {
      this.bins = new Uint32Array(firstBins);
      this.offset = key - (firstBins >> 1);
      return firstBins >> 1;
    }
    // Full, up to a top bin in use: everything below belongs to the lowest bin.
    if (key < offset && bins.length === this.#binsMax && bins[this.#binsMax - 1] !== 0) return 0;
    // From what is in use, not from what was spare: at the bound, spare bins would cost real ones.
    let first = 0;
    while (first < bins.length && bins[first] === 0) first++;
    let last = bins.length - 1;
    while (last > first && bins[last] === 0) last--;
    let high = Math.max(offset + last, key) + 1;
    let low = Math.max(Math.min(offset + first, key), high - this.#binsMax);
    const spare = Math.min(bins.length >> 1, this.#binsMax - (high - low));
    if (key < offset) low -= spare;
    else high += spare;
    const length = high - low;
    const grown = new Uint32Array(length);
    for (let at = first; at <= last; at++) {
      const to = Math.max(0, offset + at - low);
      grown[to] = (grown[to] as number) + (bins[at] as number);
    }
    this.bins = grown;
    this.offset = low;
    return Math.max(0, key - low);
  }
}

/** Values of one block of seconds. Counts are 32 bits: half a billion a second of one value in a block of eight seconds. */
export class LogHistogram {
  readonly #binsMax: number;
  readonly positive: BinStore;
  negative: BinStore | null = null;
  zeros = 0;

  constructor(binsMax = storeBinsMax) {
    this.#binsMax = binsMax;
    this.positive = new BinStore(binsMax);
  }

  /** Memory, in bins of 4 bytes. */
  get binCount(): number {
    return this.positive.bins.length + (this.negative?.bins.length ?? 0);
  }

  /** 18 ns for normally distributed values, 5 to 9 of them the logarithm; a table of keys by exponent and mantissa saved 2. */
  observe(value: number): void {
    if (value >= magnitudeMin) this.positive.add(value < magnitudeMax ? keyOf(value) : keyMax, 1);
    else if (value > -magnitudeMin) this.zeros++;
    else this.#negatives().add(value > -magnitudeMax ? keyOf(-value) : keyMax, 1);
  }

  addPositive(key: number, count: number): void {
    this.positive.add(clampKey(key), count);
  }

  addNegative(key: number, count: number): void {
    this.#negatives().add(clampKey(key), count);
  }

  addAll(other: LogHistogram): void {
    this.zeros += other.zeros;
    this.positive.addAll(other.positive);
    if (other.negative !== null) this.#negatives().addAll(other.negative);
  }

  /** Whether `other` can be added without folding any bins together. */
  fits(other: LogHistogram): boolean {
    if (!this.positive.fits(other.positive)) return false;
    return other.negative === null || this.#negatives().fits(other.negative);
  }

  #negatives(): BinStore {
    this.negative ??= new BinStore(this.#binsMax);
    return this.negative;
  }
}

function clampKey(key: number): number {
  return Math.min(keyMax, Math.max(keyMin, key));
}

/** Running total of the blocks in the window. Counts are integers, so what is subtracted is exactly what was added. */
export class WindowHistogram {
  #positive = new Float64Array(0);
  #positiveOffset = 0;
  #negative = new Float64Array(0);
  #negativeOffset = 0;
  #zeros = 0;

  add(block: LogHistogram): void {
    this.#apply(block, 1);
  }

  subtract(block: LogHistogram): void {
    this.#apply(block, -1);
  }

  /**
   * Values at `ranks` (0 to 1, ascending), clamped into [least, greatest]. NaN when there are none. ClickHouse's rule:
   * the value at q · (n - 1).
   */
  quantiles(ranks: readonly number[], least: number, greatest: number): number[] {
    const negatives = sumOf(this.#negative);
    const total = negatives + this.#zeros + sumOf(this.#positive);
    const values: number[] = [];
    if (total === 0) return ranks.map(() => Number.NaN);
    let passed = 0;
    let at = 0;
    for (const rank of ranks) {
      const target = rank * (total - 1);
      let value = 0;
      if (target < negatives) {
        // From the largest magnitude down.
        let seen = 0;
        let index = this.#negative.length - 1;
        for (; index > 0; index--) {
          seen += this.#negative[index] as number;
          if (seen > target) break;
        }
        value = -magnitudeOf(this.#negativeOffset + index);
      } else if (target >= negatives + this.#zeros) {
        const rest = target - negatives - this.#zeros;
        for (; at < this.#positive.length - 1; at++) {
          const next = passed + (this.#positive[at] as number);
          if (next > rest) break;
          passed = next;
        }
        value = magnitudeOf(this.#positiveOffset + at);
      }
      values.push(Math.min(greatest, Math.max(least, value)));
    }
    return values;
  }

  #apply(block: LogHistogram, sign: 1 | -1): void {
    this.#zeros += sign * block.zeros;
    const { bins, offset } = block.positive;
    if (bins.length > 0) {
      [this.#positive, this.#positiveOffset] = covering(this.#positive, this.#positiveOffset, offset, bins.length);
      addInto(this.#positive, offset - this.#positiveOffset, bins, sign);
    }
    if (block.negative !== null && block.negative.bins.length > 0) {
      const { bins, offset } = block.negative;
      [this.#negative, this.#negativeOffset] = covering(this.#negative, this.#negativeOffset, offset, bins.length);
      addInto(this.#negative, offset - this.#negativeOffset, bins, sign);
    }
  }
}

function addInto(target: Float64Array, start: number, bins: Uint32Array, sign: 1 | -1): void {
  for (let at = 0; at < bins.length; at++) {
    target[start + at] = (target[start + at] as number) + sign * (bins[at] as number);
  }
}

function sumOf(bins: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < bins.length; at++) sum += bins[at] as number;
  return sum;
}

/** `bins` grown so that it covers the keys from `from` on; at most the range of keys that exist, and a block's slack. */
function covering(
  bins: Float64Array<ArrayBuffer>,
  offset: number,
  from: number,
  length: number,
): [Float64Array<ArrayBuffer>, number] {
  if (bins.length === 0) return [new Float64Array(length), from];
  const low = Math.min(offset, from);
  const high = Math.max(offset + bins.length, from + length);
  if (low === offset && high === offset + bins.length) return [bins, offset];
  const grown = new Float64Array(high - low);
  grown.set(bins, offset - low);
  return [grown, low];
}
