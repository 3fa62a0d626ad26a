import type { Batch } from "../journal/journal.ts";
import type { WriterOptions } from "../protocol.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Wakeup } from "./wakeup.ts";
import type { WriterDeps } from "./writer-deps.ts";

/** All that the writer knows of a batch between its sealing and its removal from the journal. */
export interface SealedBatch {
  readonly batch: Batch;
  /**
   * What ended it. `sealed`: the end of an epoch. `cut_short`: the journal, whose disk failed, in the middle of an epoch it
   * may be. `recovered`: an earlier run, and it is an epoch of its own.
   */
  readonly ending: "sealed" | "cut_short" | "recovered";
  /** Its newest epoch; those that were recovered are 1, 2, 3 … */
  readonly epoch: number;
  readonly firstEpoch: number;
  /** When the live view has its rows. At once, unless they were recovered. */
  replayed: Promise<void>;
}

export interface SealingDeps extends WriterDeps {
  readonly lifecycle: Lifecycle;
  readonly inserting: Wakeup;
}

export type SealingOptions = Pick<
  WriterOptions,
  "batchRows" | "segmentMaxBytes" | "flushIntervalMs" | "segmentMaxAgeMs"
>;

/**
 * Decides when the open batch ends, tells the main thread, and keeps what is known of the batches that wait to be stored.
 *
 * A batch ends only between epochs, so that the live view can tell exactly what it holds; only a failing disk makes an
 * exception, and then it is known. `waiting` follows the journal's list: the same batches in the same order. The append
 * loop calls around each append, the insert loop when it has stored one.
 */
export class Sealing {
  readonly waiting: SealedBatch[];
  readonly #deps: SealingDeps;
  readonly #options: SealingOptions;
  /** Of the open batch. Its age is measured on a clock that nobody steps; the wall clock may go back by hours. */
  #openSinceMs = 0;
  #openFirstEpoch = 0;
  #wasEmpty = true;

  constructor(deps: SealingDeps, options: SealingOptions) {
    this.#deps = deps;
    this.#options = options;
    this.waiting = deps.journal.sealed.map((batch, index) => ({
      batch,
      ending: "recovered",
      epoch: index + 1,
      firstEpoch: index + 1,
      replayed: Promise.resolve(),
    }));
  }

  /** Whether the open batch should end, if it had so much more. */
  isWanted(moreRows = 0, moreBytes = 0): boolean {
    const { open } = this.#deps.journal;
    const { batchRows, segmentMaxBytes, flushIntervalMs, segmentMaxAgeMs } = this.#options;
    const ageMs = open.rowCount === 0 ? 0 : this.#deps.monotonicNow() - this.#openSinceMs;
    return (
      open.rowCount + moreRows >= batchRows ||
      open.bytes + moreBytes >= segmentMaxBytes ||
      // While an insert is under way the batch goes on growing: the next one is larger, not later.
      (ageMs >= flushIntervalMs && this.waiting.length === 0) ||
      ageMs >= segmentMaxAgeMs ||
      this.#deps.lifecycle.isDraining
    );
  }

  sealIfDue(): void {
    const { journal, ring } = this.#deps;
    const { open } = journal;
    if (open.rowCount === 0 || !this.isWanted()) return;
    // In this order: once an epoch is closed, all its frames are in the ring before `empty` is looked at.
    const { closedEpoch } = ring;
    if (ring.empty && closedEpoch >= open.epoch) this.seal();
  }

  /** To be called between epochs. */
  seal(): void {
    const { journal } = this.#deps;
    // The journal puts it off while it cannot tell what a failed append left; the next look tries again.
    if (journal.open.rowCount > 0) journal.seal();
    this.#announce("sealed");
  }

  beforeAppend(): void {
    this.#wasEmpty = this.#deps.journal.open.rowCount === 0;
    if (this.#wasEmpty) this.#openSinceMs = this.#deps.monotonicNow();
  }

  /** Before anything is said of the group: its rows are not in the batch that ended. */
  afterAppend(isTaken: boolean, firstEpoch: number): void {
    const hasEnded = this.#announce("cut_short");
    if (!isTaken || !(this.#wasEmpty || hasEnded)) return;
    this.#openSinceMs = this.#deps.monotonicNow();
    this.#openFirstEpoch = firstEpoch;
  }

  /** The epoch that begins after the oldest batch, if there is one yet. */
  get epochAfterOldest(): number | undefined {
    const [, next] = this.waiting;
    if (next !== undefined) return next.firstEpoch;
    return this.#deps.journal.open.rowCount > 0 ? this.#openFirstEpoch : undefined;
  }

  /** The oldest is in ClickHouse, and not in the journal any more. */
  removeOldest(): void {
    this.waiting.shift();
    this.postBacklog();
  }

  /** Tells of batches that have ended since the last look; true when there are any. */
  #announce(ending: "sealed" | "cut_short"): boolean {
    const { journal, inserting, post } = this.#deps;
    const newest = this.waiting[this.waiting.length - 1];
    const fresh = journal.sealed.slice(newest === undefined ? 0 : journal.sealed.lastIndexOf(newest.batch) + 1);
    for (const batch of fresh) {
      const { epoch } = batch;
      const firstEpoch = this.#openFirstEpoch;
      this.waiting.push({ batch, ending, epoch, firstEpoch, replayed: Promise.resolve() });
      post({ type: "sealed", epoch: ending === "cut_short" ? epoch - 1 : epoch });
    }
    if (fresh.length === 0) return false;
    this.postBacklog();
    inserting.wake();
    return true;
  }

  /** How many wait for ClickHouse, the one under way included. */
  postBacklog(): void {
    this.#deps.post({ type: "backlog", batches: this.waiting.length });
  }
}
