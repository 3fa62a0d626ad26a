import type { ChannelHealth, ChannelRecord, DeliveryState, MessageContent } from "../state/records.ts";
import type { Outgoing } from "./bodies.ts";
import { nextAttemptMs, retryAfterMs, triedForMs } from "./schedule.ts";

/** How one attempt went. */
export type Attempt =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** `gone`: the receiver wants nothing more. `refused`: it does not take this message. `unreachable`: it takes none now. */
      readonly kind: "gone" | "refused" | "unreachable";
      readonly message: string;
      readonly retryAfter: string | null;
    };

/** One message that waits, without its content. */
export interface Waiting {
  readonly id: string;
  readonly sequence: number;
  readonly createdMs: number;
  delivery: DeliveryState;
}

export interface CourierDeps {
  /** The channel as it is now; undefined: it is no more. */
  readonly channel: () => ChannelRecord | undefined;
  readonly content: (id: string) => MessageContent | undefined;
  readonly send: (outgoing: Outgoing) => Promise<Attempt>;
  /** Keeps what an attempt came to; durable when it returns. `delivery` null: the message is done with. */
  readonly settle: (id: string, delivery: DeliveryState | null, health: ChannelHealth) => void;
  readonly now: () => number;
  readonly random: () => number;
  readonly setTimer: (run: () => void, delayMs: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
}

/** Messages of one channel that wait; the oldest is given up, and counted, when one more comes. */
export const waitingMax = 1_000;
/** After a failure, however many occasions there are. */
const pauseMinMs = 1_000;

/**
 * Delivers the messages of one channel, one after the other, the oldest first, and knows of no other channel: one that is dead
 * delays nobody. While the receiver cannot be reached all of them wait for the next attempt; a new message is an occasion to
 * try, and once one has arrived the others follow at once. One that the receiver refuses does not stop the others.
 */
export class Courier {
  readonly #deps: CourierDeps;
  readonly #waiting: Waiting[];
  #timer: unknown = null;
  #sending: Promise<void> | null = null;
  #stopped = false;
  /** An occasion to try the oldest before its time; Infinity: none. */
  #occasionMs = Number.POSITIVE_INFINITY;
  /** Before then nothing is tried, because the receiver asked for it, or has just failed. */
  #heldUntilMs = 0;

  constructor(deps: CourierDeps, waiting: readonly Waiting[]) {
    this.#deps = deps;
    this.#waiting = [...waiting].sort((a, b) => a.sequence - b.sequence);
    this.#arm();
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get nextAttemptMs(): number | null {
    if (this.#waiting.length === 0) return null;
    const next = Math.min(this.#occasionMs, ...this.#waiting.map(({ delivery }) => delivery.nextMs));
    return Math.max(next, this.#heldUntilMs);
  }

  /** Is in the outbox already. */
  add(message: Waiting): void {
    this.#waiting.push(message);
    if (this.#waiting.length > waitingMax) this.#giveUpOldest();
    this.wake();
  }

  /** An occasion: a new message, or the channel was changed. */
  wake(): void {
    this.#occasionMs = this.#deps.now();
    this.#arm();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) this.#deps.clearTimer(this.#timer);
    await this.#sending;
  }

  #open(): ChannelRecord | undefined {
    const record = this.#deps.channel();
    if (record === undefined || record.health.disabled !== null || record.channel.enabled === false) return undefined;
    return record;
  }

  #arm(): void {
    if (this.#stopped || this.#sending !== null) return;
    if (this.#timer !== null) this.#deps.clearTimer(this.#timer);
    this.#timer = null;
    const next = this.nextAttemptMs;
    if (next === null || this.#open() === undefined) return;
    // setTimeout counts in 32 bits.
    const delayMs = Math.min(Math.max(0, next - this.#deps.now()), 2 ** 31 - 1);
    this.#timer = this.#deps.setTimer(() => {
      this.#timer = null;
      this.#sending = this.#sendDue().finally(() => {
        this.#sending = null;
        this.#arm();
      });
    }, delayMs);
  }

  async #sendDue(): Promise<void> {
    while (!this.#stopped) {
      const nowMs = this.#deps.now();
      const channel = this.#open();
      if (channel === undefined || nowMs < this.#heldUntilMs) return;
      const message = this.#next(nowMs);
      if (message === undefined) {
        this.#occasionMs = Number.POSITIVE_INFINITY;
        return;
      }
      if (!(await this.#deliver(message, channel))) return;
    }
  }

  /** The oldest first: a recovery must not arrive before its alarm. */
  #next(nowMs: number): Waiting | undefined {
    const isOccasion = this.#occasionMs <= nowMs;
    return this.#waiting.find(({ delivery }) => delivery.nextMs <= nowMs || (isOccasion && !delivery.refused));
  }

  /** True when the next message may be tried. */
  async #deliver(message: Waiting, { channel }: ChannelRecord): Promise<boolean> {
    const content = this.#deps.content(message.id);
    if (content === undefined) {
      this.#remove(message);
      return true;
    }
    const isEarly = message.delivery.nextMs > this.#deps.now();
    const attempt = await this.#deps.send({ id: message.id, channel, content, attemptMs: this.#deps.now() });
    const health = this.#deps.channel()?.health;
    // The message may have been given up meanwhile, and the channel removed.
    if (!this.#waiting.includes(message) || health === undefined) return health !== undefined;
    if (attempt.ok) {
      this.#remove(message);
      this.#occasionMs = this.#deps.now();
      this.#deps.settle(message.id, null, { ...health, delivered: health.delivered + 1, failing: false });
      return true;
    }
    this.#failed(message, attempt, health, isEarly);
    return attempt.kind === "refused";
  }

  #failed(message: Waiting, attempt: Extract<Attempt, { ok: false }>, before: ChannelHealth, isEarly: boolean): void {
    const nowMs = this.#deps.now();
    const attempts = message.delivery.attempts + (isEarly ? 0 : 1);
    const nextMs = isEarly
      ? message.delivery.nextMs
      : nextAttemptMs(attempts, nowMs, this.#deps.random, attempt.retryAfter);
    const isOver = nextMs > message.createdMs + triedForMs;
    const health: ChannelHealth = {
      ...before,
      failing: true,
      lastError: { atMs: nowMs, message: attempt.message },
      disabled: attempt.kind === "gone" ? attempt.message : before.disabled,
      dropped: before.dropped + (isOver ? 1 : 0),
    };
    if (attempt.kind !== "refused") {
      this.#occasionMs = Number.POSITIVE_INFINITY;
      this.#heldUntilMs = nowMs + Math.max(pauseMinMs, retryAfterMs(attempt.retryAfter, nowMs));
    }
    if (isOver) {
      this.#remove(message);
      this.#deps.settle(message.id, null, health);
      return;
    }
    message.delivery = { attempts, nextMs, refused: attempt.kind === "refused" };
    this.#deps.settle(message.id, message.delivery, health);
    // The receiver cannot be reached for any of them.
    if (attempt.kind === "unreachable") this.#postpone(nextMs);
  }

  #postpone(untilMs: number): void {
    for (const each of this.#waiting) {
      if (each.delivery.nextMs < untilMs) each.delivery = { ...each.delivery, nextMs: untilMs };
    }
  }

  #giveUpOldest(): void {
    const oldest = this.#waiting[0] as Waiting;
    const health = this.#deps.channel()?.health;
    this.#remove(oldest);
    if (health === undefined) return;
    const message = `more than ${waitingMax} messages wait; the oldest is given up`;
    const lastError = { atMs: this.#deps.now(), message };
    this.#deps.settle(oldest.id, null, { ...health, dropped: health.dropped + 1, lastError });
  }

  #remove(message: Waiting): void {
    const at = this.#waiting.indexOf(message);
    if (at !== -1) this.#waiting.splice(at, 1);
  }
}
