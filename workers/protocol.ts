import type { LogFields, LogLevel } from "../base/log.ts";
import type { ClickHouseState } from "../contract/stream.ts";
import type { SnapshotResult } from "./backup/snapshot.ts";
import type { ClickHouseAddress } from "./clickhouse-client.ts";
import type { KeyRecord } from "./journal/journal.ts";
import type { RingMemory } from "./ring/ring.ts";

/** The shared journal, instead of the one in `journalDirectory`. */
export interface RedisOptions {
  readonly url: string;
  /** This process, and never another one. */
  readonly instance: string;
  /** Streams that devices are spread over; the first instance ever decides. */
  readonly shards: number;
  /** Whether this process inserts into ClickHouse, too. */
  readonly inserts: boolean;
}

/** What the writer thread is started with. */
export interface WriterOptions {
  readonly ring: RingMemory;
  readonly dataDirectory: string;
  readonly journalDirectory: string;
  readonly journalMaxBytes: number;
  readonly deadLetterDirectory: string;
  readonly deadLetterMaxBytes: number;
  readonly batchRows: number;
  readonly segmentMaxBytes: number;
  readonly flushIntervalMs: number;
  readonly segmentMaxAgeMs: number;
  /** See `DiskJournalOptions`. */
  readonly ownStatesRows: number;
  readonly insertTimeoutMs: number;
  readonly retentionDays: number;
  /** Inserts wait while less is free on the disk of `dataDirectory`; null: the tables are on another one. */
  readonly diskReserveBytes: number | null;
  readonly redis: RedisOptions | null;
}

/** Main thread → writer thread. */
export type ToWriter =
  | { readonly type: "start"; readonly options: WriterOptions }
  /** Where ClickHouse is; sent once it is known (the embedded engine may still be starting). */
  | { readonly type: "clickhouse"; readonly address: ClickHouseAddress }
  /** Frames were published while the writer slept. */
  | { readonly type: "wake" }
  /** Run a reading statement at the next moment when no insert is under way or in doubt. */
  | { readonly type: "query"; readonly id: number; readonly sql: string }
  /** Take a snapshot under this name at the next such moment. */
  | { readonly type: "snapshot"; readonly name: string }
  /** The last chunk of recovered rows has been taken in. */
  | { readonly type: "recovered_taken" }
  /** Flush what there is; whatever is left when the time is over stays in the journal. */
  | { readonly type: "stop"; readonly timeoutMs: number };

/** Writer thread → main thread. Counts are rows; groups are reported in the order in which their frames were published. */
export type FromWriter =
  | {
      readonly type: "ready";
      /** Row counts of the batches that an earlier run left, oldest first; their epochs are 1, 2, 3 … */
      readonly recovered: readonly number[];
      readonly keys: readonly KeyRecord[];
      readonly deadLetters: number;
      /** Of the journal; 1 on disk. */
      readonly shards: number;
    }
  | { readonly type: "failed"; readonly message: string }
  | {
      readonly type: "durable";
      readonly rows: number;
      /** With Redis: the cut of each shard that holds them; 0 where there are none. */
      readonly cuts?: readonly number[];
    }
  /** Redis does not answer, and why; null: it does again. */
  | { readonly type: "away"; readonly reason: string | null }
  /** What all instances together have, as Redis counts it; epochs up to `settledEpoch` are stored. */
  | {
      readonly type: "fleet";
      readonly storedCuts: readonly number[];
      readonly settledEpoch: number;
      readonly durable: number;
      readonly stored: number;
      readonly deadLettered: number;
    }
  | {
      readonly type: "refused";
      readonly rows: number;
      readonly reason: "journal_full" | "journal_failed";
      readonly message: string;
    }
  | { readonly type: "sealed"; readonly epoch: number }
  /** How many sealed batches wait for ClickHouse now, the one under way included; sent when it changes. */
  | { readonly type: "backlog"; readonly batches: number }
  | { readonly type: "stored"; readonly epoch: number; readonly batch: StoredBatch }
  /** A piece of an earlier run's rows (RowBinary, cut anywhere); `last` ends the epoch. */
  | {
      readonly type: "recovered_rows";
      readonly epoch: number;
      readonly rows: Uint8Array<ArrayBuffer>;
      readonly last: boolean;
    }
  | {
      readonly type: "answer";
      readonly id: number;
      readonly storedEpoch: number;
      /** With Redis: what was stored, by shard. */
      readonly storedCuts?: readonly number[];
      readonly body: Uint8Array<ArrayBuffer>;
    }
  | { readonly type: "no_answer"; readonly id: number; readonly message: string }
  | { readonly type: "snapshot"; readonly name: string; readonly result: SnapshotResult }
  | { readonly type: "status"; readonly status: WriterStatus }
  | { readonly type: "log"; readonly level: LogLevel; readonly message: string; readonly fields: LogFields }
  | { readonly type: "stopped"; readonly leftRows: number };

export interface StoredBatch {
  /** Epoch milliseconds. */
  readonly storedAtMs: number;
  readonly rows: number;
  readonly deadLettered: number;
  readonly bytes: number;
  readonly insertMs: number;
  readonly attempts: number;
}

export interface WriterStatus {
  readonly clickhouse: ClickHouseState;
  readonly retries: number;
  readonly lastError: { readonly atMs: number; readonly message: string; readonly code: number | null } | null;
  readonly journalBytes: number;
  readonly segments: number;
  /** When the oldest row that is not stored became durable, epoch milliseconds; null when there is none. */
  readonly oldestMs: number | null;
  /** The journal takes no more, and why; null while it does. */
  readonly journalFailure: string | null;
  /** Why a refused row cannot be dead-lettered, which inserting waits for; null while it can. */
  readonly deadLetterFailure: string | null;
  /** Why the disk has no room for an insert, which inserting waits for; null while it has. */
  readonly diskShortage: string | null;
}
