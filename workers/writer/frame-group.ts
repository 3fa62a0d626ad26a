import type { FrameGroup } from "../journal/journal.ts";
import type { Frame } from "../ring/ring.ts";

/** Most bytes of rows in one group, so in one flush; a single larger frame still goes through, alone. */
export const groupMaxBytes = 4 * 2 ** 20;

const nothing = new Uint8Array(0);

/** Gathers frames of the ring into one group for one append. Its memory is used again: a group is valid until the next frame. */
export class FrameGroupBuilder {
  rowCount = 0;
  byteCount = 0;
  firstEpoch = 0;
  /** The newest that it has ever seen. */
  newestEpoch = 0;
  #rows = new Uint8Array(groupMaxBytes);
  #meta: Uint8Array[] = [];

  /** Copies it: the ring's memory is given back before the group is done with. */
  add(frame: Frame): void {
    const end = this.byteCount + frame.rows.length;
    if (end > this.#rows.length) {
      const grown = new Uint8Array(end);
      grown.set(this.#rows.subarray(0, this.byteCount));
      this.#rows = grown;
    }
    this.#rows.set(frame.rows, this.byteCount);
    this.byteCount = end;
    if (this.rowCount === 0) this.firstEpoch = frame.epoch;
    this.rowCount += frame.rowCount;
    this.newestEpoch = frame.epoch;
    if (frame.meta.length > 0) this.#meta.push(frame.meta.slice());
  }

  /** What was gathered; the next begins empty. */
  take(atMs: number): FrameGroup {
    const group: FrameGroup = {
      rows: this.#rows.subarray(0, this.byteCount),
      rowCount: this.rowCount,
      meta: this.#meta.length === 0 ? nothing : Buffer.concat(this.#meta),
      epoch: this.newestEpoch,
      atMs,
    };
    this.byteCount = 0;
    this.rowCount = 0;
    this.#meta = [];
    return group;
  }
}
