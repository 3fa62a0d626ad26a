import { applySchema } from "../../ddl/apply.ts";
import { decodeRow, RowBinaryReader } from "../../server/contract/row.ts";
import type { ClickHouseState } from "../../server/contract/stream.ts";
import type { LogFields, LogLevel } from "../../server/ops/log.ts";
import { type Batch, type RowRange, rangeName } from "../journal/journal.ts";
import { backoffMs } from "./backoff.ts";
import type { RowStore } from "./clickhouse.ts";
import type { DeadLetterFile } from "./dead-letter.ts";
import { classifyFailure, type Failure } from "./failure.ts";

export interface InserterDeps {
  readonly store: RowStore;
  readonly deadLetters: DeadLetterFile;
  readonly now: () => number;
  readonly random: () => number;
  /** Resolves after that many milliseconds, or at once when the writer is told to stop. */
  readonly pause: (ms: number) => Promise<void>;
  readonly log: (level: LogLevel, message: string, fields?: LogFields) => void;
  readonly onStatus: () => void;
}

export interface InserterOptions {
  readonly database: string;
  readonly retentionDays: number;
  readonly cluster: string | null;
  readonly insertTimeoutMs: number;
}

export interface Inserter {
  /** Tries until ClickHouse has every row that it will take; undefined when `stopping` became true first. */
  store(batch: Batch, stopping: () => boolean): Promise<{ deadLettered: number; attempts: number } | undefined>;
  /** Looks whether ClickHouse answers, and brings the schema up when that has not been done. Never throws. */
  probe(): Promise<void>;
  readonly state: ClickHouseState;
  readonly retries: number;
  readonly lastError: { atMs: number; message: string; code: number | null } | null;
}

/** Thrown through the recursion when the writer has to stop in the middle of a batch. */
class StopRequested extends Error {}

/** A slow link must be able to finish a large batch at some time: the deadline grows with the attempts, up to this factor. */
const maxDeadlineFactor = 10;
const probeTimeoutMs = 2_000;

/** Brings one batch into ClickHouse: schema first, retry by class of failure, bisection down to the rows that are refused. */
export function createInserter(deps: InserterDeps, options: InserterOptions): Inserter {
  const { store, deadLetters, log } = deps;
  let state: ClickHouseState = "unavailable";
  let retries = 0;
  let lastError: Inserter["lastError"] = null;
  let schemaApplied = false;

  const setState = (next: ClickHouseState): void => {
    if (next === state) return;
    state = next;
    log(next === "ok" ? "info" : "error", `ClickHouse is ${next}`, next === "ok" ? {} : { error: lastError?.message });
    deps.onStatus();
  };

  const note = (failure: Failure): void => {
    lastError = { atMs: deps.now(), message: failure.message, code: failure.code };
    if (failure.class === "unknown") {
      log("error", "ClickHouse failed in a way that Sluice does not know; trying again", {
        code: failure.code,
        error: failure.message,
      });
    }
    if (failure.class === "denied") setState("denied");
    else if (failure.class !== "rejected") setState("unavailable");
    deps.onStatus();
  };

  async function ensureSchema(): Promise<void> {
    if (schemaApplied) return;
    const { database, retentionDays, cluster } = options;
    await applySchema({ client: store.client, database, retentionDays, cluster });
    schemaApplied = true;
  }

  /** Calls `attempt` until it succeeds or ClickHouse rejects the data. */
  async function persist(
    attempt: (count: number) => Promise<void>,
    stopping: () => boolean,
  ): Promise<{ rejected: Failure | undefined; attempts: number }> {
    for (let count = 1; ; count++) {
      if (stopping()) throw new StopRequested();
      try {
        await ensureSchema();
        await attempt(count);
        setState("ok");
        return { rejected: undefined, attempts: count };
      } catch (error) {
        const failure = classifyFailure(error);
        note(failure);
        if (failure.class === "rejected" && schemaApplied) {
          setState("ok");
          return { rejected: failure, attempts: count };
        }
        if (failure.schemaMissing) schemaApplied = false;
        retries++;
        store.failOver();
        await deps.pause(backoffMs(count, deps.random));
      }
    }
  }

  async function storeRange(batch: Batch, range: RowRange, stopping: () => boolean): Promise<Tally> {
    const whole = range.from === 0 && range.to === batch.rowCount;
    let attempts = 0;
    // A range that was split once is never sent whole again: its halves may be in ClickHouse under their own tokens.
    if (!batch.splits.has(rangeName(range))) {
      const token = whole ? batch.token : `${batch.token}/${rangeName(range)}`;
      const result = await persist(
        (count) =>
          store.insert(
            whole ? batch.body() : batch.body(range),
            token,
            options.insertTimeoutMs * Math.min(count, maxDeadlineFactor),
          ),
        stopping,
      );
      attempts = result.attempts;
      if (!result.rejected) return { deadLettered: 0, attempts };
      if (range.to - range.from === 1) {
        await deadLetter(batch, range, result.rejected, stopping);
        return { deadLettered: 1, attempts };
      }
      await batch.recordSplit(range);
    }
    const middle = range.from + Math.floor((range.to - range.from) / 2);
    const left = await storeRange(batch, { from: range.from, to: middle }, stopping);
    const right = await storeRange(batch, { from: middle, to: range.to }, stopping);
    return {
      deadLettered: left.deadLettered + right.deadLettered,
      attempts: attempts + left.attempts + right.attempts,
    };
  }

  async function deadLetter(batch: Batch, range: RowRange, failure: Failure, stopping: () => boolean): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of batch.body(range) as AsyncIterable<Uint8Array>) chunks.push(chunk.slice());
    const letter = {
      id: `${batch.token}:${range.from}`,
      at: new Date(deps.now()).toISOString(),
      code: failure.code,
      reason: failure.message,
      event: decodeRow(new RowBinaryReader(Buffer.concat(chunks))),
    };
    for (let count = 1; !writeLetter(letter); count++) {
      if (stopping()) throw new StopRequested();
      await deps.pause(backoffMs(count, deps.random));
    }
    log("warn", "an event was dead-lettered", {
      device_id: letter.event.device_id,
      event_type: letter.event.event_type,
      reason: failure.message,
    });
  }

  function writeLetter(letter: Parameters<DeadLetterFile["tryAppend"]>[0]): boolean {
    try {
      if (deadLetters.tryAppend(letter)) {
        deadLetters.sync();
        return true;
      }
      lastError = {
        atMs: deps.now(),
        message: "the dead-letter directory is full (DEAD_LETTER_MAX_BYTES)",
        code: null,
      };
    } catch (error) {
      lastError = { atMs: deps.now(), message: `dead letters cannot be written: ${String(error)}`, code: null };
    }
    log("error", lastError.message);
    deps.onStatus();
    return false;
  }

  return {
    get state() {
      return state;
    },
    get retries() {
      return retries;
    },
    get lastError() {
      return lastError;
    },
    async probe() {
      try {
        await ensureSchema();
        await store.query("SELECT 1 FORMAT RowBinary", probeTimeoutMs);
        setState("ok");
      } catch (error) {
        const failure = classifyFailure(error);
        if (failure.schemaMissing) schemaApplied = false;
        note(failure);
        store.failOver();
      }
    },
    async store(batch, stopping) {
      try {
        return await storeRange(batch, { from: 0, to: batch.rowCount }, stopping);
      } catch (error) {
        if (error instanceof StopRequested) return undefined;
        throw error;
      }
    },
  };
}

interface Tally {
  readonly deadLettered: number;
  readonly attempts: number;
}
