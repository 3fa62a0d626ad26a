import { backoffMs } from "../../base/backoff.ts";
import type { LogFields, LogLevel } from "../../base/log.ts";
import { decodeRow, RowBinaryReader } from "../../contract/row.ts";
import type { ClickHouseState } from "../../contract/stream.ts";
import { applySchema } from "../../ddl/apply.ts";
import { type ProgressRecord, rangeName } from "../journal/batch-progress.ts";
import type { Batch, RowRange } from "../journal/journal.ts";
import type { RowStore } from "../row-store.ts";
import type { DeadLetterFile } from "./dead-letter.ts";
import { classifyFailure, type Failure } from "./failure.ts";
import { estimateRollupBytes, rollupBytesMax, rollupGroupsSafe } from "./rollup-memory.ts";

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
  /**
   * Tries until ClickHouse has every row that it will take; undefined when `stopping` became true first. `groupsMax`: at least
   * as many as the (second, event type) groups of its rows, where that is known.
   */
  store(
    batch: Batch,
    stopping: () => boolean,
    groupsMax?: number,
  ): Promise<{ deadLettered: number; attempts: number } | undefined>;
  /** Looks whether ClickHouse answers, and brings the schema up when that has not been done. Never throws. */
  probe(): Promise<void>;
  readonly state: ClickHouseState;
  readonly retries: number;
  readonly lastError: { atMs: number; message: string; code: number | null } | null;
  /** Why a row that ClickHouse refuses cannot be put aside; inserting waits for it. */
  readonly deadLetterFailure: string | null;
  /** Why the disk has no room for an insert; inserting waits for it. Absent where the disk is not ours. */
  readonly diskShortage?: string | null;
}

/** Thrown through the recursion when the writer has to stop in the middle of a batch. */
class StopRequested extends Error {}

/** A slow link must be able to finish a large batch at some time: the deadline grows with the attempts, up to this factor. */
const maxDeadlineFactor = 10;
const probeTimeoutMs = 2_000;
/**
 * A batch with thousands of refused rows takes more inserts than ClickHouse remembers tokens (10,000, see ddl/). So how far
 * it has come is recorded after this many, and a repetition after a crash sends only what is certainly remembered.
 */
const insertsPerMark = 500;

async function readRange(batch: Batch, range: RowRange): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of batch.body(range) as AsyncIterable<Uint8Array>) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

const letterId = (batch: Batch, row: number): string => `${batch.token}:${row}`;

/** Brings one batch into ClickHouse: schema first, retry by class of failure, bisection down to the rows that are refused. */
export function createInserter(deps: InserterDeps, options: InserterOptions): Inserter {
  const { store, deadLetters, log } = deps;
  let state: ClickHouseState = "unavailable";
  let retries = 0;
  let lastError: Inserter["lastError"] = null;
  let deadLetterFailure: string | null = null;
  let schemaApplied = false;
  /** Two batches may find at once that it is missing. */
  let applying: Promise<unknown> | undefined;

  /** It begins as "unavailable", which is news all the same once it is why nothing comes through. */
  let announced = false;
  const setState = (next: ClickHouseState): void => {
    if (next === state && announced) return;
    const isFirst = !announced;
    announced = true;
    state = next;
    // At first it may only be on its way up, as the embedded engine is.
    const level = next === "ok" ? "info" : isFirst && next === "unavailable" ? "warn" : "error";
    log(level, `ClickHouse is ${next}`, next === "ok" ? {} : { error: lastError?.message });
    deps.onStatus();
  };

  const note = (failure: Failure): void => {
    const isNews = state === "ok" || lastError?.message !== failure.message;
    lastError = { atMs: deps.now(), message: failure.message, code: failure.code };
    if (failure.class === "unknown" && isNews) {
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
    applying ??= applySchema({ client: store.client, database, retentionDays, cluster }).finally(() => {
      applying = undefined;
    });
    await applying;
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

  /**
   * Always the same path through a batch, whatever crashed on the way: ranges from left to right, each under a token of its
   * own, split where ClickHouse refuses. What an earlier attempt settled is not sent again, as far as it is on record.
   */
  async function storeRange(batch: Batch, range: RowRange, progress: Progress): Promise<Tally> {
    if (range.to <= progress.settled) return { deadLettered: lettersIn(batch, range), attempts: 0 };
    const isLeaf = range.to - range.from === 1;
    // It may have become acceptable meanwhile, but somebody may have replayed the letter, too.
    if (isLeaf && deadLetters.has(letterId(batch, range.from))) return { deadLettered: 1, attempts: 0 };
    let attempts = 0;
    // A range that was split once is never sent whole again: its halves may be in ClickHouse under their own tokens.
    if (batch.progress.isSplit(range)) {
      // Its halves follow.
    } else if (!isLeaf && (await isTooMuch(batch, range, progress))) {
      await record(batch, { kind: "split", range }, progress);
    } else {
      const whole = range.from === 0 && range.to === batch.rowCount;
      const token = whole ? batch.token : `${batch.token}/${rangeName(range)}`;
      const result = await persist(
        (count) =>
          store.insert(
            { batch, range: whole ? null : range },
            token,
            options.insertTimeoutMs * Math.min(count, maxDeadlineFactor),
          ),
        progress.stopping,
      );
      attempts = result.attempts;
      if (!result.rejected) {
        progress.inserts++;
        if (!whole && progress.inserts % insertsPerMark === 0)
          await record(batch, { kind: "settled", before: range.to }, progress);
        return { deadLettered: 0, attempts };
      }
      if (isLeaf) {
        await deadLetter(batch, range, result.rejected, progress.stopping);
        return { deadLettered: 1, attempts };
      }
      await record(batch, { kind: "split", range }, progress);
    }
    const middle = range.from + Math.floor((range.to - range.from) / 2);
    const left = await storeRange(batch, { from: range.from, to: middle }, progress);
    const right = await storeRange(batch, { from: middle, to: range.to }, progress);
    return {
      deadLettered: left.deadLettered + right.deadLettered,
      attempts: attempts + left.attempts + right.attempts,
    };
  }

  /**
   * Whether the rollups of these rows may take more memory than ClickHouse has: a day's readings of the second, sent at once, or
   * thousands of types. Such an insert fails in a view, behind the raw rows, and would for ever; to split it then would store the
   * raw rows twice. So it is split before it is sent. Always the same answer for the same rows, or a crash would do that.
   */
  async function isTooMuch(batch: Batch, range: RowRange, { groupsMax, stopping }: Progress): Promise<boolean> {
    if (Math.min(groupsMax, range.to - range.from) <= rollupGroupsSafe) return false;
    const bytes = await insist(
      "a batch cannot be read",
      () => estimateRollupBytes(batch.body(range), rollupBytesMax),
      stopping,
    );
    if (bytes <= rollupBytesMax) return false;
    log("debug", "rows are inserted in two parts: together their rollups take too much memory", {
      rows: range.to - range.from,
    });
    return true;
  }

  /** Until it is on record nothing may go on: without it, another path would be taken after a crash. */
  function record(batch: Batch, what: ProgressRecord, progress: Progress): Promise<void> {
    return insist("a split cannot be recorded", () => batch.record(what), progress.stopping);
  }

  /** The journal's disk may fail for a while. */
  async function insist<T>(failing: string, action: () => T | Promise<T>, stopping: () => boolean): Promise<T> {
    for (let count = 1; ; count++) {
      if (stopping()) throw new StopRequested();
      try {
        return await action();
      } catch (error) {
        lastError = { atMs: deps.now(), message: `${failing}: ${String(error)}`, code: null };
        log("error", lastError.message);
        deps.onStatus();
      }
      await deps.pause(backoffMs(count, deps.random));
    }
  }

  function lettersIn(batch: Batch, range: RowRange): number {
    let letters = 0;
    for (let row = range.from; row < range.to; row++) if (deadLetters.has(letterId(batch, row))) letters++;
    return letters;
  }

  async function deadLetter(batch: Batch, range: RowRange, failure: Failure, stopping: () => boolean): Promise<void> {
    const row = await insist("a batch cannot be read", () => readRange(batch, range), stopping);
    const letter = {
      id: letterId(batch, range.from),
      at: new Date(deps.now()).toISOString(),
      code: failure.code,
      reason: failure.message,
      event: decodeRow(new RowBinaryReader(row)),
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
    const before = deadLetterFailure;
    try {
      deadLetterFailure = deadLetters.tryAppend(letter)
        ? null
        : "the dead-letter directory is full (DEAD_LETTER_MAX_BYTES); replay or remove letters";
    } catch (error) {
      deadLetterFailure = `dead letters cannot be written: ${String(error)}`;
    }
    if (deadLetterFailure !== null) {
      lastError = { atMs: deps.now(), message: deadLetterFailure, code: null };
      if (deadLetterFailure !== before) log("error", deadLetterFailure);
    }
    if (deadLetterFailure !== before) deps.onStatus();
    return deadLetterFailure === null;
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
    get deadLetterFailure() {
      return deadLetterFailure;
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
    async store(batch, stopping, groupsMax = Number.POSITIVE_INFINITY) {
      try {
        const progress = { stopping, groupsMax, settled: batch.progress.settledBefore, inserts: 0 };
        return await storeRange(batch, { from: 0, to: batch.rowCount }, progress);
      } catch (error) {
        if (error instanceof StopRequested) return undefined;
        throw error;
      }
    },
  };
}

interface Progress {
  readonly stopping: () => boolean;
  readonly groupsMax: number;
  /** Rows before this one are in ClickHouse, or dead letters. */
  readonly settled: number;
  /** Confirmed in this attempt. */
  inserts: number;
}

interface Tally {
  readonly deadLettered: number;
  readonly attempts: number;
}
