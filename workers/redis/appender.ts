import { decodeKeys } from "../journal/idempotency-keys.ts";
import type { FrameGroup } from "../journal/journal.ts";
import type { WriterOptions } from "../protocol.ts";
import type { Frame } from "../ring/ring.ts";
import { FrameGroupBuilder, groupMaxBytes } from "../writer/frame-group.ts";
import { RedisRefusedError } from "./connection.ts";
import type { RedisPartDeps, SharedJournal } from "./redis-deps.ts";
import { append, revoke } from "./scripts.ts";
import { SettledEpochs } from "./settled-epochs.ts";
import { RowSplitter } from "./shards.ts";

/** Appends on their way at once: while Redis flushes one, the next is on the wire. */
const underWayMax = 4;
/** An append whose answer was lost is asked for again for this long; then it is refused, and revoked as soon as that is possible. */
const uncertainMaxMs = 2_000;
const doubtTickMs = 50;
const revocationsMax = 1_000;

export interface AppenderDeps extends RedisPartDeps {
  /** Nothing can go on: the journal is another one. */
  readonly onLost: () => void;
}

export type AppenderOptions = Pick<
  WriterOptions,
  "journalMaxBytes" | "batchRows" | "segmentMaxBytes" | "segmentMaxAgeMs"
>;

interface Append {
  readonly number: number;
  readonly rowCount: number;
  readonly epoch: number;
  readonly args: readonly (string | Uint8Array)[];
  /** In doubt once it was sent and the connection went down before the answer came. */
  state:
    | { readonly phase: "new" | "sent" }
    | { readonly phase: "in_doubt"; readonly sinceMs: number }
    | { readonly phase: "settled"; readonly outcome: Outcome };
}

type Outcome =
  | { readonly ok: true; readonly cuts: readonly number[] }
  | { readonly ok: false; readonly reason: "journal_full" | "journal_failed"; readonly message: string };

const refused = (message: string): Outcome => ({ ok: false, reason: "journal_failed", message });
const away = refused("Redis is away");

/**
 * Ring → Redis: whatever waits in the ring is one call of one script, a few of them on their way at once, answered for in
 * the order of the ring.
 *
 * A refusal must mean that nothing was accepted, and an answer can be lost. So each append has a number that Redis
 * remembers the outcome of: after a reconnect it is sent again under the same number, and only if that is not possible in
 * time is it refused; then the first thing after the next reconnect is to revoke it, wherever it got to.
 */
export class Appender {
  readonly #deps: AppenderDeps;
  readonly #options: AppenderOptions;
  /** Rows of requests with keys are entries of their own: they are never revoked. */
  readonly #keyed = new FrameGroupBuilder();
  readonly #plain = new FrameGroupBuilder();
  #journalId = "";
  #shards = 1;
  #splitter = new RowSplitter(1);
  #isUp = false;
  #isDraining = false;
  #nextNumber = 1;
  /** In order; settled ones leave from the front. */
  readonly #appends: Append[] = [];
  readonly #revocations: number[] = [];
  readonly #epochs = new SettledEpochs();
  #failure: string | null = null;
  #onEmpty: (() => void) | null = null;
  readonly #doubtTimer: Timer;

  constructor(deps: AppenderDeps, options: AppenderOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#doubtTimer = setInterval(() => {
      if (!this.#isUp) this.#giveUp();
    }, doubtTickMs);
  }

  /** Why Redis took the last append not; null when it did. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Frames may be waiting, or an answer has come. */
  wake(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      this.#answer();
      while (this.#appends.length < (this.#isUp ? underWayMax : revocationsMax)) {
        const gathered = this.#gather();
        if (gathered === null) {
          if (this.#deps.ring.trySleep()) break;
        } else if (this.#isUp) {
          this.#send(gathered);
        } else {
          settle(gathered, away);
        }
      }
      this.#answer();
    } finally {
      this.#isDraining = false;
    }
    if (this.#appends.length === 0 && this.#deps.ring.empty) this.#onEmpty?.();
  }

  /** Redis answers, and this is its journal. Settles what was in doubt before anything new is sent. */
  async up({ id, shards }: SharedJournal): Promise<void> {
    const { redis, instance, log } = this.#deps;
    if (this.#journalId === "") {
      this.#journalId = id;
      this.#shards = shards;
      this.#splitter = new RowSplitter(shards);
    }
    await redis.call("SCRIPT", ["LOAD", append.text]);
    for (let first = this.#revocations[0]; first !== undefined; first = this.#revocations[0]) {
      if ((await redis.script(revoke, [instance, String(first)])) === "stands") {
        const message = "events were refused that had been accepted: Redis was away for too long to tell";
        log("error", message, { append: first });
      }
      this.#revocations.shift();
    }
    // All of them leave in this turn, in their order, before anything new can.
    for (const each of this.#appends) if (each.state.phase !== "settled") this.#send(each);
    this.#isUp = true;
    this.wake();
  }

  down(): void {
    this.#isUp = false;
    // What was never sent is surely not there; the rest has its time.
    for (const each of this.#appends) if (each.state.phase === "new") settle(each, away);
    this.wake();
  }

  /** The newest epoch of the ring whose rows, and all before them, are in ClickHouse. */
  settledEpoch(storedCuts: readonly number[]): number {
    const { ring } = this.#deps;
    const mayGrow = (epoch: number): boolean => this.#appends.length > 0 || !ring.empty || ring.closedEpoch < epoch;
    return this.#epochs.settle(storedCuts, mayGrow);
  }

  /** Resolves when everything in the ring was answered for. */
  finish(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const late = setTimeout(resolve, Math.min(timeoutMs, uncertainMaxMs * 2));
      this.#onEmpty = () => {
        clearTimeout(late);
        clearInterval(this.#doubtTimer);
        resolve();
      };
      this.wake();
    });
  }

  /** Everything that waits in the ring, up to the bound, as one append. */
  #gather(): Append | null {
    const { ring, instance, now } = this.#deps;
    const [keyed, plain] = [this.#keyed, this.#plain];
    let last: Frame | undefined;
    for (let frame = ring.next(); frame !== undefined; frame = ring.next()) {
      last = frame;
      (frame.meta.length > 0 ? keyed : plain).add(frame);
      if (keyed.byteCount + plain.byteCount >= groupMaxBytes) break;
    }
    if (last === undefined) return null;
    ring.release();
    const rowCount = plain.rowCount + keyed.rowCount;
    const withKeys = keyed.take(now());
    const keys = decodeKeys(withKeys.meta);
    const { journalMaxBytes, batchRows, segmentMaxBytes, segmentMaxAgeMs } = this.#options;
    const number = this.#nextNumber++;
    const limits = [journalMaxBytes, batchRows, segmentMaxBytes, segmentMaxAgeMs];
    const args = [
      ...[this.#journalId, instance, number, ...limits, keys.length].map(String),
      ...keys.flatMap((record) => [record.key, record.answer]),
      ...this.#split("u", plain.take(now())),
      ...this.#split("k", withKeys),
    ];
    const added: Append = { number, rowCount, epoch: last.epoch, args, state: { phase: "new" } };
    this.#appends.push(added);
    return added;
  }

  /** The rows as arguments: shard, rows, kind, bytes of each shard. Copies, since both memories are used again meanwhile. */
  #split(kind: "k" | "u", { rows, rowCount }: FrameGroup): (string | Uint8Array)[] {
    if (rowCount === 0) return [];
    return this.#splitter
      .split(rows, rowCount)
      .flatMap((part) => [String(part.shard), String(part.rowCount), kind, part.rows.slice()]);
  }

  #send(sent: Append): void {
    sent.state = { phase: "sent" };
    this.#deps.redis.script(append, sent.args).then(
      (text) => {
        settle(sent, this.#outcomeOf(String(text)));
        this.wake();
      },
      (error: unknown) => {
        if (error instanceof RedisRefusedError) {
          settle(sent, refused(error.message));
          this.wake();
        } else if (sent.state.phase !== "settled") {
          sent.state = { phase: "in_doubt", sinceMs: this.#deps.now() };
        }
      },
    );
  }

  #outcomeOf(text: string): Outcome {
    if (text.startsWith("ok ")) {
      const cuts = new Array<number>(this.#shards).fill(0);
      for (const part of text.slice(3).split(" ")) {
        const [shard, cut] = part.split(":");
        cuts[Number(shard)] = Number(cut);
      }
      return { ok: true, cuts };
    }
    if (text === "full") return { ok: false, reason: "journal_full", message: "the journal in Redis is full" };
    if (text === "foreign") this.#deps.onLost();
    return refused(text === "key" ? "an idempotency key was taken by another instance" : `Redis said: ${text}`);
  }

  /** Reports outcomes in the order of the frames. */
  #answer(): void {
    const { post, log } = this.#deps;
    let answered = 0;
    for (const { state, rowCount: rows, epoch } of this.#appends) {
      if (state.phase !== "settled") break;
      answered++;
      const { outcome } = state;
      if (outcome.ok) {
        this.#failure = null;
        this.#epochs.note(epoch, outcome.cuts);
        post({ type: "durable", rows, cuts: outcome.cuts });
      } else {
        const { reason, message } = outcome;
        if (this.#isUp && this.#failure === null) log("error", "the journal refused events", { error: message });
        if (reason === "journal_failed") this.#failure = message;
        post({ type: "refused", rows, reason, message });
      }
    }
    this.#appends.splice(0, answered);
  }

  /** Those in doubt for too long: refused now, revoked later. */
  #giveUp(): void {
    const oldestMs = this.#deps.now() - uncertainMaxMs;
    for (const each of this.#appends) {
      if (each.state.phase !== "in_doubt" || each.state.sinceMs > oldestMs) continue;
      settle(each, away);
      if (this.#revocations.length < revocationsMax) {
        this.#revocations.push(each.number);
      } else {
        const message = "too many appends in doubt: one that was refused may have been accepted";
        this.#deps.log("error", message, { rows: each.rowCount });
      }
    }
    this.#answer();
  }
}

function settle(append: Append, outcome: Outcome): void {
  append.state = { phase: "settled", outcome };
}
