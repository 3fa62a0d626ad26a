import { RowBinaryReader, skipRow, TruncatedRowError } from "../contract/row.ts";

/** Puts pieces of RowBinary, cut anywhere, back together into whole rows. */
export class RowStitcher {
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
