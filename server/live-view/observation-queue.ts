const firstCapacity = 1 << 12;
/**
 * Observations between acceptance and the journal's flush; 28 bytes each. More than a full ring holds (64 MiB of rows of
 * 30 bytes), so that the ring refuses first.
 */
export const observationsMax = 1 << 22;

/** The first `count` of each array are of one event each. */
export interface Observations {
  readonly count: number;
  /** Numbers of types, as who read the events gave them. */
  readonly types: Int32Array;
  readonly seconds: Int32Array;
  readonly values: Float64Array;
  readonly hashesA: Uint32Array;
  readonly hashesB: Uint32Array;
}

/**
 * Events that were accepted and are not yet durable, oldest first: a circular struct of arrays. `push` is on the hot
 * path (4 ns).
 */
export class ObservationQueue {
  types = new Int32Array(firstCapacity);
  seconds = new Int32Array(firstCapacity);
  values = new Float64Array(firstCapacity);
  hashesA = new Uint32Array(firstCapacity);
  hashesB = new Uint32Array(firstCapacity);
  #capacity = firstCapacity;
  /** Observations ever pushed and ever taken; a position is one of them modulo the capacity, a power of two. */
  #pushed = 0;
  #taken = 0;

  get size(): number {
    return this.#pushed - this.#taken;
  }

  get pushedTotal(): number {
    return this.#pushed;
  }

  get takenTotal(): number {
    return this.#taken;
  }

  /** Index mask of the arrays; the observation `n` after the oldest is at `(takenTotal + n) & mask`. */
  get mask(): number {
    return this.#capacity - 1;
  }

  /** False when the queue is full: the request is then refused as when the ring is full. `value` NaN: none. */
  push(typeIndex: number, second: number, value: number, deviceHashA: number, deviceHashB: number): boolean {
    if (this.#pushed - this.#taken === this.#capacity && !this.#grow()) return false;
    // Positions stay below 2^53; the bitwise AND sees their low 32 bits, which is all a mask needs.
    const at = this.#pushed++ & (this.#capacity - 1);
    this.types[at] = typeIndex;
    this.seconds[at] = second;
    this.values[at] = value;
    this.hashesA[at] = deviceHashA;
    this.hashesB[at] = deviceHashB;
    return true;
  }

  /** `push` of each; `indexes`: of a type's number its index. All of them or, when there is no room, none. */
  pushAll(observations: Observations, indexes: Int32Array): boolean {
    const { count, types, seconds, values, hashesA, hashesB } = observations;
    while (this.#pushed + count - this.#taken > this.#capacity) if (!this.#grow()) return false;
    const { mask } = this;
    let at = this.#pushed & mask;
    for (let from = 0; from < count; from++) {
      this.types[at] = indexes[types[from] as number] as number;
      this.seconds[at] = seconds[from] as number;
      this.values[at] = values[from] as number;
      this.hashesA[at] = hashesA[from] as number;
      this.hashesB[at] = hashesB[from] as number;
      at = (at + 1) & mask;
    }
    this.#pushed += count;
    return true;
  }

  /** Before the first push of a request. */
  mark(): number {
    return this.#pushed;
  }

  /** The request was refused: its pushes are undone. */
  rewind(mark: number): void {
    if (mark < this.#taken || mark > this.#pushed) throw new RangeError("not a mark of this queue's present content");
    this.#pushed = mark;
  }

  /** The `n` oldest are done with. */
  take(n: number): void {
    if (n < 0 || n > this.size) throw new RangeError(`${n} observations of ${this.size}`);
    this.#taken += n;
  }

  #grow(): boolean {
    if (this.#capacity === observationsMax) return false;
    const from = this.#taken & this.mask;
    const grown = this.#capacity * 2;
    this.types = unrolled(this.types, new Int32Array(grown), from, this.#taken);
    this.seconds = unrolled(this.seconds, new Int32Array(grown), from, this.#taken);
    this.values = unrolled(this.values, new Float64Array(grown), from, this.#taken);
    this.hashesA = unrolled(this.hashesA, new Uint32Array(grown), from, this.#taken);
    this.hashesB = unrolled(this.hashesB, new Uint32Array(grown), from, this.#taken);
    this.#capacity = grown;
    return true;
  }
}

/** Moves a full circle to where its positions are under the larger mask: two runs, each ending where an array ends. */
function unrolled<T extends Int32Array | Uint32Array | Float64Array>(old: T, grown: T, from: number, taken: number): T {
  const start = taken & (grown.length - 1);
  grown.set(old.subarray(from), start);
  grown.set(old.subarray(0, from), (start + old.length - from) & (grown.length - 1));
  return grown;
}
