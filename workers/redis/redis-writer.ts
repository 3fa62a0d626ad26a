import { backoffMs } from "../../base/backoff.ts";
import { textOf } from "../../base/error-text.ts";
import type { Log } from "../../base/log.ts";
import type { FromWriter, RedisOptions, WriterOptions } from "../protocol.ts";
import type { RingConsumer } from "../ring/ring.ts";
import type { RowStore } from "../row-store.ts";
import type { Inserter } from "../writer/inserter.ts";
import { createAppender } from "./appender.ts";
import { connectRedis, RedisRefusedError } from "./connection.ts";
import { closeGate, commit, identify, leave, openGate, split, take, tend } from "./scripts.ts";
import { parseBatch } from "./shard-batch.ts";

/** A command that is not answered by then takes the connection down. */
const commandTimeoutMs = 1_000;
const reconnectDelayMs = 50;
/** An instance that has not been heard of for this long loses its shards, and the gate: it holds nobody up for longer. */
export const leaseMs = 3_000;
const tendIntervalMs = 200;
const idlePauseMs = 25;
const gatePauseMs = 5;
/** A reader of rollups waits this long for inserts under way, then reads this long, then lets writers have their turn. */
const gateWaitMs = 3_000;
const queryTimeoutMs = 4_000;
const gateJoinMs = 100;
const gateRestMs = 250;
/** On a busy machine a query takes long, and no insert is under way meanwhile: it may take a third of the time, no more. */
const gateRestFactor = 2;
const gateRestMaxMs = 5_000;
const gateTurnMs = 8_000;
const probeIntervalMs = 2_000;

export interface RedisWriterDeps {
  readonly ring: RingConsumer;
  readonly now: () => number;
  readonly post: (message: FromWriter, transfer?: Transferable[]) => void;
  readonly log: Log;
  readonly randomId: () => string;
}

export interface RedisWriter {
  /** Resolves with the number of shards in force. Waits for Redis: without it there is nothing to begin with. */
  readonly ready: Promise<number>;
  wake(): void;
  connect(store: RowStore, createInserter: () => Inserter): void;
  query(id: number, sql: string): void;
  pause(ms: number): Promise<void>;
  postStatus(): void;
  stop(timeoutMs: number): Promise<number>;
}

type Options = Pick<
  WriterOptions,
  "batchRows" | "segmentMaxBytes" | "flushIntervalMs" | "segmentMaxAgeMs" | "journalMaxBytes"
>;

/** What one `tend` told of the fleet. */
interface Fleet {
  held: ReadonlySet<number>;
  storedCuts: number[];
  bytes: number;
  durable: number;
  stored: number;
  deadLettered: number;
  oldestMs: number;
  sealed: number;
}

/**
 * The writer over Redis: ring → one append a drain → cuts → ClickHouse. Any instance appends to every shard; who inserts
 * a shard is decided by leases, and a batch is a cut that Redis sealed, so it does not matter who.
 */
export function createRedisWriter(deps: RedisWriterDeps, redisOptions: RedisOptions, options: Options): RedisWriter {
  const { ring, post, log } = deps;
  const { instance } = redisOptions;
  const ready = Promise.withResolvers<number>();
  const stopSignal = Promise.withResolvers<void>();
  let journalId: string | null = null;
  let shards = 0;
  let draining = false;
  let stopNow = false;
  let store: RowStore | undefined;
  let createInserter: (() => Inserter) | undefined;
  let prober: Inserter | undefined;
  let awayBecause: string | null = "Redis has not answered yet";
  let heldUntilMs = 0;
  /** Answers being looked for: only for these is the gate held on to, so that one whose end was lost opens by itself. */
  let reading = 0;
  const serving = new Map<number, { inserter: Inserter; done: Promise<void> }>();
  let fleet: Fleet = {
    held: new Set(),
    storedCuts: [],
    bytes: 0,
    durable: 0,
    stored: 0,
    deadLettered: 0,
    oldestMs: 0,
    sealed: 0,
  };

  const redis = connectRedis({
    url: redisOptions.url,
    commandTimeoutMs,
    reconnectDelayMs,
    onUp: () => void begin(),
    onDown(reason) {
      awayBecause = `Redis is away: ${reason}`;
      log("error", "Redis is away: nothing is accepted", { error: reason });
      post({ type: "away", reason: awayBecause });
      appender.down();
      postStatus();
    },
  });
  const appender = createAppender(
    {
      redis,
      ring,
      now: deps.now,
      post,
      log,
      fail: (message) => post({ type: "failed", message }),
    },
    { ...options, instance },
  );

  async function begin(): Promise<void> {
    try {
      const found = (await redis.script(identify, [deps.randomId(), String(redisOptions.shards)])) as [string, string];
      const [id, count] = found;
      if (journalId !== null && journalId !== id) return lost();
      journalId = id;
      shards = Number(count);
      await appender.up(id, shards);
      awayBecause = null;
      log("info", "Redis answers", { journal: id, shards });
      post({ type: "away", reason: null });
      ready.resolve(shards);
      await look();
      postStatus();
    } catch (error) {
      // The connection is down again, and says so by itself.
      if (error instanceof RedisRefusedError) log("error", "Redis refused", { error: error.message });
    }
  }

  function lost(): void {
    post({ type: "failed", message: "Redis lost the journal (its id is another one): starting anew" });
  }

  // ---- leases, and what the fleet has stored -----------------------------------------------------------------------

  let looking = false;
  async function look(): Promise<void> {
    if (looking || journalId === null || !redis.up) return;
    looking = true;
    const askedMs = performance.now();
    try {
      const inserts = redisOptions.inserts && store !== undefined && !stopNow ? "1" : "0";
      const reads = reading > 0 ? "1" : "0";
      const text = (await redis.script(tend, [instance, String(leaseMs), String(shards), inserts, reads])) as string;
      const [id, held = "", cuts = "", counts = "", oldest = ""] = text.split("|");
      if (id !== journalId) return lost();
      const numbers = (list: string): number[] => (list === "" ? [] : list.split(" ").map(Number));
      const [bytes = 0, durable = 0, stored = 0, deadLettered = 0] = numbers(counts);
      const [oldestMs = 0, sealed = 0] = numbers(oldest);
      heldUntilMs = askedMs + leaseMs;
      fleet = {
        held: new Set(numbers(held)),
        storedCuts: numbers(cuts),
        bytes,
        durable,
        stored,
        deadLettered,
        oldestMs,
        sealed,
      };
      ring.publishJournalBytes(bytes);
      const settledEpoch = appender.settle(fleet.storedCuts);
      post({ type: "fleet", storedCuts: fleet.storedCuts, settledEpoch, durable, stored, deadLettered });
      serveHeld();
      postStatus();
    } catch (error) {
      if (error instanceof RedisRefusedError) log("error", "Redis refused", { error: error.message });
    } finally {
      looking = false;
    }
  }

  const holds = (shard: number): boolean => fleet.held.has(shard) && performance.now() < heldUntilMs;

  function serveHeld(): void {
    if (store === undefined || createInserter === undefined || stopNow) return;
    for (const shard of fleet.held) {
      if (serving.has(shard)) continue;
      const inserter = createInserter();
      const done = serve(shard, inserter)
        .catch((error: unknown) => log("error", "inserting stopped; trying again", { shard, error: textOf(error) }))
        .finally(() => serving.delete(shard));
      serving.set(shard, { inserter, done });
    }
  }

  // ---- cuts → ClickHouse ---------------------------------------------------------------------------------------------

  async function serve(shard: number, inserter: Inserter): Promise<void> {
    await inserter.probe();
    let probedMs = performance.now();
    // Then what there is to do is asked for again, from the start: trying on would be for ever when the shard was another's
    // for a moment between two looks, and the batch is stored.
    let unreadable: string | null = null;
    let unreadableCut = 0;
    let unreadableTimes = 0;
    const source = {
      redis,
      journalId: journalId as string,
      shard,
      onUnreadable(reason: string) {
        unreadable = reason;
      },
      record: async (cut: number, name: string) => {
        const answer = await redis.script(split, [instance, String(shard), String(cut), name]);
        if (answer !== "ok") throw new Error(`shard ${shard} belongs to another writer now`);
      },
    };
    while (!stopNow && holds(shard)) {
      const text = await attempt(() =>
        redis.script(take, [
          instance,
          String(shard),
          String(options.batchRows),
          String(options.flushIntervalMs),
          draining ? "1" : "0",
        ]),
      );
      if (text === "lost") return;
      if (text === null || text === "idle" || text === "gate") {
        if (text === "idle" && draining) return;
        if (performance.now() - probedMs > (inserter.state === "ok" ? probeIntervalMs : idlePauseMs * 8)) {
          await inserter.probe();
          probedMs = performance.now();
        }
        await pause(text === "gate" ? gatePauseMs : idlePauseMs);
        continue;
      }
      const batch = parseBatch(source, text.slice("batch ".length));
      const startedMs = deps.now();
      unreadable = null;
      const result = await inserter.store(batch, () => stopNow || unreadable !== null || !holds(shard));
      probedMs = performance.now();
      if (result === undefined) {
        if (unreadable === null) return;
        unreadableTimes = batch.cut === unreadableCut ? unreadableTimes + 1 : 1;
        unreadableCut = batch.cut;
        if (unreadableTimes === 1) {
          const about = { shard, cut: batch.cut, error: unreadable };
          log("warn", "a batch could not be read; looking again what there is to store", about);
        }
        await pause(backoffMs(unreadableTimes, Math.random));
        continue;
      }
      const { deadLettered, attempts } = result;
      const args = [instance, String(shard), String(batch.cut), String(deadLettered)];
      let committed: string | null = null;
      while (committed === null && !stopNow) {
        committed = await attempt(() => redis.script(commit, args));
        if (committed === null) await pause(idlePauseMs);
      }
      if (committed !== "ok") {
        log("warn", "a batch was committed by another writer", { shard, cut: batch.cut });
        continue;
      }
      const storedAtMs = deps.now();
      const { rowCount: rows, bytes } = batch;
      const stored = { storedAtMs, rows, deadLettered, bytes, insertMs: storedAtMs - startedMs, attempts };
      post({ type: "stored", epoch: 0, batch: stored });
      void look();
    }
  }

  /** Null when Redis is away. */
  async function attempt(ask: () => Promise<unknown>): Promise<string | null> {
    try {
      return String(await ask());
    } catch (error) {
      if (error instanceof RedisRefusedError) log("error", "Redis refused", { error: error.message });
      return null;
    }
  }

  const pause = (ms: number): Promise<void> => Promise.race([Bun.sleep(ms), stopSignal.promise]);

  // ---- rollups ---------------------------------------------------------------------------------------------------------

  /**
   * What ClickHouse holds is known exactly only while no insert is under way, anywhere. So a reader closes the gate:
   * inserts that have begun are waited for, none begins, and the stored cuts are those of that moment.
   */
  async function answer(theStore: RowStore, id: number, sql: string): Promise<void> {
    const fail = (message: string): void => post({ type: "no_answer", id, message });
    const turnMs = performance.now() + gateTurnMs;
    let busySinceMs = 0;
    for (;;) {
      const text = await attempt(() =>
        redis.script(openGate, [instance, String(leaseMs), String(gateJoinMs), String(shards)]),
      );
      if (text === null || stopNow) return fail("Redis is away");
      if (text.startsWith("at")) {
        const storedCuts = text.slice("at ".length).split(" ").map(Number);
        try {
          const body = await theStore.query(sql, queryTimeoutMs);
          if ((await attempt(closeTheGate)) !== "held") return fail("the gate was open for too long");
          return post({ type: "answer", id, storedEpoch: 0, storedCuts, body }, [body.buffer]);
        } catch (error) {
          await attempt(closeTheGate);
          return fail(textOf(error));
        }
      }
      const now = performance.now();
      if (text === "busy") {
        if (busySinceMs === 0) busySinceMs = now;
        if (now - busySinceMs > gateWaitMs) {
          await attempt(closeTheGate);
          return fail("inserts are under way");
        }
      } else if (now > turnMs) {
        return fail("others read");
      }
      await pause(text === "busy" ? gatePauseMs : gatePauseMs * 4);
    }
  }

  const closeTheGate = (): Promise<unknown> =>
    redis.script(closeGate, [instance, ...[gateRestMs, gateRestFactor, gateRestMaxMs].map(String)]);

  // ---- state -----------------------------------------------------------------------------------------------------------

  let lastStatus = "";
  function postStatus(): void {
    const inserters = serving.size > 0 ? [...serving.values()].map((each) => each.inserter) : prober ? [prober] : [];
    const worst =
      inserters.find((each) => each.state === "denied") ??
      inserters.find((each) => each.state === "unavailable") ??
      inserters[0];
    const status = {
      clickhouse: worst?.state ?? "unavailable",
      retries: inserters.reduce((sum, each) => sum + each.retries, 0),
      lastError: worst?.lastError ?? null,
      journalBytes: fleet.bytes,
      segments: fleet.sealed,
      oldestMs: fleet.oldestMs === 0 ? null : fleet.oldestMs,
      journalFailure: awayBecause ?? appender.failure,
      diskShortage: inserters.find((each) => each.diskShortage)?.diskShortage ?? null,
      deadLetterFailure: inserters.find((each) => each.deadLetterFailure !== null)?.deadLetterFailure ?? null,
    } as const;
    const text = JSON.stringify(status);
    if (text === lastStatus) return;
    lastStatus = text;
    post({ type: "status", status });
  }

  const ticker = setInterval(() => {
    void look();
    appender.wake();
  }, tendIntervalMs);
  const probeTicker = setInterval(() => {
    if (serving.size === 0) void prober?.probe().then(postStatus);
  }, probeIntervalMs);

  return {
    ready: ready.promise,
    pause,
    wake: () => appender.wake(),
    connect(theStore, create) {
      store = theStore;
      createInserter = create;
      prober = create();
      void prober.probe().then(postStatus);
      void look();
    },
    query(id, sql) {
      if (store === undefined) post({ type: "no_answer", id, message: "ClickHouse is not known yet" });
      else {
        reading++;
        void answer(store, id, sql).finally(() => reading--);
      }
    },
    postStatus,
    async stop(timeoutMs) {
      await appender.finish(timeoutMs);
      draining = true;
      const deadline = setTimeout(() => {
        stopNow = true;
        stopSignal.resolve();
      }, timeoutMs);
      await look();
      await Promise.all([...serving.values()].map((each) => each.done));
      await look();
      clearTimeout(deadline);
      stopNow = true;
      stopSignal.resolve();
      clearInterval(ticker);
      clearInterval(probeTicker);
      await attempt(() => redis.script(leave, [instance, String(shards)]));
      await store?.close();
      redis.close();
      return Math.max(0, fleet.durable - fleet.stored - fleet.deadLettered);
    },
  };
}
