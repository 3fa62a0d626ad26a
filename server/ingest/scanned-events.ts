import type { Observations } from "../live-view/observation-queue.ts";

/**
 * Events that were read together, a column an array, and their rows. All of it is the reader's memory, and its to change when it
 * reads on. Types are numbers, which mean the same until then; `typeName` tells their names.
 */
export interface ScannedEvents extends Observations {
  /** Rows in RowBinary: `rowsLength` bytes from `rowsStart` on. */
  readonly memory: Uint8Array;
  readonly rowsStart: number;
  readonly rowsLength: number;
  /** Of each event, from `rowsStart` on. */
  readonly rowStarts: Uint32Array;
  /** The types of these events, each once: the first `metTypeCount`. */
  readonly metTypes: Int32Array;
  readonly metTypeCount: number;
  readonly earliestMs: number;
  typeName(type: number): string;
}
