import { textOf } from "../../base/error-text.ts";
import type { RowStore } from "../row-store.ts";
import { leaseMs } from "./heartbeat.ts";
import { type RedisPartDeps, tryScript } from "./redis-deps.ts";
import { closeGate, openGate } from "./scripts.ts";

/** A reader of rollups waits this long for inserts under way, then reads this long, then lets writers have their turn. */
const waitMs = 3_000;
const queryTimeoutMs = 4_000;
const joinMs = 100;
const restMs = 250;
/** On a busy machine a query takes long, and no insert is under way meanwhile: it may take a third of the time, no more. */
const restFactor = 2;
const restMaxMs = 5_000;
const turnMs = 8_000;
/** How often it is looked at again, here and by who waits to insert. */
export const barrierPauseMs = 5;

/**
 * Rollup queries of a fleet. What ClickHouse holds is known exactly only while no insert is under way, anywhere. So a reader
 * raises a barrier in Redis (the scripts call it the gate): inserts that have begun are waited for, none begins, and the
 * stored cuts are those of that moment. An answer counts only if the barrier was held to its end.
 */
export class ReadBarrier {
  readonly #deps: RedisPartDeps;
  #readers = 0;

  constructor(deps: RedisPartDeps) {
    this.#deps = deps;
  }

  /** Only meanwhile is the barrier held on to, so that one whose end was lost goes down by itself. */
  get isReading(): boolean {
    return this.#readers > 0;
  }

  async query(store: RowStore, shards: number, id: number, sql: string): Promise<void> {
    this.#readers++;
    const answer = await this.#read(store, shards, sql);
    this.#readers--;
    if (typeof answer === "string") this.#deps.post({ type: "no_answer", id, message: answer });
    else this.#deps.post({ type: "answer", id, storedEpoch: 0, ...answer }, [answer.body.buffer]);
  }

  /** A text: why there is no answer. */
  async #read(store: RowStore, shards: number, sql: string) {
    const raised = await this.#raise(shards);
    if (!raised.ok) return raised.message;
    try {
      const body = await store.query(sql, queryTimeoutMs);
      if ((await this.#lower()) !== "held") return "the gate was open for too long";
      return { storedCuts: raised.storedCuts, body };
    } catch (error) {
      await this.#lower();
      return textOf(error);
    }
  }

  async #raise(shards: number): Promise<{ ok: true; storedCuts: number[] } | { ok: false; message: string }> {
    const { instance, lifecycle } = this.#deps;
    const deadlineMs = performance.now() + turnMs;
    let busySinceMs: number | null = null;
    for (;;) {
      const text = await tryScript(this.#deps, openGate, [instance, leaseMs, joinMs, shards]);
      if (text === null || lifecycle.isStopped) return { ok: false, message: "Redis is away" };
      if (text.startsWith("at")) return { ok: true, storedCuts: text.slice("at ".length).split(" ").map(Number) };
      const nowMs = performance.now();
      if (text === "busy") {
        busySinceMs ??= nowMs;
        if (nowMs - busySinceMs > waitMs) {
          await this.#lower();
          return { ok: false, message: "inserts are under way" };
        }
      } else if (nowMs > deadlineMs) {
        return { ok: false, message: "others read" };
      }
      await lifecycle.pause(text === "busy" ? barrierPauseMs : barrierPauseMs * 4);
    }
  }

  #lower(): Promise<string | null> {
    return tryScript(this.#deps, closeGate, [this.#deps.instance, restMs, restFactor, restMaxMs]);
  }
}
