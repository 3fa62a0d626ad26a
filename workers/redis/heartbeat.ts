import { type RedisPartDeps, type SharedJournal, tryScript } from "./redis-deps.ts";
import { tend } from "./scripts.ts";

/** An instance that has not been heard of for this long loses its shards, and the barrier: it holds nobody up for longer. */
export const leaseMs = 3_000;

/** What all instances together have, as Redis counts it. */
export interface Fleet {
  /** The newest stored cut of each shard. */
  readonly storedCuts: readonly number[];
  readonly bytes: number;
  /** Rows, ever. */
  readonly durable: number;
  readonly stored: number;
  readonly deadLettered: number;
  /** When the oldest row that is not stored came, epoch milliseconds; 0 when there is none. */
  readonly oldestMs: number;
  /** Cuts that wait to be inserted. */
  readonly sealed: number;
}

const nothingYet: Fleet = { storedCuts: [], bytes: 0, durable: 0, stored: 0, deadLettered: 0, oldestMs: 0, sealed: 0 };

/**
 * Keeps this instance alive for the others: extends the leases of its shards and its hold on the read barrier, takes shards
 * that nobody has, and learns what the fleet has stored. An instance whose beats stop loses both after `leaseMs`, and counts
 * that from before it asked.
 */
export class Heartbeat {
  fleet: Fleet = nothingYet;
  /** Shards whose lease this instance has. */
  held: ReadonlySet<number> = new Set();
  readonly #deps: RedisPartDeps;
  #heldUntilMs = 0;
  #isUnderWay = false;

  constructor(deps: RedisPartDeps) {
    this.#deps = deps;
  }

  /** Whether it may insert and commit this shard's cuts, as far as is known here. Redis checks each commit by itself. */
  holds(shard: number): boolean {
    return this.held.has(shard) && performance.now() < this.#heldUntilMs;
  }

  /** "missed": there is nothing new. "lost": Redis has another journal now. */
  async beat({ id, shards }: SharedJournal, inserts: boolean, reads: boolean): Promise<"told" | "missed" | "lost"> {
    if (this.#isUnderWay) return "missed";
    this.#isUnderWay = true;
    const askedMs = performance.now();
    const args = [this.#deps.instance, leaseMs, shards, inserts ? 1 : 0, reads ? 1 : 0];
    const text = await tryScript(this.#deps, tend, args);
    this.#isUnderWay = false;
    if (text === null) return "missed";
    const [journalId, held = "", cuts = "", counts = "", oldest = ""] = text.split("|");
    if (journalId !== id) return "lost";
    const [bytes = 0, durable = 0, stored = 0, deadLettered = 0] = numbersIn(counts);
    const [oldestMs = 0, sealed = 0] = numbersIn(oldest);
    this.#heldUntilMs = askedMs + leaseMs;
    this.held = new Set(numbersIn(held));
    this.fleet = { storedCuts: numbersIn(cuts), bytes, durable, stored, deadLettered, oldestMs, sealed };
    return "told";
  }
}

const numbersIn = (list: string): number[] => (list === "" ? [] : list.split(" ").map(Number));
