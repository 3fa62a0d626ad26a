import type { Readable } from "node:stream";
import type { BatchProgress, ProgressRecord, RowRange } from "./batch-progress.ts";

export type { RowRange } from "./batch-progress.ts";

/**
 * The hand-off between acceptance and ClickHouse: what `append` returned as durable is among `sealed`, or in `open`, until
 * it is committed, across crashes, always in the same batches under the same tokens. `disk.ts` has it in segment files. Over
 * Redis there is a writer of its own (`workers/redis`), which shares `Batch` with this one.
 */
export interface Journal {
  /** Makes the group durable as a whole, or refuses it as a whole. Epochs of a group never exceed what `seal` waits for. */
  append(group: FrameGroup): AppendResult | Promise<AppendResult>;

  /** What the open batch holds; rows 0 when there is none. */
  readonly open: OpenBatch;

  /**
   * Ends the open batch: it gets a token, will be handed out, and never changes again. No-op when it is empty. `append` may
   * do the same by itself, where a failing disk does not let a batch go on.
   */
  seal(): void;

  /** Sealed batches not yet committed, oldest first. The same objects until they are committed. */
  readonly sealed: readonly Batch[];

  /** The batch is in ClickHouse (or its rows dead-lettered): forget it durably. Keys it carried stay remembered. */
  commit(batch: Batch): void | Promise<void>;

  /** Bytes on disk that count against JOURNAL_MAX_BYTES. */
  readonly bytes: number;

  close(): void | Promise<void>;
}

/** What one drain of the ring gathered. */
export interface FrameGroup {
  /** Rows in RowBinary, one request's after the other's. */
  readonly rows: Uint8Array;
  readonly rowCount: number;
  /** Idempotency records, newline-separated JSON (see `idempotency-keys.ts`); empty for most groups. */
  readonly meta: Uint8Array;
  /** The newest epoch among the frames. */
  readonly epoch: number;
  /** Epoch milliseconds, for the age of batches. */
  readonly atMs: number;
}

export type AppendResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: "journal_full" | "journal_failed"; readonly message: string };

export interface OpenBatch {
  readonly rowCount: number;
  readonly bytes: number;
  /** When its first row was appended, epoch milliseconds. */
  readonly sinceMs: number;
  readonly epoch: number;
}

export interface Batch {
  /** The deduplication token: journal id and batch number; the same after any crash. */
  readonly token: string;
  readonly rowCount: number;
  /** Bytes of rows, without framing. */
  readonly bytes: number;
  readonly sinceMs: number;
  /** Newest epoch it holds; 0 for a batch that an earlier run left. */
  readonly epoch: number;
  /** The rows, RowBinary, byte-identical each time. With a range: only rows `from` up to, not including, `to`. */
  body(range?: RowRange): Readable;
  /** Where another thread finds what `body` gives; null: only `body` does. */
  readonly place: RowPlace | null;
  /**
   * Whether Sluice makes the rollups' states of these rows where it can, instead of ClickHouse's views. Fixed when the batch is
   * begun: it decides under which tokens the rows go in, so a batch that an older release left is retried as it was tried.
   */
  readonly ownStates: boolean;
  /** How far it has come on its way into ClickHouse, as far as that is on record. */
  readonly progress: BatchProgress;
  /** Durable when it returns, or resolves. When it fails, the record may be there or not. */
  record(record: ProgressRecord): void | Promise<void>;
}

/** Rows in a file of frames. */
export interface RowPlace {
  readonly path: string;
  readonly seed: number;
  readonly extents: readonly { readonly start: number; readonly end: number }[];
  /** Of the whole file. */
  readonly rowCount: number;
}

/** Rows of a batch that go into ClickHouse together. */
export interface BatchPart {
  readonly batch: Batch;
  /** Null: all of them. */
  readonly range: RowRange | null;
}

/** An idempotency key and the answer that it got. */
export interface KeyRecord {
  /** Ingest key name, a NUL, and the Idempotency-Key. */
  readonly key: string;
  readonly atMs: number;
  /** The answer's body, JSON text. */
  readonly answer: string;
}
