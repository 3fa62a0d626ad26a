import type { Readable } from "node:stream";

/**
 * What the rollups of one insert may take in ClickHouse: the quantile states of all (second, event type) groups that its
 * rows fall into. The three views hold them at once, in turn as 1 s, 1 min and 1 h, so an insert peaks at up to three times this
 * (768 MiB; the embedded engine has 2 GiB, and readers may take as much again).
 */
export const rollupBytesMax = 256 * 2 ** 20;

/**
 * A state in ClickHouse's memory, measured on 26.7 as the peak of an insert, a third of it: a fixed part, and for each sign that
 * occurs an array of bins from the smallest to the largest magnitude, in pieces of 128. A bin is a factor of 101/99, and
 * magnitudes are clamped to 1e-18 … 1e21 (ddl/002_rollups.sql).
 *
 *   60,000 groups without a value            993 bytes a group at the peak
 *   60,000 of one value                    3,111 (10 types) to 4,998 (60,000 types)
 *   10,000 of two values, 3 decades apart  11,612
 *   10,000 of two, 39 decades apart       113,098; with both signs over 211,000, so 10,000 are too many
 */
const stateBytes = 512;
const signBytes = 1024;
const octaveBytes = Math.ceil(8 * (Math.LN2 / Math.log(101 / 99)));
/** Binary exponents, as a double has them, of what the clamp lets through. */
const exponentMin = 1023 - 60;
const exponentMax = 1023 + 69;
const groupBytesMax = stateBytes + 2 * (signBytes + (exponentMax - exponentMin + 1) * octaveBytes);

/** As many groups are never too much, whatever their values. */
export const rollupGroupsSafe = Math.floor(rollupBytesMax / groupBytesMax);

/**
 * An upper bound of the memory that the rollups of these rows (RowBinary of `telemetry_events`) take; not exact once it is
 * over `enough`. It decides how a batch is cut, so which tokens its rows have: the same rows always come to the same figure, and
 * a change of it is one of the journal's format. 0.05 µs a row with few groups, 0.2 with 100,000.
 */
export async function estimateRollupBytes(body: Readable, enough = Number.POSITIVE_INFINITY): Promise<number> {
  const groups = new Groups();
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    rest = bytes.subarray(groups.addRows(bytes));
    if (groups.bytes > enough) break;
    // Requests wait for this thread to make their events durable.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return groups.bytes;
}

const noExponent = -1;

/** An open-addressed table of groups by two hashes of (second, type), and the exponents that their values span. */
class Groups {
  bytes = 0;
  #count = 0;
  #mask = 0;
  #hashesA = new Int32Array(0);
  #hashesB = new Int32Array(0);
  /** Smallest and largest exponent of positive, then of negative values; 0 in the first marks a free place. */
  #spans = new Int16Array(0);

  constructor() {
    this.#resize(1 << 10);
  }

  /** Adds the whole rows; gives the offset of what is left. */
  addRows(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = bytes.length;
    let at = 0;
    let row = 0;

    /** Behind a length and as many bytes; past the end when they are not there. */
    const skipString = (): void => {
      let length = 0;
      for (let factor = 1; at < end; factor *= 128) {
        const byte = bytes[at++] as number;
        length += (byte & 127) * factor;
        if (byte < 128) {
          at += length;
          return;
        }
      }
      at = end + 1;
    };

    for (; at < end; row = at) {
      if (at + 16 > end) return row;
      const second = Math.floor((view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)) / 1000);
      at += 16;
      skipString();
      const typeStart = at;
      skipString();
      const typeEnd = at;
      // The flag of the value, the value or the flag of the text, and more: two bytes there are in any row.
      if (at + 2 > end) return row;
      const hasValue = bytes[at++] === 0;
      const valueAt = at;
      if (hasValue) at += 8;
      if (at >= end) return row;
      if (bytes[at++] === 0) skipString();
      if (at >= end) return row;
      let pairs = 0;
      for (let factor = 1; ; factor *= 128) {
        if (at >= end) return row;
        const byte = bytes[at++] as number;
        pairs += (byte & 127) * factor;
        if (byte < 128) break;
      }
      for (let strings = 2 * pairs; strings > 0 && at <= end; strings--) skipString();
      if (at > end) return row;

      let a = Math.imul(second, 0x9e3779b1);
      let b = Math.imul(second ^ 0x5bd1e995, 0x85ebca6b);
      for (let index = typeStart; index < typeEnd; index++) {
        const byte = bytes[index] as number;
        a = Math.imul(a ^ byte, 0x01000193);
        b = Math.imul(b + byte, 0xc2b2ae35) ^ (b >>> 15);
      }
      this.#add(a, b, hasValue ? view.getUint32(valueAt + 4, true) : null);
    }
    return row;
  }

  /** `high`: the upper half of the value, which holds its sign and exponent; null: there is none. */
  #add(a: number, b: number, high: number | null): void {
    const place = this.#placeOf(a, b);
    const exponent = high === null ? noExponent : (high >>> 20) & 0x7ff;
    // What is below the clamp counts as zero, which has no bin.
    if (high === null || exponent < exponentMin) return;
    const clamped = Math.min(exponent, exponentMax);
    const at = place * 4 + (high >>> 31 === 1 ? 2 : 0);
    const spans = this.#spans;
    const [low, top] = [spans[at] as number, spans[at + 1] as number];
    if (low === noExponent) {
      this.bytes += signBytes + octaveBytes;
      spans[at] = clamped;
      spans[at + 1] = clamped;
    } else if (clamped < low) {
      this.bytes += (low - clamped) * octaveBytes;
      spans[at] = clamped;
    } else if (clamped > top) {
      this.bytes += (clamped - top) * octaveBytes;
      spans[at + 1] = clamped;
    }
  }

  #placeOf(a: number, b: number): number {
    for (let place = (a ^ (b >>> 16)) & this.#mask; ; place = (place + 1) & this.#mask) {
      if (this.#spans[place * 4] === 0) {
        if (this.#count * 2 > this.#mask) {
          this.#grow();
          return this.#placeOf(a, b);
        }
        this.#count++;
        this.bytes += stateBytes;
        this.#hashesA[place] = a;
        this.#hashesB[place] = b;
        this.#spans.fill(noExponent, place * 4, place * 4 + 4);
        return place;
      }
      if (this.#hashesA[place] === a && this.#hashesB[place] === b) return place;
    }
  }

  #resize(places: number): void {
    this.#mask = places - 1;
    this.#hashesA = new Int32Array(places);
    this.#hashesB = new Int32Array(places);
    this.#spans = new Int16Array(places * 4);
  }

  #grow(): void {
    const [hashesA, hashesB, spans] = [this.#hashesA, this.#hashesB, this.#spans];
    this.#resize(hashesA.length * 2);
    for (let from = 0; from < hashesA.length; from++) {
      if (spans[from * 4] === 0) continue;
      const [a, b] = [hashesA[from] as number, hashesB[from] as number];
      let place = (a ^ (b >>> 16)) & this.#mask;
      while (this.#spans[place * 4] !== 0) place = (place + 1) & this.#mask;
      this.#hashesA[place] = a;
      this.#hashesB[place] = b;
      this.#spans.set(spans.subarray(from * 4, from * 4 + 4), place * 4);
    }
  }
}
