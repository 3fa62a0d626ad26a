/** One bucket; a deadline is noticed at most this much late. */
const bucketMs = 125;
/** 17 minutes of buckets; what is due later waits in the last one and is put in again from there. */
const buckets = 8192;
const none = -1;

/**
 * Deadlines of numbered things, each at most once in it: to set, move or take out one costs the same whatever their number,
 * and time that passes costs only what is due in it. Things are links of doubly linked lists, a list a bucket.
 */
export class TimingWheel {
  readonly #heads = new Int32Array(buckets).fill(none);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  /** Of each thing: its bucket, or none. */
  #bucketOf = new Int32Array(0);
  /** Number, since the clock's zero, of the bucket that is looked at next. */
  #current: number;

  constructor(nowMs: number) {
    this.#current = Math.floor(nowMs / bucketMs);
  }

  /** `thing` is due at `atMs`, whatever was said of it before. */
  set(thing: number, atMs: number): void {
    if (thing >= this.#bucketOf.length) this.#grow(thing + 1);
    this.clear(thing);
    const wanted = Math.ceil(atMs / bucketMs);
    const bucket = Math.min(Math.max(wanted, this.#current), this.#current + buckets - 1) & (buckets - 1);
    const head = this.#heads[bucket] as number;
    this.#next[thing] = head;
    this.#previous[thing] = none;
    if (head !== none) this.#previous[head] = thing;
    this.#heads[bucket] = thing;
    this.#bucketOf[thing] = bucket;
  }

  clear(thing: number): void {
    const bucket = thing < this.#bucketOf.length ? (this.#bucketOf[thing] as number) : none;
    if (bucket === none) return;
    const next = this.#next[thing] as number;
    const previous = this.#previous[thing] as number;
    if (previous === none) this.#heads[bucket] = next;
    else this.#next[previous] = next;
    if (next !== none) this.#previous[next] = previous;
    this.#bucketOf[thing] = none;
  }

  /** Visits what may be due, each thing once, out of the wheel; `due` sets it again where it is not. */
  advance(nowMs: number, due: (thing: number) => void): void {
    const until = Math.floor(nowMs / bucketMs);
    // After a long pause each bucket is looked at once.
    let bucket = Math.max(this.#current, until - buckets + 1);
    for (; bucket <= until; bucket++) {
      const at = bucket & (buckets - 1);
      const found: number[] = [];
      for (let thing = this.#heads[at] as number; thing !== none; thing = this.#next[thing] as number)
        found.push(thing);
      this.#current = bucket + 1;
      for (const thing of found) this.clear(thing);
      for (const thing of found) due(thing);
    }
  }

  #grow(length: number): void {
    const capacity = Math.max(1024, 2 ** Math.ceil(Math.log2(length)));
    const grown = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const array = new Int32Array(capacity).fill(none);
      array.set(old);
      return array;
    };
    this.#next = grown(this.#next);
    this.#previous = grown(this.#previous);
    this.#bucketOf = grown(this.#bucketOf);
  }
}
