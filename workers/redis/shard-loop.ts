import { backoffMs } from "../../base/backoff.ts";
import type { Inserter } from "../writer/inserter.ts";
import { Probing } from "../writer/probing.ts";
import type { SealingOptions } from "../writer/sealing.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { barrierPauseMs } from "./read-barrier.ts";
import { type RedisPartDeps, tryScript } from "./redis-deps.ts";
import { commit, split, take } from "./scripts.ts";
import { type BatchSource, parseBatch, type RedisBatch } from "./shard-batch.ts";

const idlePauseMs = 25;

export interface ShardLoopDeps extends RedisPartDeps {
  readonly journalId: string;
  readonly heartbeat: Heartbeat;
  readonly inserter: Inserter;
  /** A batch is in ClickHouse, and committed. */
  readonly onStored: () => void;
}

/**
 * Inserts one shard, for as long as this instance holds its lease: takes the oldest sealed cut, brings it into ClickHouse,
 * and commits it. It does not matter who does that, nor whether another one has done it in between: the cut's token makes a
 * second insert nothing, and a commit is refused to whoever has lost the lease.
 */
export class ShardLoop {
  readonly #deps: ShardLoopDeps;
  readonly #shard: number;
  readonly #options: SealingOptions;
  readonly #source: BatchSource;
  readonly #probing: Probing;
  /** Why the rows of the cut under way could not be read; how often in a row that was so, and of which cut. */
  #unreadable: string | null = null;
  #unreadableCut = 0;
  #unreadableTimes = 0;

  constructor(deps: ShardLoopDeps, shard: number, options: SealingOptions) {
    this.#deps = deps;
    this.#shard = shard;
    this.#options = options;
    this.#probing = new Probing(deps.inserter, () => performance.now());
    const { redis, journalId, instance, randomId } = deps;
    this.#source = {
      redis,
      journalId,
      shard,
      randomId,
      onUnreadable: (reason) => {
        this.#unreadable = reason;
      },
      async record(cut, name) {
        const answer = await redis.script(split, [instance, String(shard), String(cut), name]);
        if (answer !== "ok") throw new Error(`shard ${shard} belongs to another writer now`);
      },
    };
  }

  async run(): Promise<void> {
    const { instance, lifecycle } = this.#deps;
    const { batchRows, flushIntervalMs } = this.#options;
    await this.#probing.probe();
    while (this.#isOurs) {
      const args = [instance, this.#shard, batchRows, flushIntervalMs, lifecycle.isDraining ? 1 : 0];
      const text = await tryScript(this.#deps, take, args);
      if (text === "lost" || (text === "idle" && lifecycle.isDraining)) return;
      if (text?.startsWith("batch ")) {
        if (!(await this.#store(parseBatch(this.#source, text.slice("batch ".length))))) return;
      } else {
        if (this.#probing.dueInMs <= 0) await this.#probing.probe();
        await lifecycle.pause(text === "gate" ? barrierPauseMs : idlePauseMs);
      }
    }
  }

  get #isOurs(): boolean {
    return !this.#deps.lifecycle.isStopped && this.#deps.heartbeat.holds(this.#shard);
  }

  /** False when there is no going on: it was told to stop, or the shard is another's. */
  async #store(batch: RedisBatch): Promise<boolean> {
    const { inserter, now, post, log, onStored } = this.#deps;
    const startedMs = now();
    this.#unreadable = null;
    const result = await inserter.store(batch, () => this.#unreadable !== null || !this.#isOurs);
    this.#probing.putOff();
    if (result === undefined) return this.#lookAgain(batch);
    const { deadLettered, attempts } = result;
    if (!(await this.#commit(batch, deadLettered))) {
      log("warn", "a batch was committed by another writer", { shard: this.#shard, cut: batch.cut });
      return true;
    }
    const storedAtMs = now();
    const { rowCount: rows, bytes } = batch;
    const stored = { storedAtMs, rows, deadLettered, bytes, insertMs: storedAtMs - startedMs, attempts };
    post({ type: "stored", epoch: 0, batch: stored });
    onStored();
    return true;
  }

  /**
   * When rows are missing, what there is to do is asked for again, from the start: trying on would be for ever when the shard
   * was another's for a moment between two beats, and the batch is stored.
   */
  async #lookAgain({ cut }: RedisBatch): Promise<boolean> {
    const { lifecycle, log } = this.#deps;
    if (this.#unreadable === null) return false;
    this.#unreadableTimes = cut === this.#unreadableCut ? this.#unreadableTimes + 1 : 1;
    this.#unreadableCut = cut;
    if (this.#unreadableTimes === 1) {
      const about = { shard: this.#shard, cut, error: this.#unreadable };
      log("warn", "a batch could not be read; looking again what there is to store", about);
    }
    await lifecycle.pause(backoffMs(this.#unreadableTimes, Math.random));
    return true;
  }

  async #commit({ cut }: RedisBatch, deadLettered: number): Promise<boolean> {
    const { instance, lifecycle } = this.#deps;
    while (!lifecycle.isStopped) {
      const answer = await tryScript(this.#deps, commit, [instance, this.#shard, cut, deadLettered]);
      if (answer !== null) return answer === "ok";
      await lifecycle.pause(idlePauseMs);
    }
    return false;
  }
}
