import type { LogFields, LogLevel } from "../../base/log.ts";
import type { Batch, FrameGroup, Journal } from "../journal/journal.ts";
import type { FromWriter, WriterOptions } from "../protocol.ts";
import type { Frame, RingConsumer } from "../ring/ring.ts";
import type { RowStore } from "../row-store.ts";
import type { Inserter } from "./inserter.ts";
import { rollupGroupsSafe } from "./rollup-memory.ts";

/** Most bytes of rows in one group, so in one fdatasync; a single larger frame still goes through, alone. */
const groupMaxBytes = 4 * 2 ** 20;
/** How often a batch that wants to be sealed looks whether its epoch has been closed, and idle states are looked at. */
const tickMs = 10;
/** Recovered rows older than this cannot be in the live window any more (ten minutes, and the skew allowed); batches are older by their age. */
const recoveredViewAgeMs = 16 * 60_000;
/** A rollup query is cheap or it is not worth waiting for: inserts stand still meanwhile. */
const queryTimeoutMs = 10_000;
const statusIntervalMs = 250;
const journalFailureShownMs = 10_000;
const commitRetryMs = 500;
/** The main thread answers within a turn; past this the rows are counted here, which costs 0.05 to 0.2 µs each. */
const groupsWaitMs = 200;
/** With nothing to insert, ClickHouse is asked for a sign of life this often; while it is away, more often. */
const probeIntervalMs = 2_000;
const probeAwayIntervalMs = 200;

export interface WriterDeps {
  readonly ring: RingConsumer;
  readonly journal: Journal;
  readonly now: () => number;
  /** Milliseconds from any start; never goes back. */
  readonly monotonicNow: () => number;
  readonly post: (message: FromWriter, transfer?: Transferable[]) => void;
  readonly log: (level: LogLevel, message: string, fields?: LogFields) => void;
}

export interface Writer {
  /** Frames are waiting in the ring. */
  wake(): void;
  /** ClickHouse is known from here on: inserting begins. */
  connect(store: RowStore, inserter: Inserter): void;
  query(id: number, sql: string): void;
  /** Runs `task` at a moment when every batch is either wholly in ClickHouse or not at all; inserts wait for it. */
  atQuietPoint(task: (store: RowStore) => Promise<void>): void;
  recoveredTaken(): void;
  /** What the main thread counted of the oldest sealed batch that it has not told of yet. */
  sealedGroups(groupsMax: number): void;
  /** Resolves when it is told to stop; what retries and waits should end then. */
  readonly stopping: Promise<void>;
  postStatus(): void;
  /** Drains, seals, inserts what the time allows. Resolves with the rows left in the journal. */
  stop(timeoutMs: number): Promise<number>;
}

/** The oldest, and one ahead of its turn. */
const batchesAtOnce = 2;

/** A batch on its way into ClickHouse. */
interface Underway {
  readonly startedMs: number;
  readonly result: ReturnType<Inserter["store"]>;
}

type Options = Pick<WriterOptions, "batchRows" | "segmentMaxBytes" | "flushIntervalMs" | "segmentMaxAgeMs">;

/**
 * The writer: ring → journal (group commit) → batches → ClickHouse. Appending is one loop, inserting another; they meet
 * in the journal only, so a slow ClickHouse never holds up an acknowledgement.
 */
export function createWriter(deps: WriterDeps, options: Options): Writer {
  const { ring, journal, post } = deps;
  const stopSignal = Promise.withResolvers<void>();
  /** Set once frames may no longer come; the insert loop ends when it has nothing more to do. */
  let draining = false;
  let stopNow = false;
  let appending = false;
  let store: RowStore | undefined;
  let inserter: Inserter | undefined;
  let wakeInserter = Promise.withResolvers<void>();
  let journalFailure: string | null = null;
  let journalFailedMs = 0;
  /** Ages are measured on a clock that nobody steps; the wall clock may go back by hours. */
  let openSinceMs = 0;
  let storedEpoch = 0;
  let inserted: Promise<void> = Promise.resolve();
  /** What waits for a quiet point. None of them throws. */
  const quietTasks: ((store: RowStore) => Promise<void>)[] = [];

  const recoveredEpochs = new Map<Batch, number>(journal.sealed.map((batch, index) => [batch, index + 1]));
  let recoveredTaken = Promise.withResolvers<void>();
  /** When the live view has what an earlier run left: one batch after the other, and each before it is inserted. */
  const handedOut = new Map<Batch, Promise<void>>();
  const epochOf = (batch: Batch): number => recoveredEpochs.get(batch) ?? batch.epoch;
  /** Sealed batches that the main thread knows of, and what it counted in them. */
  const announced = new Map<Batch, PromiseWithResolvers<number>>(
    journal.sealed.map((batch) => [batch, Promise.withResolvers()]),
  );
  const uncounted: PromiseWithResolvers<number>[] = [];
  /** Batches that the journal ended by itself, in the middle of an epoch it may be. */
  const cutShort = new WeakSet<Batch>();

  // ---- ring → journal -------------------------------------------------------------------------------------------

  let groupBuffer = new Uint8Array(groupMaxBytes);
  let groupMeta: Uint8Array[] = [];
  let groupBytes = 0;
  let groupRows = 0;
  let groupEpoch = 0;
  let groupFirstEpoch = 0;
  /** The oldest epoch in the open batch. */
  let openFirstEpoch = 0;
  /** Of sealed batches. */
  const firstEpochOf = new WeakMap<Batch, number>();

  function addToGroup(frame: Frame): void {
    if (groupBytes + frame.rows.length > groupBuffer.length) {
      const grown = new Uint8Array(groupBytes + frame.rows.length);
      grown.set(groupBuffer.subarray(0, groupBytes));
      groupBuffer = grown;
    }
    groupBuffer.set(frame.rows, groupBytes);
    groupBytes += frame.rows.length;
    if (groupRows === 0) groupFirstEpoch = frame.epoch;
    groupRows += frame.rowCount;
    groupEpoch = frame.epoch;
    if (frame.meta.length > 0) groupMeta.push(frame.meta.slice());
  }

  function takeGroup(): FrameGroup {
    const group: FrameGroup = {
      rows: groupBuffer.subarray(0, groupBytes),
      rowCount: groupRows,
      meta: groupMeta.length === 0 ? new Uint8Array(0) : Buffer.concat(groupMeta),
      epoch: groupEpoch,
      atMs: deps.now(),
    };
    groupBytes = 0;
    groupRows = 0;
    groupMeta = [];
    return group;
  }

  async function appendGroup(): Promise<void> {
    if (groupRows === 0) return;
    const group = takeGroup();
    const rowsBefore = journal.open.rowCount;
    if (rowsBefore === 0) openSinceMs = deps.monotonicNow();
    const appended = journal.append(group);
    const result = appended instanceof Promise ? await appended : appended;
    ring.publishJournalBytes(journal.bytes);
    // Before anything is said of the group: its rows are not in the batch that ended.
    const ended = announceSealed(true);
    if (result.ok && (rowsBefore === 0 || ended)) {
      openSinceMs = deps.monotonicNow();
      openFirstEpoch = groupFirstEpoch;
    }
    if (result.ok) {
      if (journalFailure !== null) {
        journalFailure = null;
        deps.log("info", "the journal takes events again");
        postStatus();
      }
      post({ type: "durable", rows: group.rowCount });
    } else {
      if (journalFailure === null) deps.log("error", "the journal refused events", { error: result.message });
      journalFailure = result.message;
      journalFailedMs = deps.monotonicNow();
      post({ type: "refused", rows: group.rowCount, reason: result.reason, message: result.message });
      postStatus();
    }
  }

  /** Everything waiting becomes one group, up to its bounds; then one append. Repeats until the ring is empty. */
  async function drain(): Promise<void> {
    if (appending) return;
    appending = true;
    try {
      for (;;) {
        let frame = ring.next();
        while (frame !== undefined) {
          const opensNewEpoch = frame.epoch > Math.max(groupEpoch, journal.open.epoch);
          if (opensNewEpoch && journal.open.rowCount + groupRows > 0 && wantsSeal(groupRows, groupBytes)) {
            await appendGroup();
            seal();
          }
          addToGroup(frame);
          if (groupBytes >= groupMaxBytes) break;
          frame = ring.next();
        }
        await appendGroup();
        // Only now may the memory of the frames be used again: a refusal must find the ring as full as it is.
        ring.release();
        sealIfDue();
        if (ring.trySleep()) return;
        // Let messages, timers and the insert's socket have their turn.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } finally {
      appending = false;
    }
  }

  // ---- batches ---------------------------------------------------------------------------------------------------

  function wantsSeal(moreRows = 0, moreBytes = 0): boolean {
    const { open } = journal;
    const ageMs = open.rowCount === 0 ? 0 : deps.monotonicNow() - openSinceMs;
    return (
      open.rowCount + moreRows >= options.batchRows ||
      open.bytes + moreBytes >= options.segmentMaxBytes ||
      // While an insert is under way the batch goes on growing: the next one is larger, not later.
      (ageMs >= options.flushIntervalMs && journal.sealed.length === 0) ||
      ageMs >= options.segmentMaxAgeMs ||
      draining
    );
  }

  /** A batch ends only between epochs, so that the live view can tell exactly what it holds. */
  function sealIfDue(): void {
    const { open } = journal;
    if (open.rowCount === 0 || !wantsSeal()) return;
    // In this order: once an epoch is closed, all its frames are in the ring before `empty` is looked at.
    const { closedEpoch } = ring;
    if (ring.empty && closedEpoch >= open.epoch) seal();
  }

  function seal(): void {
    // The journal puts it off while it cannot tell what a failed append left; the next look tries again.
    if (journal.open.rowCount > 0) journal.seal();
    announceSealed(false);
  }

  /** Tells of batches that were sealed since; true when there are any. `byItself`: the journal decided, not `seal`. */
  function announceSealed(byItself: boolean): boolean {
    const fresh = journal.sealed.filter((batch) => !announced.has(batch));
    for (const batch of fresh) {
      const counted = Promise.withResolvers<number>();
      announced.set(batch, counted);
      uncounted.push(counted);
      firstEpochOf.set(batch, openFirstEpoch);
      if (byItself) cutShort.add(batch);
      post({ type: "sealed", epoch: byItself ? batch.epoch - 1 : batch.epoch });
    }
    if (fresh.length > 0) {
      post({ type: "backlog", batches: journal.sealed.length });
      wakeInserter.resolve();
    }
    return fresh.length > 0;
  }

  // ---- batches → ClickHouse ----------------------------------------------------------------------------------------

  async function insertAll(theStore: RowStore, theInserter: Inserter): Promise<void> {
    const stopping = (): boolean => stopNow;
    /** The oldest batches of an earlier run may have been under way when it ended: in ClickHouse or not, until confirmed. */
    let doubtful = Math.min(recoveredEpochs.size, batchesAtOnce);
    let inDoubt = doubtful > 0;
    /** What is being inserted beside the oldest batch; never reported, nor removed from the journal, before that one. */
    let ahead: Underway | undefined;

    function begin(batch: Batch): Underway {
      const result = (async () => {
        await handedOut.get(batch);
        handedOut.delete(batch);
        return theInserter.store(batch, stopping, await groupsIn(batch));
      })();
      // Awaited in its turn; until then its failure is nobody's.
      result.catch(() => undefined);
      return { startedMs: deps.now(), result };
    }

    /**
     * An insert is a third waiting for the disk, so with a backlog a second one fills its gaps: 0.97 became 1.05 M events/s stored.
     * Not while something fails, nor while a query waits for nothing to be under way.
     */
    async function whileOneIsAhead(current: Underway): ReturnType<Inserter["store"]> {
      for (;;) {
        wakeInserter = Promise.withResolvers();
        const [, next] = journal.sealed;
        if (next !== undefined && quietTasks.length === 0 && theInserter.state === "ok" && !stopNow) {
          ahead = begin(next);
          return current.result;
        }
        const woken = wakeInserter.promise.then(() => undefined);
        const settled = await Promise.race([current.result.then((result) => ({ result })), woken]);
        if (settled !== undefined) return settled.result;
      }
    }

    let probedMs = Number.NEGATIVE_INFINITY;
    while (!stopNow) {
      // By the clock, not when idle: queries that keep coming must not put off what would let them be answered.
      const untilProbeMs =
        probedMs + (theInserter.state === "ok" ? probeIntervalMs : probeAwayIntervalMs) - deps.monotonicNow();
      if (journal.sealed.length === 0 && untilProbeMs <= 0 && !draining) {
        await theInserter.probe();
        probedMs = deps.monotonicNow();
        continue;
      }
      if (!inDoubt) await runQuietTasks(theStore);
      const batch = journal.sealed[0];
      if (batch === undefined) {
        if (draining && ring.empty && !appending && journal.open.rowCount === 0) return;
        wakeInserter = Promise.withResolvers();
        const idle = journal.sealed.length === 0 && (inDoubt || quietTasks.length === 0);
        if (idle) await wokenWithin(untilProbeMs);
        continue;
      }
      probedMs = deps.monotonicNow();
      inDoubt = true;
      const current = ahead ?? begin(batch);
      ahead = undefined;
      const result = await whileOneIsAhead(current);
      if (result === undefined) return;
      const isWhole = !cutShort.has(batch) || (await endsItsEpoch(batch));
      if (!(await commit(batch))) return;
      // An epoch that is stored in part is neither: no rollup is read before the rest of it has followed.
      doubtful = Math.max(0, doubtful - 1);
      inDoubt = !isWhole || ahead !== undefined || doubtful > 0;
      ring.publishJournalBytes(journal.bytes);
      post({ type: "backlog", batches: journal.sealed.length });
      storedEpoch = isWhole ? epochOf(batch) : epochOf(batch) - 1;
      recoveredEpochs.delete(batch);
      announced.delete(batch);
      const storedAtMs = deps.now();
      post({
        type: "stored",
        epoch: storedEpoch,
        batch: {
          storedAtMs,
          rows: batch.rowCount,
          deadLettered: result.deadLettered,
          bytes: batch.bytes,
          insertMs: storedAtMs - current.startedMs,
          attempts: result.attempts,
        },
      });
      sealIfDue();
    }
  }

  /** The main thread folds what it was told, and answers; until then, and of an earlier run's batches, nothing is known. */
  async function groupsIn(batch: Batch): Promise<number | undefined> {
    if (batch.rowCount <= rollupGroupsSafe || recoveredEpochs.has(batch)) return undefined;
    return Promise.race([announced.get(batch)?.promise, Bun.sleep(groupsWaitMs), stopSignal.promise]).then(
      (groups) => groups ?? undefined,
    );
  }

  /** Whether no row of its newest epoch follows it. Waits until that can be told. */
  async function endsItsEpoch(batch: Batch): Promise<boolean> {
    for (;;) {
      const [, next] = journal.sealed;
      const followingEpoch =
        next !== undefined ? firstEpochOf.get(next) : journal.open.rowCount > 0 ? openFirstEpoch : undefined;
      if (followingEpoch !== undefined) return followingEpoch > batch.epoch;
      if (ring.closedEpoch >= batch.epoch && ring.empty && !appending) return true;
      if (stopNow) return false;
      await Bun.sleep(tickMs);
    }
  }

  /** Resolves when there is something to do, at the latest after `ms`. */
  function wokenWithin(ms: number): Promise<void> {
    const timer = setTimeout(wakeInserter.resolve, ms);
    return wakeInserter.promise.finally(() => clearTimeout(timer));
  }

  /** A journal that cannot forget a batch would insert it again after a restart: harmless, but nothing may follow it. */
  async function commit(batch: Batch): Promise<boolean> {
    while (!stopNow) {
      try {
        await journal.commit(batch);
        return true;
      } catch (error) {
        deps.log("error", "a stored batch cannot be removed from the journal; trying again", { error: String(error) });
        await Promise.race([Bun.sleep(commitRetryMs), stopSignal.promise]);
      }
    }
    return false;
  }

  async function runQuietTasks(theStore: RowStore): Promise<void> {
    for (let task = quietTasks.shift(); task !== undefined; task = quietTasks.shift()) await task(theStore);
  }

  function atQuietPoint(task: (store: RowStore) => Promise<void>): void {
    quietTasks.push(task);
    wakeInserter.resolve();
  }

  /** Runs at a quiet point only: what ClickHouse holds then is exactly what has been reported as stored. */
  async function answer(theStore: RowStore, id: number, sql: string): Promise<void> {
    const epoch = storedEpoch;
    try {
      const body = await theStore.query(sql, queryTimeoutMs);
      post({ type: "answer", id, storedEpoch: epoch, body }, [body.buffer]);
    } catch (error) {
      post({ type: "no_answer", id, message: error instanceof Error ? error.message : String(error) });
    }
  }

  /** The live view counts what an earlier run left, too: its rows go to the main thread, a piece at a time. */
  async function handOutRecovered(batch: Batch): Promise<void> {
    const epoch = epochOf(batch);
    if (deps.now() - batch.sinceMs < recoveredViewAgeMs + options.segmentMaxAgeMs && !stopNow) {
      for await (const chunk of batch.body() as AsyncIterable<Uint8Array>) {
        recoveredTaken = Promise.withResolvers();
        const rows = chunk.slice() as Uint8Array<ArrayBuffer>;
        post({ type: "recovered_rows", epoch, rows, last: false }, [rows.buffer]);
        await Promise.race([recoveredTaken.promise, stopSignal.promise]);
      }
    }
    post({ type: "recovered_rows", epoch, rows: new Uint8Array(0), last: true });
  }

  // ---- state -------------------------------------------------------------------------------------------------------

  let lastStatus = "";
  function postStatus(): void {
    const { open, sealed } = journal;
    const oldest = sealed[0]?.sinceMs ?? (open.rowCount > 0 ? open.sinceMs : null);
    const status = {
      clickhouse: inserter?.state ?? "unavailable",
      retries: inserter?.retries ?? 0,
      lastError: inserter?.lastError ?? null,
      journalBytes: journal.bytes,
      segments: sealed.length + (open.rowCount > 0 ? 1 : 0),
      oldestMs: oldest,
      // With nobody posting, nothing would ever show that the disk works again: after a while it is worth a try.
      journalFailure: deps.monotonicNow() - journalFailedMs < journalFailureShownMs ? journalFailure : null,
      deadLetterFailure: inserter?.deadLetterFailure ?? null,
      diskShortage: inserter?.diskShortage ?? null,
    } as const;
    const text = JSON.stringify(status);
    if (text === lastStatus) return;
    lastStatus = text;
    post({ type: "status", status });
  }

  const ticker = setInterval(() => {
    if (!appending) {
      if (ring.empty) sealIfDue();
      else void drain();
    }
    if (draining) wakeInserter.resolve();
  }, tickMs);
  const statusTicker = setInterval(postStatus, statusIntervalMs);
  ring.publishJournalBytes(journal.bytes);

  return {
    stopping: stopSignal.promise,
    wake: () => void drain(),
    connect(theStore, theInserter) {
      store = theStore;
      inserter = theInserter;
      // Ahead of the inserts, which may wait for ClickHouse for long.
      let before = Promise.resolve();
      for (const batch of recoveredEpochs.keys()) {
        before = before.then(() => handOutRecovered(batch));
        handedOut.set(batch, before);
      }
      post({ type: "backlog", batches: journal.sealed.length });
      inserted = insertAll(theStore, theInserter);
      postStatus();
    },
    query: (id, sql) => atQuietPoint((theStore) => answer(theStore, id, sql)),
    atQuietPoint,
    recoveredTaken: () => recoveredTaken.resolve(),
    sealedGroups: (groupsMax) => uncounted.shift()?.resolve(groupsMax),
    postStatus,
    async stop(timeoutMs) {
      await drain();
      draining = true;
      sealIfDue();
      wakeInserter.resolve();
      const deadline = setTimeout(() => {
        stopNow = true;
        stopSignal.resolve();
        wakeInserter.resolve();
      }, timeoutMs);
      if (store === undefined) stopSignal.resolve();
      // An insert that nobody answers is left: its batch stays, and the next start sends it under the same token.
      await Promise.race([inserted, stopSignal.promise]);
      clearTimeout(deadline);
      clearInterval(ticker);
      clearInterval(statusTicker);
      void store?.close();
      const left = journal.sealed.reduce((sum, batch) => sum + batch.rowCount, 0) + journal.open.rowCount;
      await journal.close();
      return left;
    },
  };
}
