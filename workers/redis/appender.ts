import type { Log } from "../../base/log.ts";
import { decodeKeys } from "../journal/idempotency-keys.ts";
import type { FromWriter } from "../protocol.ts";
import type { Frame, RingConsumer } from "../ring/ring.ts";
import { type RedisConnection, RedisRefusedError } from "./connection.ts";
import { append, revoke } from "./scripts.ts";
import { RowSplitter } from "./shards.ts";

/** Most bytes of rows in one append; a single larger frame still goes through, alone. */
const groupMaxBytes = 4 * 2 ** 20;
/** Appends on their way at once: while Redis flushes one, the next is on the wire. */
const underWayMax = 4;
/** An append whose answer was lost is asked for again for this long; then it is refused, and revoked as soon as that is possible. */
const uncertainMaxMs = 2_000;
const revocationsMax = 1_000;

export interface AppenderDeps {
  readonly redis: RedisConnection;
  readonly ring: RingConsumer;
  readonly now: () => number;
  readonly post: (message: FromWriter) => void;
  readonly log: Log;
  /** Nothing can go on: the journal is another one. */
  readonly fail: (message: string) => void;
}

export interface AppenderOptions {
  readonly instance: string;
  readonly journalMaxBytes: number;
  readonly batchRows: number;
  readonly segmentMaxBytes: number;
  readonly segmentMaxAgeMs: number;
}

export interface Appender {
  /** Frames may be waiting. */
  wake(): void;
  /** Redis answers, and this is its journal. Settles what was in doubt before anything new is sent. */
  up(journalId: string, shards: number): Promise<void>;
  down(): void;
  /** The newest epoch of the ring whose rows, and all before them, are in ClickHouse. */
  settle(storedCuts: readonly number[]): number;
  readonly failure: string | null;
  /** Resolves when everything in the ring was answered for. */
  finish(timeoutMs: number): Promise<void>;
}

interface Append {
  readonly number: number;
  readonly rowCount: number;
  readonly epoch: number;
  readonly args: readonly (string | Uint8Array)[];
  /** When its answer was lost. */
  doubtSinceMs: number;
  /** In doubt once it was sent and the connection went down. */
  state: "new" | "sent" | "in_doubt";
  outcome: Outcome | null;
}

type Outcome =
  | { readonly ok: true; readonly cuts: readonly number[] }
  | { readonly ok: false; readonly reason: "journal_full" | "journal_failed"; readonly message: string };

const away: Outcome = { ok: false, reason: "journal_failed", message: "Redis is away" };

/**
 * Ring → Redis, one script call a drain, a few on their way at once, answered for in order.
 *
 * A refusal must mean that nothing was accepted, and an answer can be lost. So each append has a number that Redis
 * remembers the outcome of: after a reconnect it is sent again under the same number, and only if that is not possible in
 * time is it refused; then the first thing after the next reconnect is to revoke it, wherever it got to.
 */
export function createAppender(deps: AppenderDeps, options: AppenderOptions): Appender {
  const { redis, ring, post, log } = deps;
  let journalId = "";
  let shards = 1;
  let splitter = new RowSplitter(1);
  let up = false;
  let nextNumber = 1;
  let failure: string | null = null;
  /** In order; settled ones leave from the front. */
  const appends: Append[] = [];
  const revocations: number[] = [];
  /** Cuts are cumulative; what is stored settles epochs from the front. */
  const unsettled: { epoch: number; cuts: readonly number[] }[] = [];
  let settledEpoch = 0;
  let finished: (() => void) | null = null;
  let draining = false;

  function drain(): void {
    if (draining) return;
    draining = true;
    try {
      while (up ? appends.length < underWayMax : appends.length < revocationsMax) {
        const frames = gather();
        if (frames === null) {
          if (ring.trySleep()) break;
          continue;
        }
        if (up) send(frames);
        else frames.outcome = away;
      }
      answer();
    } finally {
      draining = false;
    }
    if (appends.length === 0 && ring.empty) finished?.();
  }

  /** Everything that waits in the ring, up to the bound, as one append. */
  function gather(): Append | null {
    const frames: Frame[] = [];
    let bytes = 0;
    let rowCount = 0;
    for (let frame = ring.next(); frame !== undefined; frame = ring.next()) {
      frames.push(frame);
      bytes += frame.rows.length;
      rowCount += frame.rowCount;
      if (bytes >= groupMaxBytes) break;
    }
    const last = frames[frames.length - 1];
    if (last === undefined) return null;
    // Those with keys are entries of their own: they are never revoked.
    const keyed = frames.filter((frame) => frame.meta.length > 0);
    const parts = [
      ...split("u", keyed.length === 0 ? frames : frames.filter((frame) => frame.meta.length === 0)),
      ...split("k", keyed),
    ];
    const keys = keyed.flatMap((frame) => decodeKeys(frame.meta.slice()));
    ring.release();
    const number = nextNumber++;
    const added: Append = {
      number,
      rowCount,
      epoch: last.epoch,
      args: [
        journalId,
        options.instance,
        String(number),
        String(options.journalMaxBytes),
        String(options.batchRows),
        String(options.segmentMaxBytes),
        String(options.segmentMaxAgeMs),
        String(keys.length),
        ...keys.flatMap((record) => [record.key, record.answer]),
        ...parts,
      ],
      doubtSinceMs: 0,
      state: "new",
      outcome: null,
    };
    appends.push(added);
    return added;
  }

  /** The rows of these frames as arguments: shard, rows, kind, bytes of each shard. */
  function split(kind: "k" | "u", frames: readonly Frame[]): (string | Uint8Array)[] {
    const rowCount = frames.reduce((sum, frame) => sum + frame.rowCount, 0);
    if (rowCount === 0) return [];
    const rows = new Uint8Array(frames.reduce((sum, frame) => sum + frame.rows.length, 0));
    let at = 0;
    for (const frame of frames) {
      rows.set(frame.rows, at);
      at += frame.rows.length;
    }
    return splitter.split(rows, rowCount).flatMap((part) => [
      String(part.shard),
      String(part.rowCount),
      kind,
      // A copy, unless the rows are this append's own: the splitter's memory is used again while it is under way.
      shards === 1 ? part.rows : part.rows.slice(),
    ]);
  }

  function send(sent: Append): void {
    sent.state = "sent";
    redis.script(append, sent.args).then(
      (text) => {
        sent.outcome = outcomeOf(String(text));
        drain();
      },
      (error: unknown) => {
        if (error instanceof RedisRefusedError) {
          sent.outcome = { ok: false, reason: "journal_failed", message: error.message };
          drain();
        } else {
          sent.state = "in_doubt";
          sent.doubtSinceMs = deps.now();
        }
      },
    );
  }

  function outcomeOf(text: string): Outcome {
    if (text.startsWith("ok ")) {
      const cuts = new Array<number>(shards).fill(0);
      for (const part of text.slice(3).split(" ")) {
        const [shard, cut] = part.split(":");
        cuts[Number(shard)] = Number(cut);
      }
      return { ok: true, cuts };
    }
    if (text === "full") return { ok: false, reason: "journal_full", message: "the journal in Redis is full" };
    if (text === "foreign") deps.fail("Redis lost the journal (its id is another one): starting anew");
    const message = text === "key" ? "an idempotency key was taken by another instance" : `Redis said: ${text}`;
    return { ok: false, reason: "journal_failed", message };
  }

  /** Reports outcomes in the order of the frames. */
  function answer(): void {
    let settled = 0;
    for (const { outcome, rowCount, epoch } of appends) {
      if (outcome === null) break;
      settled++;
      if (outcome.ok) {
        failure = null;
        noteCuts(epoch, outcome.cuts);
        post({ type: "durable", rows: rowCount, cuts: outcome.cuts });
      } else {
        if (up && failure === null) log("error", "the journal refused events", { error: outcome.message });
        if (outcome.reason === "journal_failed") failure = outcome.message;
        post({ type: "refused", rows: rowCount, reason: outcome.reason, message: outcome.message });
      }
    }
    appends.splice(0, settled);
  }

  function noteCuts(epoch: number, cuts: readonly number[]): void {
    const last = unsettled[unsettled.length - 1];
    const sum = cuts.map((cut, shard) => Math.max(cut, last?.cuts[shard] ?? 0));
    if (last && sum.every((cut, shard) => cut === last.cuts[shard])) last.epoch = epoch;
    else unsettled.push({ epoch, cuts: sum });
  }

  /** Those in doubt for too long: refused now, revoked later. */
  function giveUp(): void {
    const oldestMs = deps.now() - uncertainMaxMs;
    for (const each of appends) {
      if (each.outcome !== null || each.state !== "in_doubt" || each.doubtSinceMs > oldestMs) continue;
      each.outcome = away;
      if (revocations.length < revocationsMax) revocations.push(each.number);
      else
        log("error", "too many appends in doubt: one that was refused may have been accepted", { rows: each.rowCount });
    }
    answer();
  }
  const doubtTimer = setInterval(() => {
    if (!up) giveUp();
  }, 50);

  return {
    get failure() {
      return failure;
    },
    wake: drain,
    async up(id, count) {
      if (journalId === "") {
        journalId = id;
        shards = count;
        splitter = new RowSplitter(count);
      }
      await redis.call("SCRIPT", ["LOAD", append.text]);
      for (let first = revocations[0]; first !== undefined; first = revocations[0]) {
        const found = await redis.script(revoke, [options.instance, String(first)]);
        if (found === "stands") {
          log("error", "events were refused that had been accepted: Redis was away for too long to tell", {
            append: first,
          });
        }
        revocations.shift();
      }
      // All of them leave in this turn, in their order, before anything new can.
      for (const each of appends) if (each.outcome === null) send(each);
      up = true;
      drain();
    },
    down() {
      up = false;
      // What was never sent is surely not there; the rest has its time.
      for (const each of appends) if (each.state === "new" && each.outcome === null) each.outcome = away;
      drain();
    },
    settle(storedCuts) {
      let first = unsettled[0];
      while (first?.cuts.every((cut, shard) => cut <= (storedCuts[shard] ?? 0))) {
        unsettled.shift();
        const next = unsettled[0]?.epoch;
        // More of the newest epoch may still come, or be on its way.
        const open = next === first.epoch || appends.length > 0 || !ring.empty || ring.closedEpoch < first.epoch;
        settledEpoch = Math.max(settledEpoch, open ? first.epoch - 1 : first.epoch);
        if (open && next === undefined) {
          unsettled.unshift(first);
          break;
        }
        first = unsettled[0];
      }
      return settledEpoch;
    },
    finish(timeoutMs) {
      return new Promise((resolve) => {
        const late = setTimeout(resolve, Math.min(timeoutMs, uncertainMaxMs * 2));
        finished = () => {
          clearTimeout(late);
          clearInterval(doubtTimer);
          resolve();
        };
        drain();
      });
    },
  };
}
