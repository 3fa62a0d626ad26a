import { backoffMs } from "../../base/backoff.ts";
import type { Log } from "../../base/log.ts";
import type { ClickHouseState } from "../../contract/stream.ts";
import { applySchema } from "../../ddl/apply.ts";
import type { WriterStatus } from "../protocol.ts";
import type { InsertOutcome, RowStore } from "../row-store.ts";
import { classifyFailure, type Failure } from "./failure.ts";

export interface AttemptsDeps {
  readonly store: RowStore;
  readonly now: () => number;
  readonly random: () => number;
  /** Resolves after that many milliseconds, or at once when the writer is told to stop. */
  readonly pause: (ms: number) => Promise<void>;
  readonly log: Log;
  readonly onStatus: () => void;
}

export interface SchemaOptions {
  readonly database: string;
  readonly retentionDays: number;
  readonly cluster: string | null;
}

/** Thrown out of whatever is tried again and again when the writer has to stop in the middle of a batch. */
export class StopRequested extends Error {}

const probeTimeoutMs = 2_000;

/**
 * What an inserter tries until it succeeds, and what is known of ClickHouse from trying. The schema comes first, and again
 * when it turns out to be missing. Two batches may be tried at once.
 */
export class Attempts {
  retries = 0;
  lastError: WriterStatus["lastError"] = null;
  readonly #deps: AttemptsDeps;
  readonly #schema: SchemaOptions;
  #schemaApplied = false;
  /** Two batches may find at once that it is missing. */
  #applying: Promise<unknown> | undefined;
  #state: ClickHouseState = "unavailable";
  /** It begins as "unavailable", which is news all the same once it is why nothing comes through. */
  #isAnnounced = false;

  constructor(deps: AttemptsDeps, schema: SchemaOptions) {
    this.#deps = deps;
    this.#schema = schema;
  }

  get state(): ClickHouseState {
    return this.#state;
  }

  /** Calls `attempt` until it succeeds or ClickHouse rejects the data. */
  async persist(
    attempt: (count: number) => Promise<InsertOutcome>,
    stopping: () => boolean,
  ): Promise<{ outcome: InsertOutcome | Failure; attempts: number }> {
    for (let count = 1; ; count++) {
      if (stopping()) throw new StopRequested();
      try {
        await this.#ensureSchema();
        const outcome = await attempt(count);
        if (outcome === "stored") this.#setState("ok");
        return { outcome, attempts: count };
      } catch (error) {
        const failure = classifyFailure(error);
        this.#note(failure);
        if (failure.class === "rejected" && this.#schemaApplied) {
          this.#setState("ok");
          return { outcome: failure, attempts: count };
        }
        if (failure.schemaMissing) this.#schemaApplied = false;
        this.retries++;
        this.#deps.store.failOver();
        await this.backOff(count);
      }
    }
  }

  /** What is not ClickHouse's to do: the journal's disk may fail for a while. */
  async insist<T>(failing: string, action: () => T | Promise<T>, stopping: () => boolean): Promise<T> {
    for (let count = 1; ; count++) {
      if (stopping()) throw new StopRequested();
      try {
        return await action();
      } catch (error) {
        const message = `${failing}: ${String(error)}`;
        this.setError(message);
        this.#deps.log("error", message);
        this.#deps.onStatus();
      }
      await this.backOff(count);
    }
  }

  backOff(count: number): Promise<void> {
    return this.#deps.pause(backoffMs(count, this.#deps.random));
  }

  setError(message: string, code: number | null = null): void {
    this.lastError = { atMs: this.#deps.now(), message, code };
  }

  /** Looks whether ClickHouse answers, and brings the schema up when that has not been done. Never throws. */
  async probe(): Promise<void> {
    const { store } = this.#deps;
    try {
      await this.#ensureSchema();
      await store.query("SELECT 1 FORMAT RowBinary", probeTimeoutMs);
      this.#setState("ok");
    } catch (error) {
      const failure = classifyFailure(error);
      if (failure.schemaMissing) this.#schemaApplied = false;
      this.#note(failure);
      store.failOver();
    }
  }

  async #ensureSchema(): Promise<void> {
    if (this.#schemaApplied) return;
    this.#applying ??= applySchema({ client: this.#deps.store.client, ...this.#schema }).finally(() => {
      this.#applying = undefined;
    });
    await this.#applying;
    this.#schemaApplied = true;
  }

  #note(failure: Failure): void {
    const { log, onStatus } = this.#deps;
    const isNews = this.#state === "ok" || this.lastError?.message !== failure.message;
    this.setError(failure.message, failure.code);
    if (failure.class === "unknown" && isNews) {
      const about = { code: failure.code, error: failure.message };
      log("error", "ClickHouse failed in a way that Sluice does not know; trying again", about);
    }
    if (failure.class === "denied") this.#setState("denied");
    else if (failure.class !== "rejected") this.#setState("unavailable");
    onStatus();
  }

  #setState(next: ClickHouseState): void {
    if (next === this.#state && this.#isAnnounced) return;
    const isFirst = !this.#isAnnounced;
    this.#isAnnounced = true;
    this.#state = next;
    // At first it may only be on its way up, as the embedded engine is.
    const level = next === "ok" ? "info" : isFirst && next === "unavailable" ? "warn" : "error";
    this.#deps.log(level, `ClickHouse is ${next}`, next === "ok" ? {} : { error: this.lastError?.message });
    this.#deps.onStatus();
  }
}
