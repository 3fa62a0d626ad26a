import { textOf } from "../../base/error-text.ts";
import type { RedisOptions, WriterOptions, WriterStatus } from "../protocol.ts";
import type { RowStore } from "../row-store.ts";
import type { Inserter } from "../writer/inserter.ts";
import { Lifecycle } from "../writer/lifecycle.ts";
import { probeIntervalMs } from "../writer/probing.ts";
import { createStatusReport, statusOfInserters } from "../writer/status.ts";
import type { Writer } from "../writer/writer.ts";
import { Appender } from "./appender.ts";
import { connectRedis, RedisRefusedError } from "./connection.ts";
import { Heartbeat } from "./heartbeat.ts";
import { ReadBarrier } from "./read-barrier.ts";
import { type RedisWriterDeps, type SharedJournal, tryScript } from "./redis-deps.ts";
import { identify, leave } from "./scripts.ts";
import { ShardLoop } from "./shard-loop.ts";

/** A command that is not answered by then takes the connection down. */
const commandTimeoutMs = 1_000;
const reconnectDelayMs = 50;
const heartbeatIntervalMs = 200;

type Options = Pick<
  WriterOptions,
  "batchRows" | "segmentMaxBytes" | "flushIntervalMs" | "segmentMaxAgeMs" | "journalMaxBytes"
>;

/** ClickHouse, once it is known. */
interface Connected {
  readonly store: RowStore;
  readonly createInserter: () => Inserter;
  /** Looks whether ClickHouse answers while this instance has no shard. */
  readonly prober: Inserter;
}

/**
 * The writer over Redis, where several instances share one journal and one ClickHouse. It is the other writer that the
 * writer thread's entry can make (`workers/main.ts`), beside the one over the journal on disk.
 *
 * Any instance appends to every shard (`Appender`). A batch is a cut that Redis sealed, and who inserts a shard's cuts is
 * decided by leases (`Heartbeat`, `ShardLoop`), so it does not matter who. Rollups are read behind a barrier that holds all
 * inserts up (`ReadBarrier`). docs/several-instances.md.
 */
export class RedisWriter implements Pick<Writer, "wake" | "query" | "pause" | "postStatus" | "stop"> {
  readonly #deps: RedisWriterDeps;
  readonly #redisOptions: RedisOptions;
  readonly #options: Options;
  readonly #lifecycle = new Lifecycle();
  readonly #parts;
  readonly #appender: Appender;
  readonly #heartbeat: Heartbeat;
  readonly #barrier: ReadBarrier;
  readonly #shardLoops = new Map<number, { readonly inserter: Inserter; readonly done: Promise<void> }>();
  readonly #ready = Promise.withResolvers<number>();
  #journal: SharedJournal | null = null;
  #connected: Connected | null = null;
  #awayBecause: string | null = "Redis has not answered yet";
  readonly #tickers: readonly Timer[];
  readonly postStatus: () => void;

  constructor(deps: RedisWriterDeps, redisOptions: RedisOptions, options: Options) {
    this.#deps = deps;
    this.#redisOptions = redisOptions;
    this.#options = options;
    const { url, instance } = redisOptions;
    const onUp = (): void => void this.#begin();
    const onDown = (reason: string): void => this.#away(reason);
    const redis = connectRedis({ url, commandTimeoutMs, reconnectDelayMs, onUp, onDown });
    this.#parts = { ...deps, redis, lifecycle: this.#lifecycle, instance };
    this.#appender = new Appender({ ...this.#parts, onLost: () => this.#lost() }, options);
    this.#heartbeat = new Heartbeat(this.#parts);
    this.#barrier = new ReadBarrier(this.#parts);
    this.postStatus = createStatusReport(deps.post, () => this.#status());
    const beat = (): void => {
      void this.#beat();
      this.#appender.wake();
    };
    const probe = (): void => {
      if (this.#shardLoops.size === 0) void this.#probe();
    };
    this.#tickers = [setInterval(beat, heartbeatIntervalMs), setInterval(probe, probeIntervalMs)];
  }

  /** Resolves with the number of shards in force. Waits for Redis: without it there is nothing to begin with. */
  get ready(): Promise<number> {
    return this.#ready.promise;
  }

  wake(): void {
    this.#appender.wake();
  }

  /** ClickHouse is known from here on: shards are taken, and inserted. Each has an inserter of its own. */
  connect(store: RowStore, createInserter: () => Inserter): void {
    this.#connected = { store, createInserter, prober: createInserter() };
    void this.#probe();
    void this.#beat();
  }

  query(id: number, sql: string): void {
    const { post } = this.#deps;
    if (this.#connected === null || this.#journal === null) {
      post({ type: "no_answer", id, message: "ClickHouse is not known yet" });
    } else {
      void this.#barrier.query(this.#connected.store, this.#journal.shards, id, sql);
    }
  }

  pause(ms: number): Promise<void> {
    return this.#lifecycle.pause(ms);
  }

  async stop(timeoutMs: number): Promise<number> {
    await this.#appender.finish(timeoutMs);
    this.#lifecycle.drain(timeoutMs);
    await this.#beat();
    await Promise.all([...this.#shardLoops.values()].map(({ done }) => done));
    await this.#beat();
    this.#lifecycle.stop();
    for (const ticker of this.#tickers) clearInterval(ticker);
    const { redis, instance } = this.#parts;
    await tryScript(this.#parts, leave, [instance, this.#journal?.shards ?? 0]);
    await this.#connected?.store.close();
    redis.close();
    const { durable, stored, deadLettered } = this.#heartbeat.fleet;
    return Math.max(0, durable - stored - deadLettered);
  }

  /** Each time that Redis answers again. */
  async #begin(): Promise<void> {
    const { post, log, randomId } = this.#deps;
    const { redis } = this.#parts;
    try {
      const asked = [randomId(), String(this.#redisOptions.shards)];
      const [id, shards] = (await redis.script(identify, asked)) as [string, string];
      if (this.#journal !== null && this.#journal.id !== id) return this.#lost();
      this.#journal = { id, shards: Number(shards) };
      await this.#appender.up(this.#journal);
      this.#awayBecause = null;
      log("info", "Redis answers", { journal: id, shards: this.#journal.shards });
      post({ type: "away", reason: null });
      this.#ready.resolve(this.#journal.shards);
      await this.#beat();
      this.postStatus();
    } catch (error) {
      // The connection is down again, and says so by itself.
      if (error instanceof RedisRefusedError) log("error", "Redis refused", { error: error.message });
    }
  }

  #away(reason: string): void {
    this.#awayBecause = `Redis is away: ${reason}`;
    this.#deps.log("error", "Redis is away: nothing is accepted", { error: reason });
    this.#deps.post({ type: "away", reason: this.#awayBecause });
    this.#appender.down();
    this.postStatus();
  }

  #lost(): void {
    this.#deps.post({ type: "failed", message: "Redis lost the journal (its id is another one): starting anew" });
  }

  async #beat(): Promise<void> {
    if (this.#journal === null || !this.#parts.redis.up) return;
    const inserts = this.#redisOptions.inserts && this.#connected !== null && !this.#lifecycle.isStopped;
    const told = await this.#heartbeat.beat(this.#journal, inserts, this.#barrier.isReading);
    if (told === "lost") return this.#lost();
    if (told === "missed") return;
    const { storedCuts, bytes, durable, stored, deadLettered } = this.#heartbeat.fleet;
    this.#deps.ring.publishJournalBytes(bytes);
    const settledEpoch = this.#appender.settledEpoch(storedCuts);
    this.#deps.post({ type: "fleet", storedCuts, settledEpoch, durable, stored, deadLettered });
    this.#insertHeld(this.#journal.id);
    this.postStatus();
  }

  #insertHeld(journalId: string): void {
    if (this.#connected === null || this.#lifecycle.isStopped) return;
    const { log } = this.#deps;
    for (const shard of this.#heartbeat.held) {
      if (this.#shardLoops.has(shard)) continue;
      const inserter = this.#connected.createInserter();
      const onStored = (): void => void this.#beat();
      const deps = { ...this.#parts, journalId, heartbeat: this.#heartbeat, inserter, onStored };
      const done = new ShardLoop(deps, shard, this.#options)
        .run()
        .catch((error: unknown) => log("error", "inserting stopped; trying again", { shard, error: textOf(error) }))
        .finally(() => this.#shardLoops.delete(shard));
      this.#shardLoops.set(shard, { inserter, done });
    }
  }

  async #probe(): Promise<void> {
    await this.#connected?.prober.probe();
    this.postStatus();
  }

  #status(): WriterStatus {
    const atWork = [...this.#shardLoops.values()].map(({ inserter }) => inserter);
    const prober = this.#connected === null ? [] : [this.#connected.prober];
    const { bytes, sealed, oldestMs } = this.#heartbeat.fleet;
    return {
      ...statusOfInserters(atWork.length > 0 ? atWork : prober),
      journalBytes: bytes,
      segments: sealed,
      oldestMs: oldestMs === 0 ? null : oldestMs,
      journalFailure: this.#awayBecause ?? this.#appender.failure,
    };
  }
}
