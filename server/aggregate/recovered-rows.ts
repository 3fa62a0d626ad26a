import { RowBinaryReader, skipRow, TruncatedRowError } from "../contract/row.ts";

/** Puts pieces of RowBinary, cut anywhere, back together into whole rows. */
class RowStitcher {
  #rest: Uint8Array = new Uint8Array(0);

  /** The whole rows among what has come so far and was not given out yet. */
  push(piece: Uint8Array): Uint8Array {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const reader = new RowBinaryReader(bytes);
    let end = 0;
    try {
      while (!reader.done) {
        skipRow(reader);
        end = reader.offset;
      }
    } catch (error) {
      if (!(error instanceof TruncatedRowError)) throw error;
    }
    this.#rest = bytes.slice(end);
    return bytes.subarray(0, end);
  }
}

interface RecoveredPiece {
  readonly epoch: number;
  readonly rows: Uint8Array;
  readonly last: boolean;
}

/**
 * Folds the rows that an earlier run left, a piece at a time and in order: one epoch a batch, before those of this run.
 * `taken` is called for each piece once it is folded, for the next one.
 */
export function createRecoveredFold(deps: {
  readonly foldRows: (epoch: number, rows: Uint8Array) => Promise<unknown>;
  readonly taken: () => void;
}): (piece: RecoveredPiece) => void {
  let stitcher = new RowStitcher();
  let folded: Promise<unknown> = Promise.resolve();
  return ({ epoch, rows, last }) => {
    const whole = stitcher.push(rows);
    if (last) stitcher = new RowStitcher();
    folded = folded.then(() => deps.foldRows(epoch, whole)).then(deps.taken);
  };
}
