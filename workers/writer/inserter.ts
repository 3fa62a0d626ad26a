import { type ProgressRecord, rangeName } from "../journal/batch-progress.ts";
import type { Batch, RowRange } from "../journal/journal.ts";
import type { WriterStatus } from "../protocol.ts";
import { Attempts, type SchemaOptions, StopRequested } from "./attempts.ts";
import { DeadLettering, type DeadLetteringDeps } from "./dead-lettering.ts";

export interface InserterOptions extends SchemaOptions {
  readonly insertTimeoutMs: number;
}

export interface Inserter {
  /** Tries until ClickHouse has every row that it will take; undefined when `stopping` became true first. */
  store(batch: Batch, stopping: () => boolean): Promise<{ deadLettered: number; attempts: number } | undefined>;
  /** Looks whether ClickHouse answers, and brings the schema up when that has not been done. Never throws. */
  probe(): Promise<void>;
  readonly state: WriterStatus["clickhouse"];
  readonly retries: number;
  readonly lastError: WriterStatus["lastError"];
  /** Why a row that ClickHouse refuses cannot be put aside; inserting waits for it. */
  readonly deadLetterFailure: string | null;
  /** Why the disk has no room for an insert; inserting waits for it. Absent where the disk is not ours. */
  readonly diskShortage?: string | null;
}

/** A slow link must be able to finish a large batch at some time: the deadline grows with the attempts, up to this factor. */
const maxDeadlineFactor = 10;
/**
 * A batch with thousands of refused rows takes more inserts than ClickHouse remembers tokens (10,000, see ddl/). So how far
 * it has come is recorded after this many, and a repetition after a crash sends only what is certainly remembered.
 */
const insertsPerMark = 500;

/** One way of a batch into ClickHouse. */
interface Progress {
  readonly batch: Batch;
  readonly stopping: () => boolean;
  /** Rows before this one are in ClickHouse, or dead letters. */
  readonly settled: number;
  /** Confirmed in this attempt. */
  inserts: number;
}

interface Tally {
  readonly deadLettered: number;
  readonly attempts: number;
}

/** Brings one batch into ClickHouse: schema first, retry by class of failure, bisection down to the rows that are refused. */
export function createInserter(deps: DeadLetteringDeps, options: InserterOptions): Inserter {
  const attempts = new Attempts(deps, options);
  const letters = new DeadLettering(deps, attempts);
  const bisection = new Bisection(deps, attempts, letters, options.insertTimeoutMs);
  return {
    get state() {
      return attempts.state;
    },
    get retries() {
      return attempts.retries;
    },
    get lastError() {
      return attempts.lastError;
    },
    get deadLetterFailure() {
      return letters.failure;
    },
    probe: () => attempts.probe(),
    async store(batch, stopping) {
      try {
        const progress = { batch, stopping, settled: batch.progress.settledBefore, inserts: 0 };
        return await bisection.store({ from: 0, to: batch.rowCount }, progress);
      } catch (error) {
        if (error instanceof StopRequested) return undefined;
        throw error;
      }
    },
  };
}

/**
 * Always the same path through a batch, whatever crashed on the way: ranges from left to right, each under a token of its
 * own, split where ClickHouse refuses. What an earlier attempt settled is not sent again, as far as it is on record.
 */
class Bisection {
  readonly #deps: DeadLetteringDeps;
  readonly #attempts: Attempts;
  readonly #letters: DeadLettering;
  readonly #insertTimeoutMs: number;

  constructor(deps: DeadLetteringDeps, attempts: Attempts, letters: DeadLettering, insertTimeoutMs: number) {
    this.#deps = deps;
    this.#attempts = attempts;
    this.#letters = letters;
    this.#insertTimeoutMs = insertTimeoutMs;
  }

  async store(range: RowRange, progress: Progress): Promise<Tally> {
    const { batch, stopping } = progress;
    if (range.to <= progress.settled) return { deadLettered: this.#letters.countIn(batch, range), attempts: 0 };
    const isLeaf = range.to - range.from === 1;
    // It may have become acceptable meanwhile, but somebody may have replayed the letter, too.
    if (isLeaf && this.#letters.has(batch, range.from)) return { deadLettered: 1, attempts: 0 };
    let attempts = 0;
    // A range that was split once is never sent whole again: its halves may be in ClickHouse under their own tokens.
    if (!batch.progress.isSplit(range)) {
      const result = await this.#insert(range, progress);
      attempts = result.attempts;
      if (result.outcome === "stored") return { deadLettered: 0, attempts };
      if (result.outcome === "too_large") {
        const message = "rows are inserted in two parts: together their rollups take too much memory";
        this.#deps.log("debug", message, { rows: range.to - range.from });
      } else if (isLeaf) {
        await this.#letters.put(batch, range, result.outcome, stopping);
        return { deadLettered: 1, attempts };
      }
      await this.#record({ kind: "split", range }, progress);
    }
    const middle = range.from + Math.floor((range.to - range.from) / 2);
    const left = await this.store({ from: range.from, to: middle }, progress);
    const right = await this.store({ from: middle, to: range.to }, progress);
    return {
      deadLettered: left.deadLettered + right.deadLettered,
      attempts: attempts + left.attempts + right.attempts,
    };
  }

  async #insert(range: RowRange, progress: Progress): ReturnType<Attempts["persist"]> {
    const { batch, stopping } = progress;
    const isWhole = range.from === 0 && range.to === batch.rowCount;
    const token = isWhole ? batch.token : `${batch.token}/${rangeName(range)}`;
    const part = { batch, range: isWhole ? null : range };
    const result = await this.#attempts.persist(
      (count) => this.#deps.store.insert(part, token, this.#insertTimeoutMs * Math.min(count, maxDeadlineFactor)),
      stopping,
    );
    if (result.outcome !== "stored") return result;
    progress.inserts++;
    if (!isWhole && progress.inserts % insertsPerMark === 0) {
      await this.#record({ kind: "settled", before: range.to }, progress);
    }
    return result;
  }

  /** Until it is on record nothing may go on: without it, another path would be taken after a crash. */
  #record(what: ProgressRecord, { batch, stopping }: Progress): Promise<void> {
    return this.#attempts.insist("a split cannot be recorded", () => batch.record(what), stopping);
  }
}
