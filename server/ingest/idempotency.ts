import { limits } from "../../contract/limits.ts";
import type { KeyRecord } from "../../workers/journal/journal.ts";
import type { Accepted } from "./acknowledgements.ts";

/** What the first request with a key came to. */
export interface RememberedAnswer extends Accepted {
  readonly atMs: number;
}

/**
 * Idempotency keys of the last hour. A key is remembered once its events are durable, never before: the record travels in
 * the same journal frame as the events, so both are there after a crash, or neither is.
 */
export class IdempotencyKeys {
  /** In order of age: a Map keeps insertion order, and keys are inserted with the present time. */
  readonly #answers = new Map<string, RememberedAnswer>();
  /** Requests whose events are on their way: a second one with the same key waits for the first one's outcome. */
  readonly #underWay = new Map<string, Promise<Accepted | Response>>();
  readonly #maxKeys: number;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#answers.size;
  }

  /** Keys of an earlier run, whose events are in ClickHouse or in one of the epochs up to `lastEpoch`. */
  recover(records: readonly KeyRecord[], lastEpoch: number): void {
    for (const { key, atMs, answer } of [...records].sort((a, b) => a.atMs - b.atMs)) {
      this.#answers.set(key, { answer, atMs, epoch: lastEpoch });
    }
  }

  find(key: string, nowMs: number): RememberedAnswer | undefined {
    const found = this.#answers.get(key);
    return found && nowMs - found.atMs < limits.idempotencyKeyAgeMs ? found : undefined;
  }

  underWay(key: string): Promise<Accepted | Response> | undefined {
    return this.#underWay.get(key);
  }

  /** True when there is room for one more key; expired ones make room. */
  tryReserve(nowMs: number): boolean {
    for (const [key, { atMs }] of this.#answers) {
      if (nowMs - atMs < limits.idempotencyKeyAgeMs) break;
      this.#answers.delete(key);
    }
    return this.#answers.size + this.#underWay.size < this.#maxKeys;
  }

  /** Runs `respond` as the one request under way with this key. */
  begin(key: string, respond: () => Promise<Accepted | Response>): Promise<Accepted | Response> {
    const outcome = respond().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, outcome);
    return outcome;
  }

  remember(key: string, answer: RememberedAnswer): void {
    this.#answers.delete(key);
    this.#answers.set(key, answer);
  }
}
