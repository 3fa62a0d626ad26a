import { textOf } from "../../../base/error-text.ts";

/** A row as it is from now on; null: it is no more. */
export interface SharedRow {
  readonly table: string;
  readonly key: string;
  readonly row: string | null;
}

/** What is written in one step. */
export interface SharedCommit {
  readonly rows: readonly SharedRow[];
  readonly places: ReadonlyMap<number, string>;
}

interface Waiting {
  readonly rows: Map<string, SharedRow>;
  places: ReadonlyMap<number, string>;
  readonly after: { resolve: () => void; reject: (error: Error) => void }[];
}

/** The lease is gone: what was committed and not written is decided anew by whoever has it. */
export class LeaseLostError extends Error {}

const nothing = (): Waiting => ({ rows: new Map(), places: new Map(), after: [] });

/**
 * Commits of a term on their way to Redis, in order: while one is under way the next ones become one. A commit that fails, or whose
 * answer is lost, ends the term.
 */
export class CommitQueue {
  readonly #write: (commit: SharedCommit) => Promise<void>;
  readonly #onLost: (reason: string) => void;
  #waiting = nothing();
  #isWriting = false;
  #isLost = false;

  constructor(write: (commit: SharedCommit) => Promise<void>, onLost: (reason: string) => void) {
    this.#write = write;
    this.#onLost = onLost;
  }

  get isIdle(): boolean {
    return !this.#isWriting && this.#isEmpty;
  }

  get #isEmpty(): boolean {
    const { rows, places, after } = this.#waiting;
    return rows.size === 0 && places.size === 0 && after.length === 0;
  }

  add(rows: readonly SharedRow[]): void {
    for (const row of rows) this.#waiting.rows.set(`${row.table} ${row.key}`, row);
    this.#start();
  }

  /** Everything up to these entries is decided, in rows that were added before. */
  decidedUpTo(places: ReadonlyMap<number, string>): void {
    this.#waiting.places = new Map(places);
    this.#start();
  }

  /** Runs once everything that was added is written. */
  whenWritten(run: () => void): void {
    if (this.isIdle && !this.#isLost) run();
    else this.written().then(run, () => undefined);
  }

  /** Rejects with `LeaseLostError`. */
  written(): Promise<void> {
    if (this.#isLost) return Promise.reject(new LeaseLostError("the lease is gone"));
    if (this.isIdle) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.after.push({ resolve, reject });
    this.#start();
    return promise;
  }

  /** Nothing more is written, and nothing that waits for it happens. */
  lose(reason: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    for (const { reject } of this.#waiting.after) reject(new LeaseLostError(reason));
    this.#waiting = nothing();
    this.#onLost(reason);
  }

  #start(): void {
    if (this.#isWriting || this.#isLost) return;
    this.#isWriting = true;
    // After this turn: what is decided together is written together.
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#isEmpty && !this.#isLost) {
      const { rows, places, after } = this.#waiting;
      this.#waiting = nothing();
      try {
        if (rows.size > 0 || places.size > 0) await this.#write({ rows: [...rows.values()], places });
        for (const { resolve } of after) resolve();
      } catch (error) {
        const reason = textOf(error);
        for (const { reject } of after) reject(new LeaseLostError(reason));
        this.lose(reason);
      }
    }
    this.#isWriting = false;
  }
}
