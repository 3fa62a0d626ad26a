import type { Journal } from "../journal/journal.ts";
import type { WriterStatus } from "../protocol.ts";
import type { RowStore } from "../row-store.ts";
import { AppendLoop } from "./append-loop.ts";
import { InsertLoop } from "./insert-loop.ts";
import type { Inserter } from "./inserter.ts";
import { Lifecycle } from "./lifecycle.ts";
import { QuietPoint, type QuietTask } from "./quiet-point.ts";
import { RecoveredRows } from "./recovered-rows.ts";
import { Sealing, type SealingOptions } from "./sealing.ts";
import { createStatusReport, statusOfInserters } from "./status.ts";
import { Wakeup } from "./wakeup.ts";
import type { WriterDeps } from "./writer-deps.ts";

/** How often a batch that wants to be sealed looks whether its epoch has been closed, and idle states are looked at. */
const tickMs = 10;
const statusIntervalMs = 250;

export interface Writer {
  /** Frames are waiting in the ring. */
  wake(): void;
  /** ClickHouse is known from here on: inserting begins. */
  connect(store: RowStore, inserter: Inserter): void;
  query(id: number, sql: string): void;
  /** Runs `task` at a moment when every batch is either wholly in ClickHouse or not at all; inserts wait for it. */
  atQuietPoint(task: QuietTask): void;
  recoveredTaken(): void;
  /** Resolves after that time, or at once when the writer is told to stop: for what retries and waits. */
  pause(ms: number): Promise<void>;
  postStatus(): void;
  /** Drains, seals, inserts what the time allows. Resolves with the rows left in the journal. */
  stop(timeoutMs: number): Promise<number>;
}

/**
 * The writer over the journal on disk: ring → journal (group commit) → batches → ClickHouse. It runs on the writer thread,
 * whose entry makes it (`workers/main.ts`).
 *
 * Appending is one loop, inserting another. They meet in `Sealing`, which holds what is known of the batches between them,
 * so a slow ClickHouse never holds up an acknowledgement. Both follow one `Lifecycle`.
 */
export function createWriter(deps: WriterDeps, options: SealingOptions): Writer {
  const { ring, journal, post } = deps;
  const lifecycle = new Lifecycle();
  const inserting = new Wakeup();
  const sealing = new Sealing({ ...deps, lifecycle, inserting }, options);
  const appendLoop = new AppendLoop({ ...deps, sealing, onStatus: () => postStatus() });
  const quietPoint = new QuietPoint(inserting, post);
  const recoveredRows = new RecoveredRows({ ...deps, lifecycle }, options.segmentMaxAgeMs);
  let connected: { readonly store: RowStore; readonly inserter: Inserter } | undefined;
  let inserted: Promise<void> | undefined;

  const postStatus = createStatusReport(post, () => ({
    ...statusOfInserters(connected ? [connected.inserter] : []),
    ...statusOfJournal(journal),
    journalFailure: appendLoop.failure,
  }));

  const ticker = setInterval(() => {
    appendLoop.tick();
    if (lifecycle.isDraining) inserting.wake();
  }, tickMs);
  const statusTicker = setInterval(postStatus, statusIntervalMs);
  void lifecycle.stopped.then(() => inserting.wake());
  ring.publishJournalBytes(journal.bytes);

  return {
    wake: () => void appendLoop.drain(),
    connect(store, inserter) {
      recoveredRows.replay(sealing.waiting);
      sealing.postBacklog();
      const loop = new InsertLoop({ ...deps, lifecycle, inserting, sealing, appendLoop, quietPoint }, store, inserter);
      connected = { store, inserter };
      inserted = loop.run();
      postStatus();
    },
    query: (id, sql) => quietPoint.query(id, sql),
    atQuietPoint: (task) => quietPoint.add(task),
    recoveredTaken: () => recoveredRows.taken(),
    pause: (ms) => lifecycle.pause(ms),
    postStatus,
    async stop(timeoutMs) {
      await appendLoop.drain();
      lifecycle.drain(timeoutMs);
      sealing.sealIfDue();
      inserting.wake();
      // An insert that nobody answers is left: its batch stays, and the next start sends it under the same token.
      await Promise.race([inserted, lifecycle.stopped]);
      lifecycle.stop();
      clearInterval(ticker);
      clearInterval(statusTicker);
      void connected?.store.close();
      const left = journal.sealed.reduce((sum, batch) => sum + batch.rowCount, 0) + journal.open.rowCount;
      await journal.close();
      return left;
    },
  };
}

function statusOfJournal({
  bytes,
  open,
  sealed,
}: Journal): Pick<WriterStatus, "journalBytes" | "segments" | "oldestMs"> {
  return {
    journalBytes: bytes,
    segments: sealed.length + (open.rowCount > 0 ? 1 : 0),
    oldestMs: sealed[0]?.sinceMs ?? (open.rowCount > 0 ? open.sinceMs : null),
  };
}
