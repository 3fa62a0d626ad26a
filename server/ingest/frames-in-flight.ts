import type { Epoch } from "../live-view/epoch.ts";

/** A run of frames of one epoch, oldest first. */
type Apply = (rows: number, epoch: Epoch) => void;

/**
 * The epochs of frames that the ring has and whose fate the writer thread has not told yet, in their order. The writer reports
 * whole frames, oldest first. Bounded by the ring.
 */
export class FramesInFlight {
  readonly #frames: { readonly rows: number; readonly epoch: Epoch }[] = [];

  push(rows: number, epoch: Epoch): void {
    this.#frames.push({ rows, epoch });
  }

  /** Removes the frames that the `rows` oldest rows make up; calls `apply` once for each run of frames of one epoch. */
  take(rows: number, apply: Apply): void {
    const frames = this.#frames;
    let left = rows;
    let taken = 0;
    while (left > 0) {
      const first = frames[taken];
      if (!first) throw new Error("the writer reported rows that were never pushed");
      let count = 0;
      let frame: typeof first | undefined = first;
      while (frame !== undefined && frame.epoch === first.epoch && count + frame.rows <= left) {
        count += frame.rows;
        taken++;
        frame = frames[taken];
      }
      if (count === 0) throw new Error("the writer split a frame");
      left -= count;
      apply(count, first.epoch);
    }
    frames.splice(0, taken);
  }
}
