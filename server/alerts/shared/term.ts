import { type AnyElysia, Elysia } from "elysia";
import type { Access, Viewer } from "../../access/access.ts";
import { errorResponse, internalError } from "../../http/errors.ts";
import { Refusal } from "../../query/refusal.ts";
import { openStore } from "../../store/store.ts";
import { type AskPast, createAskPast } from "../backtest/past.ts";
import { HeardBefore } from "../center/heard-before.ts";
import { seriesMaxDefault } from "../evaluation/evaluator.ts";
import { type AlertsDeps, type AlertsSettings, pastLookMs, pastMaxMs } from "../open-alerts.ts";
import { replayPast } from "../replay-past.ts";
import { type AlertSession, createAlertSession } from "../session.ts";
import { alertMigrations } from "../state/migrations.ts";
import { createRepository } from "../state/repository.ts";
import { createRowWriter } from "../state/rows.ts";
import { CommitQueue, LeaseLostError } from "./commit-queue.ts";
import { answerOf, type Forwarded, requestOf } from "./forwarding.ts";
import { JournalTail } from "./journal-tail.ts";
import { allRows, createSharedWriter } from "./shared-rows.ts";
import type { SharedState } from "./shared-state.ts";

/** History kept in Redis, about 0.7 KB each. */
const sharedTransitionsMax = 50_000;
/** Clocks of other instances may be ahead by so much. */
const skewMs = 3_600_000;
/** Written with the first rows that are shared. */
const sharedFact = "shared";

export interface TermDeps extends AlertsDeps {
  readonly state: SharedState;
  /** Once: nothing of this term is written any more. */
  readonly onLost: (reason: string) => void;
}

/**
 * One instance's time with the lease. State is a copy in memory of what is in Redis: read when the term begins, and written there with
 * each commit, fenced by the term. Messages leave once Redis has what they tell. When anything goes wrong the term ends, and whoever
 * has the lease next begins with what is in Redis.
 */
export class Term {
  readonly number: number;
  readonly #deps: TermDeps;
  readonly #settings: AlertsSettings;
  readonly #queue: CommitQueue;
  readonly #access: TermAccess;
  #heldUntilMs: number;
  #session: AlertSession | null = null;
  #app: AnyElysia | null = null;
  #tail: JournalTail | null = null;
  #heardUntilMs = Date.now();
  #isCurrent = false;
  #isPastRead = false;
  #isShownOld = true;
  #isEnding = false;

  /** `askedMs`: monotonic, from before the lease was asked for. */
  constructor(deps: TermDeps, settings: AlertsSettings, taken: { term: number; askedMs: number }) {
    const { state, log } = deps;
    this.number = taken.term;
    this.#deps = deps;
    this.#settings = settings;
    this.#heldUntilMs = taken.askedMs + state.leaseMs;
    this.#access = createTermAccess(deps.access);
    this.#queue = new CommitQueue(
      (commit) => state.write(this.number, commit),
      (reason) => {
        log("warn", "this instance no longer decides on alerts", { term: this.number, reason });
        void this.#session?.center.postOffice.stop();
        deps.onLost(reason);
      },
    );
  }

  /** Null until the state is there. */
  get session(): AlertSession | null {
    return this.#session;
  }

  /** No other instance can have the lease now. By the monotonic clock: clocks that are set, or differ, make no difference. */
  get holds(): boolean {
    return performance.now() < this.#heldUntilMs;
  }

  lose(reason: string): void {
    this.#queue.lose(reason);
  }

  /** Reads the state and what came since; the lease is kept by `step` meanwhile. `goneMs`: since the holder before. */
  async begin(goneMs: number | null): Promise<void> {
    const { state, store: local, log } = this.#deps;
    const store = openStore(":memory:", [alertMigrations]);
    const rows = await state.load();
    createRowWriter(store)(rows);
    const write = createSharedWriter(store, (changed) => this.#queue.add(changed));
    // What this instance decided alone, before it shared a journal, is what the instances begin with.
    const isFirst = !rows.some((change) => "put" in change && change.put.name === sharedFact);
    if (isFirst) write([...allRows(local), { table: "alert_facts", put: { name: sharedFact, value: "1" } }]);
    const lastAliveMs = goneMs === null ? null : Date.now() - goneMs;
    const ask = createAskPast(this.#deps.clickhouse);
    const directory = new HeardBefore(this.#deps.directory);
    const session = createAlertSession(
      {
        ...this.#deps,
        repository: createRepository(store, {
          transitionsMax: sharedTransitionsMax,
          write,
          whenDurable: (run) => this.#queue.whenWritten(run),
        }),
        ask,
        directory,
        access: this.#access,
        accepting: () => this.#deps.accepting() && this.#isCurrent,
        heardUntilMs: () => this.#heardUntilMs,
        maySend: () => this.holds,
        onChange: () => {
          this.#isShownOld = true;
          this.#deps.onChange();
        },
      },
      this.#settings,
      { lastAliveMs },
    );
    const reason = session.loadFile();
    if (reason !== null) log("error", "ALERTS_FILE cannot be used", { file: this.#settings.file, reason });
    session.center.open();
    this.#tail = new JournalTail({
      evaluator: session.center.evaluator,
      directory,
      rowsOf: state.rowsOf,
      subjectsMax: seriesMaxDefault,
      onError: (error) => log("error", "an alert rule failed on an event", { error: String(error) }),
    });
    this.#app = new Elysia()
      .onError(({ error }) => {
        log("error", "a request failed", { error: String(error) });
        return internalError();
      })
      .use([...session.controllers, ...session.editingControllers]);
    this.#session = session;
    await this.#readPast(session, this.#tail, { ask, directory, lastAliveMs });
  }

  /** Keeps the lease, reads what is new in the journal, decides. Ten times a second. */
  async step(): Promise<void> {
    const { state } = this.#deps;
    const asked = { monotonicMs: performance.now(), wallMs: Date.now() };
    const kept = await state.keep(this.number, this.#tail?.places ?? new Map());
    this.#heldUntilMs = asked.monotonicMs + state.leaseMs;
    for (const request of kept.requests) void this.#answer(request, kept.nowMs);
    const [session, tail] = [this.#session, this.#tail];
    if (session === null || tail === null || this.#isEnding) return;
    this.#isCurrent = await tail.read(kept.shards, Date.now() - kept.nowMs);
    if (this.#isCurrent) this.#heardUntilMs = asked.wallMs;
    session.tick(this.#isPastRead && this.#isCurrent);
    if (tail.isFollowing && tail.hasMoved && session.center.isWritten) this.#queue.decidedUpTo(tail.takeMoved());
    if (!this.#isShownOld) return;
    this.#isShownOld = false;
    await state.show(this.number, JSON.stringify(session.update()));
  }

  /** A request that came in here. */
  async handle(request: Request): Promise<Response> {
    const app = this.#app;
    if (app === null) return noHolder();
    const response = await app.handle(request);
    if (request.method === "GET" || request.method === "HEAD") return response;
    try {
      await this.#queue.written();
      return response;
    } catch (error) {
      if (error instanceof LeaseLostError) return noHolder();
      throw error;
    }
  }

  /** Writes what was decided, and lets another instance take over at once. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#session?.center.stop();
    await this.#queue.written().catch(() => undefined);
    await this.#deps.state.release(this.number).catch(() => undefined);
  }

  async #answer(text: string, nowMs: number): Promise<void> {
    const { state, log } = this.#deps;
    const split = text.indexOf(" ");
    // Written by `forwardedOf` alone.
    const forwarded = JSON.parse(text.slice(split + 1)) as Forwarded;
    if (nowMs - Number(text.slice(0, split)) > forwarded.validForMs) return;
    const request = requestOf(forwarded);
    this.#access.vouch(request, forwarded.who);
    try {
      const answer = await answerOf(await this.handle(request));
      await state.answer(forwarded.id, JSON.stringify(answer));
    } catch (error) {
      log("warn", "a request of another instance was not answered", { path: forwarded.path, error: String(error) });
    }
  }

  /**
   * What is in ClickHouse and not in the journal any more is read while no insert is under way, so that each event is found in one of
   * the two. Then the journal is read from there on: what the holder before had decided on fills windows, and the rest is decided on.
   */
  async #readPast(
    session: AlertSession,
    tail: JournalTail,
    past: { ask: AskPast; directory: HeardBefore; lastAliveMs: number | null },
  ): Promise<void> {
    const { state, log } = this.#deps;
    const { lastAliveMs, ask, directory } = past;
    const decided = await state.places();
    const deadline = performance.now() + pastMaxMs;
    let read = lastAliveMs === null ? ("nothing" as const) : await this.#tryReplay(session, ask, lastAliveMs);
    while (read === null && performance.now() < deadline && this.holds) {
      await Bun.sleep(pastLookMs);
      read = await this.#tryReplay(session, ask, lastAliveMs ?? 0);
    }
    if (read === null) log("error", "ClickHouse does not tell what came before; windows of alert rules fill anew", {});
    const { trimmed, isWhole } = read === null || read === "nothing" ? { trimmed: null, isWhole: false } : read;
    const trust = isWhole ? () => session.center.evaluator.trustWindows(Date.now()) : () => undefined;
    tail.start(trimmed ?? (await state.trimmed()), decided, trust);
    while (!this.#isPastRead && this.holds && !this.#isEnding) {
      this.#isPastRead = lastAliveMs === null || (await tryHeard(directory, ask, lastAliveMs));
      if (!this.#isPastRead) await Bun.sleep(pastLookMs);
    }
  }

  /** Null: try again. */
  async #tryReplay(
    { center }: AlertSession,
    ask: AskPast,
    lastAliveMs: number,
  ): Promise<{ trimmed: ReadonlyMap<number, string>; isWhole: boolean } | null> {
    const { state, log } = this.#deps;
    const { evaluator } = center;
    if (!evaluator.watchesEvents) return { trimmed: await state.trimmed(), isWhole: false };
    const trimmed = await state.openGate();
    if (trimmed === null) return null;
    const startedMs = Date.now();
    let isSound: boolean | null = null;
    try {
      const isWhole = await replayPast(
        { ask, evaluator, log },
        {
          startedMs,
          lastAliveMs,
          receivedBeforeMs: startedMs + skewMs,
          isSound: async () => {
            isSound = await state.closeGate();
            return isSound;
          },
        },
      );
      return isSound === false ? null : { trimmed, isWhole };
    } catch (error) {
      if (error instanceof Refusal) return null;
      throw error;
    } finally {
      if (isSound === null) await state.closeGate();
    }
  }
}

async function tryHeard(directory: HeardBefore, ask: AskPast, lastAliveMs: number): Promise<boolean> {
  try {
    await directory.read(ask, Date.now() + skewMs, lastAliveMs);
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

export const noHolder = (): Response =>
  errorResponse("alerts_unavailable", "no instance decides on alerts at this moment; try again in a few seconds");

interface TermAccess extends Pick<Access, "editor"> {
  /** The request comes from another instance, which has looked who asks. */
  vouch(request: Request, name: string): void;
}

function createTermAccess(access: Pick<Access, "editor">): TermAccess {
  const vouched = new WeakMap<Request, Viewer>();
  return {
    editor: (request) => vouched.get(request) ?? access.editor(request),
    vouch: (request, name) => void vouched.set(request, { name, editor: true }),
  };
}
