import type { RowPlace, RowRange } from "../journal/journal.ts";

/** What is to be made into columns: rows that the thread reads itself, or that come along. */
export type RowSource =
  | { readonly kind: "place"; readonly place: RowPlace; readonly range: RowRange | null }
  | { readonly kind: "bytes"; readonly chunks: readonly Uint8Array[] };

export interface ColumnRequest {
  readonly id: number;
  readonly source: RowSource;
  readonly rowCount: number;
  /** Whether rollups and devices are wanted as states; see `BlockMaker`. */
  readonly wantsStates: boolean;
  /** Where the blocks go as files; null: they are given back as bytes. */
  readonly directory: string | null;
}

/** A block in a file, or its bytes one piece after the other. */
export type MadeBlock =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "bytes"; readonly pieces: readonly Uint8Array<ArrayBuffer>[] };

export interface MadeColumns {
  readonly events: MadeBlock;
  /** Null: the views make them. */
  readonly states: { readonly rollups: MadeBlock; readonly devices: MadeBlock } | null;
  /** See `BatchBlocks`. */
  readonly rollupBytes: number;
}

export type ColumnReply =
  | { readonly id: number; readonly ok: true; readonly made: MadeColumns }
  | { readonly id: number; readonly ok: false; readonly message: string };
