import { limits } from "../../contract/limits.ts";
import type { KeyRecord } from "../../workers/journal/journal.ts";
import { Refusal } from "../http/refusal.ts";
import type { Share } from "../live-view/shared/share.ts";
import type { Accepted } from "./acknowledgements.ts";
import type { IntakeKey } from "./intake.ts";

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
  readonly #underWay = new Map<string, Promise<Accepted | Refusal>>();
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

  underWay(key: string): Promise<Accepted | Refusal> | undefined {
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
  begin(key: string, respond: () => Promise<Accepted | Refusal>): Promise<Accepted | Refusal> {
    const outcome = respond().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, outcome);
    return outcome;
  }

  remember(key: string, answer: RememberedAnswer): void {
    this.#answers.delete(key);
    this.#answers.set(key, answer);
  }
}

export interface IdempotencyDeps {
  readonly keys: IdempotencyKeys;
  readonly now: () => number;
  /** With several instances: who has a key, across them. */
  readonly sharedKeys: () => Pick<Share, "reserveKey" | "releaseKey"> | null;
}

/**
 * Runs `take` at most once for each key of a principal within an hour; whoever comes later with the same key gets the first
 * one's outcome, also while it is on its way. After a refusal the key is free again.
 */
export type Once = (
  principal: string,
  given: string,
  take: (key: IntakeKey) => Promise<Accepted | Refusal>,
) => Promise<Accepted | Refusal>;

type Take = (key: IntakeKey) => Promise<Accepted | Refusal>;

export function createOnce({ keys, now, sharedKeys }: IdempotencyDeps): Once {
  /** The first request with a key here; another instance may have had one before. */
  async function first(key: IntakeKey, take: Take): Promise<Accepted | Refusal> {
    const shared = sharedKeys();
    if (shared === null) return take(key);
    const reserved = await shared.reserveKey(key.key);
    // In which cut the other instance's events are is not known here, so neither is when they are stored.
    if (reserved.kind === "answered") return { answer: reserved.answer, epoch: null };
    if (reserved.kind === "busy") return busyElsewhere;
    if (reserved.kind === "away") return redisAway;
    const outcome = await take(key);
    if (outcome instanceof Refusal) shared.releaseKey(key.key);
    return outcome;
  }

  return async (principal, given, take) => {
    if (given.length === 0 || given.length > limits.idempotencyKeyCharacters) return wrongLength;
    const key = `${principal}\0${given}`;
    const known = keys.find(key, now());
    if (known) return known;
    const underWay = keys.underWay(key);
    if (underWay !== undefined) return underWay;
    if (!keys.tryReserve(now())) return noMoreKeys;
    return keys.begin(key, () => first({ key, remember: (accepted) => keys.remember(key, accepted) }, take));
  };
}

const wrongLength = new Refusal(
  "malformed_request",
  `Idempotency-Key must have 1 to ${limits.idempotencyKeyCharacters} characters`,
);
const noMoreKeys = new Refusal(
  "idempotency_full",
  "no more idempotency keys can be remembered now (IDEMPOTENCY_MAX_KEYS)",
);
const busyElsewhere = new Refusal(
  "journal_failed",
  "another instance is busy with this Idempotency-Key; nothing was accepted here",
);
const redisAway = new Refusal("journal_failed", "Redis is unavailable; nothing was accepted");
