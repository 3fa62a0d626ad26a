import type { PipelineDetail } from "../../contract/read.ts";
import type { Pipeline } from "../../contract/stream.ts";
import type { StoredBatch, WriterStatus } from "../../workers/protocol.ts";
import { type DeadLetter, readNewestDeadLetters } from "../../workers/writer/dead-letter.ts";
import type { IngestCounts } from "../ingest/counts.ts";
import type { Mqtt } from "../ingest/mqtt/mqtt.ts";

const batchesShown = 60;
const deadLettersShown = 20;

/** Rows of all instances since their journal began. */
export interface FleetCounts {
  readonly durable: number;
  readonly stored: number;
  readonly deadLettered: number;
}

export interface PipelineDeps {
  readonly counts: () => IngestCounts;
  /** With several instances: what they have together; null without. */
  readonly fleet?: () => FleetCounts | null;
  readonly ring: () => { usedBytes: number; capacityBytes: number };
  readonly streams: () => number;
  /** Null where there is no broker. */
  readonly mqtt: () => Pick<Mqtt, "state" | "deadLetters"> | null;
  readonly closing: () => boolean;
  readonly parts: () => Promise<Pick<PipelineDetail, "parts" | "clickhouse_version">>;
  readonly now: () => number;
}

export interface PipelineOptions {
  readonly journalMaxBytes: number;
  readonly deadLetterDirectory: string;
  readonly version: string;
}

export interface PipelineFigures {
  readonly journalBytes: number;
  readonly journalMaxBytes: number;
  readonly segments: number;
  readonly retries: number;
  /** Inserts wait because the disk is nearly full. */
  readonly insertsPaused: boolean;
  /** Of all runs, as far as they are on disk. */
  readonly deadLetters: number;
}

/** What the writer thread and the front door report, put together for the stream, `/readyz` and the operator. */
export interface PipelineState {
  /** Rows that an earlier run left: this process answers for them too. */
  recovered(rows: number, deadLetters: number): void;
  stored(batch: StoredBatch): void;
  status(status: WriterStatus): void;
  current(): Pipeline;
  detail(): Promise<PipelineDetail>;
  /** What is not in `current` and costs nothing to read. */
  figures(): PipelineFigures;
  /** Why nothing can be accepted, and what is wrong although it can; in words. */
  readiness(): { refusing: string[]; degraded: string[] };
  readonly batches: readonly StoredBatch[];
}

export function createPipelineState(deps: PipelineDeps, options: PipelineOptions): PipelineState {
  const startedMs = deps.now();
  const batches: StoredBatch[] = [];
  let recoveredRows = 0;
  let storedRows = 0;
  let deadLettered = 0;
  /** Dead letters of all runs, for the operator; the stream counts this run's, so that its sums agree. */
  let deadLettersBefore = 0;
  let status: WriterStatus = {
    clickhouse: "unavailable",
    retries: 0,
    lastError: null,
    journalBytes: 0,
    segments: 0,
    oldestMs: null,
    journalFailure: null,
    deadLetterFailure: null,
    diskShortage: null,
  };

  function current(): Pipeline {
    const counts = deps.counts();
    const own = { durable: recoveredRows + counts.durable, stored: storedRows, deadLettered };
    const { durable, stored, deadLettered: dead } = deps.fleet?.() ?? own;
    const pending = durable - stored - dead;
    return {
      accepted: durable + counts.accepted - counts.durable,
      durable,
      stored,
      pending,
      dead_lettered: dead,
      store_lag_seconds:
        pending === 0 || status.oldestMs === null ? 0 : Math.max(0, deps.now() - status.oldestMs) / 1000,
      clickhouse: status.clickhouse,
      // Without an error it has not been asked yet.
      starting: status.clickhouse !== "ok" && status.lastError === null,
    };
  }

  const deadLettersOnFile = (): number => deadLettersBefore + deadLettered + (deps.mqtt()?.deadLetters ?? 0);

  function readiness(): { refusing: string[]; degraded: string[] } {
    const refusing: string[] = [];
    const degraded: string[] = [];
    if (deps.closing()) refusing.push("the service is shutting down");
    if (status.journalFailure !== null) refusing.push(`the journal cannot be written: ${status.journalFailure}`);
    if (deps.counts().journalFull) refusing.push("the journal is full (JOURNAL_MAX_BYTES)");
    if (status.clickhouse !== "ok") {
      const { clickhouse, lastError } = status;
      // Without an error it has not been asked yet: the embedded engine is starting.
      degraded.push(
        lastError === null ? "ClickHouse is starting" : `ClickHouse is ${clickhouse}: ${lastError.message}`,
      );
    }
    if (status.diskShortage !== null) degraded.push(`inserting waits: ${status.diskShortage}`);
    if (status.deadLetterFailure !== null) degraded.push(`inserting waits: ${status.deadLetterFailure}`);
    const mqtt = deps.mqtt()?.state();
    if (mqtt?.state === "connecting") degraded.push(`MQTT: not connected: ${mqtt.last_error ?? "it has just begun"}`);
    if (mqtt?.waiting_for) degraded.push(`MQTT: messages wait: ${mqtt.waiting_for}`);
    if (deadLettered > 0) degraded.push(`${deadLettered} events were dead-lettered since the start`);
    return { refusing, degraded };
  }

  return {
    recovered(rows, deadLetters) {
      recoveredRows = rows;
      deadLettersBefore = deadLetters;
    },
    stored(batch) {
      storedRows += batch.rows - batch.deadLettered;
      deadLettered += batch.deadLettered;
      batches.push(batch);
      if (batches.length > batchesShown) batches.shift();
    },
    status(next) {
      status = next;
    },
    current,
    readiness,
    batches,
    figures: () => ({
      journalBytes: status.journalBytes,
      journalMaxBytes: options.journalMaxBytes,
      segments: status.segments,
      retries: status.retries,
      insertsPaused: status.diskShortage !== null,
      deadLetters: deadLettersOnFile(),
    }),
    async detail() {
      const { refusing, degraded } = readiness();
      const { usedBytes, capacityBytes } = deps.ring();
      const nowMs = deps.now();
      return {
        ...current(),
        uptime_seconds: (nowMs - startedMs) / 1000,
        version: options.version,
        ready: refusing.length === 0,
        reasons: [...refusing, ...degraded],
        journal: {
          bytes: status.journalBytes,
          max_bytes: options.journalMaxBytes,
          segments: status.segments,
          oldest_seconds: status.oldestMs === null ? 0 : Math.max(0, nowMs - status.oldestMs) / 1000,
        },
        ring: { bytes: usedBytes, max_bytes: capacityBytes },
        batches: batches.map((batch) => ({
          stored_at: new Date(batch.storedAtMs).toISOString(),
          rows: batch.rows,
          bytes: batch.bytes,
          insert_seconds: batch.insertMs / 1000,
          attempts: batch.attempts,
        })),
        retries: status.retries,
        last_error:
          status.lastError === null
            ? null
            : {
                at: new Date(status.lastError.atMs).toISOString(),
                message: status.lastError.message,
                code: status.lastError.code === null ? null : String(status.lastError.code),
              },
        dead_letters: deadLetters(deadLettersOnFile(), options.deadLetterDirectory),
        streams: deps.streams(),
        mqtt: deps.mqtt()?.state() ?? null,
        ...(await deps.parts()),
      };
    },
  };
}

function deadLetters(count: number, directory: string): PipelineDetail["dead_letters"] {
  const newest: DeadLetter[] = count === 0 ? [] : readNewestDeadLetters(directory, deadLettersShown);
  return { count, newest: newest.map(({ at, reason, event }) => ({ at, reason, event })) };
}
