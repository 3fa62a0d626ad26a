import { textOf } from "../../base/error-text.ts";
import type { FromWriter } from "../protocol.ts";
import type { RowStore } from "../row-store.ts";
import type { Wakeup } from "./wakeup.ts";

/** A rollup query is cheap or it is not worth waiting for: inserts stand still meanwhile. */
const queryTimeoutMs = 10_000;

/** Runs while inserts wait. Must not throw. */
export type QuietTask = (store: RowStore, storedEpoch: number) => Promise<void>;

/**
 * What waits for a moment when every batch is either wholly in ClickHouse or not at all, so that what ClickHouse holds is
 * exactly what has been reported as stored: rollup queries and snapshots. The insert loop says when that is.
 */
export class QuietPoint {
  readonly #tasks: QuietTask[] = [];
  readonly #inserting: Wakeup;
  readonly #post: (message: FromWriter, transfer?: Transferable[]) => void;

  constructor(inserting: Wakeup, post: (message: FromWriter, transfer?: Transferable[]) => void) {
    this.#inserting = inserting;
    this.#post = post;
  }

  get isWanted(): boolean {
    return this.#tasks.length > 0;
  }

  add(task: QuietTask): void {
    this.#tasks.push(task);
    this.#inserting.wake();
  }

  query(id: number, sql: string): void {
    this.add(async (store, storedEpoch) => {
      try {
        const body = await store.query(sql, queryTimeoutMs);
        this.#post({ type: "answer", id, storedEpoch, body }, [body.buffer]);
      } catch (error) {
        this.#post({ type: "no_answer", id, message: textOf(error) });
      }
    });
  }

  /** Those that come meanwhile, too. */
  async run(store: RowStore, storedEpoch: number): Promise<void> {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) await task(store, storedEpoch);
  }
}
