import { ByteWriter } from "./byte-writer.ts";

/**
 * Numbers the different strings among those it is shown: 0, 1, 2 … in the order of their first occurrence. It keeps places,
 * not copies, so all strings have to lie in the same bytes.
 */
export class StringIds {
  readonly #bytes: Uint8Array;
  #mask: number;
  /** Of each place in the table: the id and one; 0 is a free place. */
  #table: Uint32Array;
  #hashes: Int32Array;
  #starts: Uint32Array;
  #ends: Uint32Array;
  count = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#mask = (1 << 11) - 1;
    this.#table = new Uint32Array(this.#mask + 1);
    this.#hashes = new Int32Array(1 << 10);
    this.#starts = new Uint32Array(1 << 10);
    this.#ends = new Uint32Array(1 << 10);
  }

  startOf(id: number): number {
    return this.#starts[id] as number;
  }

  endOf(id: number): number {
    return this.#ends[id] as number;
  }

  idOf(start: number, end: number): number {
    const bytes = this.#bytes;
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
    hash ^= hash >>> 15;
    for (let place = hash & this.#mask; ; place = (place + 1) & this.#mask) {
      const id = (this.#table[place] as number) - 1;
      if (id < 0) return this.#add(place, hash, start, end);
      if (this.#hashes[id] === hash && this.#equals(id, start, end)) return id;
    }
  }

  #equals(id: number, start: number, end: number): boolean {
    const bytes = this.#bytes;
    let other = this.#starts[id] as number;
    if ((this.#ends[id] as number) - other !== end - start) return false;
    for (let at = start; at < end; at++) if (bytes[at] !== bytes[other++]) return false;
    return true;
  }

  #add(place: number, hash: number, start: number, end: number): number {
    const id = this.count++;
    if (id === this.#starts.length) this.#growArrays();
    this.#hashes[id] = hash;
    this.#starts[id] = start;
    this.#ends[id] = end;
    this.#table[place] = id + 1;
    if (this.count * 2 > this.#mask) this.#growTable();
    return id;
  }

  #growArrays(): void {
    const grow = <T extends Int32Array | Uint32Array>(grown: T, from: T): T => {
      grown.set(from);
      return grown;
    };
    const length = this.#starts.length * 2;
    this.#hashes = grow(new Int32Array(length), this.#hashes);
    this.#starts = grow(new Uint32Array(length), this.#starts);
    this.#ends = grow(new Uint32Array(length), this.#ends);
  }

  #growTable(): void {
    this.#mask = this.#mask * 2 + 1;
    this.#table = new Uint32Array(this.#mask + 1);
    for (let id = 0; id < this.count; id++) {
      let place = (this.#hashes[id] as number) & this.#mask;
      while (this.#table[place] !== 0) place = (place + 1) & this.#mask;
      this.#table[place] = id + 1;
    }
  }

  /** At least as many as `encode` gives. */
  get encodedBytes(): number {
    let size = 0;
    for (let id = 0; id < this.count; id++) size += 5 + this.endOf(id) - this.startOf(id);
    return size;
  }

  /** All strings with their lengths, in the order of their ids. */
  encode(): Uint8Array {
    const writer = new ByteWriter(this.encodedBytes);
    for (let id = 0; id < this.count; id++) writer.string(this.#bytes, this.startOf(id), this.endOf(id));
    return writer.bytes();
  }

  /** For each id its place in the order of the bytes, which is ClickHouse's order of strings. */
  ranks(): Uint32Array {
    // A character a byte, so that JavaScript's order of strings is that of the bytes.
    const bytes = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    const keys = Array.from({ length: this.count }, (_, id) =>
      bytes.toString("latin1", this.startOf(id), this.endOf(id)),
    );
    const order = Array.from(keys, (_, id) => id).sort((a, b) => {
      const [left, right] = [keys[a] as string, keys[b] as string];
      return left < right ? -1 : left > right ? 1 : 0;
    });
    const ranks = new Uint32Array(this.count);
    for (const [rank, id] of order.entries()) ranks[id] = rank;
    return ranks;
  }
}
