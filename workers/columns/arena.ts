/** More than this is given back after a batch that needed it. */
const keptBytesMax = 256 * 2 ** 20;

/**
 * Memory for the columns of one batch after the other. Fresh memory costs a page fault for each 4 KiB of it, and what is
 * let go stays until the garbage collector comes by: several batches' worth, of 100 MiB each. What it gives is not zeroed,
 * and is valid until the next `reset`.
 */
export class Arena {
  #buffer = new ArrayBuffer(0);
  #used = 0;
  #missedBytes = 0;

  /** All that was given before is let go. */
  reset(): void {
    const wanted = this.#used + this.#missedBytes;
    if (this.#missedBytes > 0 && wanted <= keptBytesMax) this.#buffer = new ArrayBuffer(Math.ceil(wanted * 1.25));
    this.#used = 0;
    this.#missedBytes = 0;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#take(length);
    return at === null ? new Uint8Array(length) : new Uint8Array(this.#buffer, at, length);
  }

  uint32s(length: number): Uint32Array<ArrayBuffer> {
    const at = this.#take(length * 4);
    return at === null ? new Uint32Array(length) : new Uint32Array(this.#buffer, at, length);
  }

  float64s(length: number): Float64Array<ArrayBuffer> {
    const at = this.#take(length * 8);
    return at === null ? new Float64Array(length) : new Float64Array(this.#buffer, at, length);
  }

  /** Where in the buffer; null when it is too small, which the next `reset` mends. */
  #take(bytes: number): number | null {
    const aligned = Math.ceil(bytes / 8) * 8;
    const at = this.#used;
    if (at + aligned > this.#buffer.byteLength) {
      this.#missedBytes += aligned;
      return null;
    }
    this.#used = at + aligned;
    return at;
  }
}
