/**
 * A ring of frames in shared memory: one producer (the HTTP thread), one consumer (the writer thread), no locks.
 *
 * A frame is 16 bytes of header (row bytes, meta bytes, rows, epoch; each uint32) and its payload: rows, then meta.
 * Frames are contiguous and 8-byte aligned; one that would cross the end goes to the start, and a marker fills the gap.
 * The producer writes the payload first and publishes `head` last, so the consumer never sees half a frame; `head` and
 * `tail` are byte counters modulo 2^32, and the capacity is a power of two, so that their difference is always the bytes in use.
 */
export interface RingMemory {
  readonly control: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
}

const word = { head: 0, tail: 1, closedEpoch: 2, sleeping: 3, journalPages: 4 } as const;
const headerBytes = 16;
const gapMarker = 0xffffffff;
/** Unit of the journal's size in its control word: 4 KiB, so that 32 bits reach 16 TiB. */
const journalPageBytes = 4096;

export interface Frame {
  /** View into shared memory; valid until `release`. */
  readonly rows: Uint8Array;
  /** View into shared memory; empty for most frames. */
  readonly meta: Uint8Array;
  readonly rowCount: number;
  readonly epoch: number;
}

export function createRingMemory(capacityBytes: number): RingMemory {
  return { control: new SharedArrayBuffer(64), data: new SharedArrayBuffer(capacityBytes) };
}

const noMeta = new Uint8Array(0);
const align8 = (bytes: number): number => (bytes + 7) & ~7;

/** The producer's end. `tryPush` refuses when there is no room; it never waits. */
export class RingProducer {
  readonly #control: Uint32Array;
  readonly #data: Uint8Array;
  readonly #words: Uint32Array;
  readonly capacityBytes: number;
  #head: number;

  constructor(memory: RingMemory) {
    this.#control = new Uint32Array(memory.control);
    this.#data = new Uint8Array(memory.data);
    this.#words = new Uint32Array(memory.data);
    this.capacityBytes = memory.data.byteLength;
    this.#head = Atomics.load(this.#control, word.head);
  }

  get usedBytes(): number {
    return (this.#head - Atomics.load(this.#control, word.tail)) >>> 0;
  }

  /** The journal's size as its writer last published it. */
  get journalBytes(): number {
    return Atomics.load(this.#control, word.journalPages) * journalPageBytes;
  }

  /** Copies one frame in and publishes it; false when it does not fit now. */
  tryPush(rows: Uint8Array, rowCount: number, epoch: number, meta: Uint8Array = noMeta): boolean {
    const frameBytes = align8(headerBytes + rows.length + meta.length);
    const position = this.#head & (this.capacityBytes - 1);
    const toEnd = this.capacityBytes - position;
    const gap = frameBytes > toEnd ? toEnd : 0;
    if (frameBytes + gap > this.capacityBytes - this.usedBytes) return false;
    if (gap > 0) this.#words[position >>> 2] = gapMarker;
    const start = gap > 0 ? 0 : position;
    const at = start >>> 2;
    this.#words[at] = rows.length;
    this.#words[at + 1] = meta.length;
    this.#words[at + 2] = rowCount;
    this.#words[at + 3] = epoch;
    this.#data.set(rows, start + headerBytes);
    if (meta.length > 0) this.#data.set(meta, start + headerBytes + rows.length);
    this.#head = (this.#head + frameBytes + gap) >>> 0;
    Atomics.store(this.#control, word.head, this.#head);
    return true;
  }

  /** Tells the writer that no further frame will carry an epoch up to this one. */
  closeEpoch(epoch: number): void {
    Atomics.store(this.#control, word.closedEpoch, epoch);
  }

  /** True once for each time the consumer went to sleep: the caller has to wake it. */
  takeSleeping(): boolean {
    return Atomics.load(this.#control, word.sleeping) === 1 && Atomics.exchange(this.#control, word.sleeping, 0) === 1;
  }
}

/** The consumer's end. `next` reads frames in order; `release` gives their memory back. */
export class RingConsumer {
  readonly #control: Uint32Array;
  readonly #data: Uint8Array;
  readonly #words: Uint32Array;
  readonly #capacityBytes: number;
  #read: number;

  constructor(memory: RingMemory) {
    this.#control = new Uint32Array(memory.control);
    this.#data = new Uint8Array(memory.data);
    this.#words = new Uint32Array(memory.data);
    this.#capacityBytes = memory.data.byteLength;
    this.#read = Atomics.load(this.#control, word.tail);
  }

  get closedEpoch(): number {
    return Atomics.load(this.#control, word.closedEpoch);
  }

  /** True when every published frame has been read. */
  get empty(): boolean {
    return Atomics.load(this.#control, word.head) === this.#read;
  }

  publishJournalBytes(bytes: number): void {
    Atomics.store(this.#control, word.journalPages, Math.ceil(bytes / journalPageBytes));
  }

  next(): Frame | undefined {
    const head = Atomics.load(this.#control, word.head);
    if (this.#read === head) return undefined;
    let position = this.#read & (this.#capacityBytes - 1);
    if (this.#words[position >>> 2] === gapMarker) {
      this.#read = (this.#read + this.#capacityBytes - position) >>> 0;
      position = 0;
    }
    const at = position >>> 2;
    const rowBytes = this.#words[at] as number;
    const metaBytes = this.#words[at + 1] as number;
    const start = position + headerBytes;
    this.#read = (this.#read + align8(headerBytes + rowBytes + metaBytes)) >>> 0;
    return {
      rows: this.#data.subarray(start, start + rowBytes),
      meta: metaBytes === 0 ? noMeta : this.#data.subarray(start + rowBytes, start + rowBytes + metaBytes),
      rowCount: this.#words[at + 2] as number,
      epoch: this.#words[at + 3] as number,
    };
  }

  /** Frees the memory of every frame read so far. Their views must not be used afterwards. */
  release(): void {
    Atomics.store(this.#control, word.tail, this.#read);
  }

  /**
   * Announces that the consumer is about to sleep. False when frames came meanwhile: then it must not.
   * The producer looks at the flag after publishing `head`, the consumer at `head` after setting the flag, so one of
   * the two always sees the other.
   */
  trySleep(): boolean {
    Atomics.store(this.#control, word.sleeping, 1);
    if (Atomics.load(this.#control, word.head) === this.#read) return true;
    Atomics.store(this.#control, word.sleeping, 0);
    return false;
  }
}
