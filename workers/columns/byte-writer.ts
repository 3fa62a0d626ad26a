import type { Arena } from "./arena.ts";

const two32 = 2 ** 32;
/** Below this many bytes a loop beats `set`, which makes a view first. */
const shortBytes = 32;

/**
 * Bytes of one column, appended in ClickHouse's binary form (little-endian). Grows when asked to `reserve`; the other calls
 * do not look, so that the loops over rows stay cheap.
 */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacity: number, arena?: Arena) {
    this.#bytes = arena === undefined ? new Uint8Array(capacity) : arena.bytes(capacity);
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Valid until the next `reserve`. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    grown.set(this.bytes());
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  uint8(value: number): void {
    this.#bytes[this.#length++] = value;
  }

  uint16(value: number): void {
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  uint32(value: number): void {
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** Exact up to 2^53. */
  uint64(value: number): void {
    const high = Math.floor(value / two32);
    this.#view.setUint32(this.#length, value - high * two32, true);
    this.#view.setUint32(this.#length + 4, high, true);
    this.#length += 8;
  }

  /** Exact to ± 2^53. */
  int64(value: number): void {
    const high = Math.floor(value / two32);
    this.#view.setUint32(this.#length, value - high * two32, true);
    this.#view.setInt32(this.#length + 4, high, true);
    this.#length += 8;
  }

  float64(value: number): void {
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** LEB128; up to 2^31. */
  varUint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** LEB128 of the zigzag form; within ± 2^31. */
  varInt(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  copy(from: Uint8Array, start: number, end: number): void {
    const bytes = this.#bytes;
    let to = this.#length;
    if (end - start < shortBytes) for (let at = start; at < end; at++) bytes[to++] = from[at] as number;
    else bytes.set(from.subarray(start, end), to);
    this.#length += end - start;
  }

  /** Its length, then its bytes. */
  string(from: Uint8Array, start: number, end: number): void {
    this.varUint(end - start);
    this.copy(from, start, end);
  }

  text(text: string): void {
    const bytes = Buffer.from(text);
    this.reserve(5 + bytes.length);
    this.string(bytes, 0, bytes.length);
  }
}
