import type { Batch } from "../journal/journal.ts";
import type { RowStore } from "../row-store.ts";
import type { AppendLoop } from "./append-loop.ts";
import type { Inserter } from "./inserter.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { Probing } from "./probing.ts";
import type { QuietPoint } from "./quiet-point.ts";
import type { SealedBatch, Sealing } from "./sealing.ts";
import type { Wakeup } from "./wakeup.ts";
import type { WriterDeps } from "./writer-deps.ts";

/** The oldest, and one ahead of its turn. */
const batchesAtOnce = 2;
const commitRetryMs = 500;
const epochEndPollMs = 10;

export interface InsertLoopDeps extends WriterDeps {
  readonly lifecycle: Lifecycle;
  readonly inserting: Wakeup;
  readonly sealing: Sealing;
  readonly appendLoop: AppendLoop;
  readonly quietPoint: QuietPoint;
}

type Stored = Awaited<ReturnType<Inserter["store"]>>;

/** A batch on its way into ClickHouse. */
interface Underway {
  readonly startedMs: number;
  readonly result: Promise<Stored>;
}

/**
 * Journal → ClickHouse: the oldest sealed batch is inserted, removed from the journal, and reported as stored, in this order.
 * With a backlog the next one is under way beside it; it is never reported, nor removed, before the older one.
 *
 * Between two batches, where ClickHouse holds exactly what has been reported, the loop runs what waits for a quiet point; and
 * with nothing to insert it looks whether ClickHouse answers. The writer runs one, from when ClickHouse is known until it is
 * drained or stopped.
 */
export class InsertLoop {
  readonly #deps: InsertLoopDeps;
  readonly #store: RowStore;
  readonly #inserter: Inserter;
  readonly #probing: Probing;
  #storedEpoch = 0;
  /** The oldest batches of an earlier run may have been under way when it ended: in ClickHouse or not, until confirmed. */
  #doubtful: number;
  /** An epoch that is stored in part is neither: no rollup is read before the rest of it has followed. */
  #isWithinEpoch = false;
  #ahead: Underway | undefined;

  constructor(deps: InsertLoopDeps, store: RowStore, inserter: Inserter) {
    this.#deps = deps;
    this.#store = store;
    this.#inserter = inserter;
    this.#probing = new Probing(inserter, deps.monotonicNow);
    const recovered = deps.sealing.waiting.filter(({ ending }) => ending === "recovered");
    this.#doubtful = Math.min(recovered.length, batchesAtOnce);
  }

  async run(): Promise<void> {
    const { journal, lifecycle, sealing, appendLoop, quietPoint } = this.#deps;
    while (!lifecycle.isStopped) {
      // By the clock, not when idle: queries that keep coming must not put off what would let them be answered.
      if (sealing.waiting.length === 0 && this.#probing.dueInMs <= 0 && !lifecycle.isDraining) {
        await this.#probing.probe();
        continue;
      }
      if (this.#isQuiet) await quietPoint.run(this.#store, this.#storedEpoch);
      const [oldest] = sealing.waiting;
      if (oldest !== undefined) {
        if (!(await this.#storeOldest(oldest))) return;
      } else {
        if (lifecycle.isDraining && appendLoop.isIdle && journal.open.rowCount === 0) return;
        await this.#sleep();
      }
    }
  }

  /** Between two batches: whether ClickHouse holds exactly what has been reported as stored. */
  get #isQuiet(): boolean {
    return !this.#isWithinEpoch && this.#ahead === undefined && this.#doubtful === 0;
  }

  async #sleep(): Promise<void> {
    const { inserting, sealing, quietPoint } = this.#deps;
    inserting.arm();
    const hasTask = quietPoint.isWanted && this.#isQuiet;
    if (sealing.waiting.length === 0 && !hasTask) await inserting.within(this.#probing.dueInMs);
  }

  /** False when it was told to stop before that. */
  async #storeOldest(oldest: SealedBatch): Promise<boolean> {
    const { ring, journal, sealing } = this.#deps;
    const { batch } = oldest;
    this.#probing.putOff();
    const current = this.#ahead ?? this.#begin(oldest);
    this.#ahead = undefined;
    const result = await this.#whileOneIsAhead(current);
    if (result === undefined) return false;
    const isWhole = oldest.ending !== "cut_short" || (await this.#endsItsEpoch(batch));
    if (!(await this.#commit(batch))) return false;
    this.#doubtful = Math.max(0, this.#doubtful - 1);
    this.#isWithinEpoch = !isWhole;
    this.#storedEpoch = isWhole ? oldest.epoch : oldest.epoch - 1;
    ring.publishJournalBytes(journal.bytes);
    sealing.removeOldest();
    this.#report(batch, current.startedMs, result);
    sealing.sealIfDue();
    return true;
  }

  #begin(sealed: SealedBatch): Underway {
    const result = (async () => {
      await sealed.replayed;
      return this.#inserter.store(sealed.batch, () => this.#deps.lifecycle.isStopped);
    })();
    // Awaited in its turn; until then its failure is nobody's.
    result.catch(() => undefined);
    return { startedMs: this.#deps.now(), result };
  }

  /**
   * An insert is a third waiting for the disk, so with a backlog a second one fills its gaps: 0.97 became 1.05 M events/s stored.
   * Not while something fails, nor while a query waits for nothing to be under way.
   */
  async #whileOneIsAhead(current: Underway): Promise<Stored> {
    const { inserting, sealing, quietPoint, lifecycle } = this.#deps;
    for (;;) {
      const woken = inserting.arm().then(() => undefined);
      const [, next] = sealing.waiting;
      const isWell = this.#inserter.state === "ok" && !lifecycle.isStopped;
      if (next !== undefined && !quietPoint.isWanted && isWell) {
        this.#ahead = this.#begin(next);
        return current.result;
      }
      const settled = await Promise.race([current.result.then((result) => ({ result })), woken]);
      if (settled !== undefined) return settled.result;
    }
  }

  /** Whether no row of its newest epoch follows it. Waits until that can be told. */
  async #endsItsEpoch({ epoch }: Batch): Promise<boolean> {
    const { ring, sealing, appendLoop, lifecycle } = this.#deps;
    for (;;) {
      const next = sealing.epochAfterOldest;
      if (next !== undefined) return next > epoch;
      if (ring.closedEpoch >= epoch && appendLoop.isIdle) return true;
      if (lifecycle.isStopped) return false;
      await Bun.sleep(epochEndPollMs);
    }
  }

  /** A journal that cannot forget a batch would insert it again after a restart: harmless, but nothing may follow it. */
  async #commit(batch: Batch): Promise<boolean> {
    const { journal, lifecycle, log } = this.#deps;
    while (!lifecycle.isStopped) {
      try {
        await journal.commit(batch);
        return true;
      } catch (error) {
        log("error", "a stored batch cannot be removed from the journal; trying again", { error: String(error) });
        await lifecycle.pause(commitRetryMs);
      }
    }
    return false;
  }

  #report({ rowCount: rows, bytes }: Batch, startedMs: number, result: NonNullable<Stored>): void {
    const storedAtMs = this.#deps.now();
    const { deadLettered, attempts } = result;
    this.#deps.post({
      type: "stored",
      epoch: this.#storedEpoch,
      batch: { storedAtMs, rows, deadLettered, bytes, insertMs: storedAtMs - startedMs, attempts },
    });
  }
}
