import { SQLiteError } from "bun:sqlite";
import type { Log } from "../../../base/log.ts";
import { Evaluator, seriesMaxDefault } from "../evaluation/evaluator.ts";
import type { Series } from "../evaluation/series.ts";
import { EventTap } from "../event-tap.ts";
import { alertId } from "../identity.ts";
import { createMutes, type Labelled, type Mutes } from "../muting/muting.ts";
import type { Outgoing } from "../notify/bodies.ts";
import type { Attempt } from "../notify/courier.ts";
import { type Message, Notifier } from "../notify/notifier.ts";
import { testMessage } from "../notify/test-message.ts";
import type { AuditRecord } from "../state/records.ts";
import type { Repository } from "../state/repository.ts";
import type { RowChange } from "../state/rows.ts";
import type { DeviceDirectory } from "./device-directory.ts";
import { Downtime, type Span } from "./downtime.ts";
import { type AlertFigures, countAlerts } from "./figures.ts";
import { Instances } from "./instances.ts";
import { type PipelineReading, PipelineWatch } from "./pipeline-watch.ts";
import { PostOffice } from "./post-office.ts";
import { Registry } from "./registry.ts";
import { SilenceWatch } from "./silence-watch.ts";
import { StallWatch } from "./stall-watch.ts";
import { TransitionQueue } from "./transition-queue.ts";

export interface AlertCenterDeps {
  readonly log: Log;
  readonly repository: Repository;
  readonly directory: DeviceDirectory;
  readonly reading: () => PipelineReading;
  /** Devices can deliver now. */
  readonly accepting: () => boolean;
  /** Up to when all events are known that were durable by then: nothing is due before. */
  readonly heardUntilMs: () => number;
  readonly send: (outgoing: Outgoing) => Promise<Attempt>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonicNow: () => number;
  readonly random: () => number;
  /** What people see of the alerts has changed. */
  readonly onChange: () => void;
}

export interface AlertCenterOptions {
  readonly seriesMax?: number;
  /** When this service was last known to run, by an earlier run; null: never. */
  readonly lastAliveMs: number | null;
}

/** Deadlines that pass in one tick, and transitions written in one transaction: both keep a storm from stopping the thread. */
const deadlinesPerTick = 5_000;
const transitionsPerCommit = 1_000;
const readingMs = 1_000;
const stormMs = 1_000;
const manyAlarms = 1_000;
const maintenanceMs = 60_000;
/** Devices that have sent nothing for a day make room when the evaluator is full. */
const forgottenMs = 86_400_000;
const spansFact = "downtime";

/**
 * What the parts of the alerts do together. An event becomes durable, the evaluator decides, and the next tick writes what was
 * decided (the alarm's state, its history, what each channel is to be told) in one transaction; only then is anything sent.
 */
export class AlertCenter {
  readonly evaluator: Evaluator;
  readonly tap: EventTap;
  readonly registry: Registry;
  readonly instances: Instances;
  readonly postOffice: PostOffice;
  readonly #deps: AlertCenterDeps;
  readonly #options: AlertCenterOptions;
  readonly #notifier: Notifier;
  readonly #silence: SilenceWatch;
  readonly #pipeline: PipelineWatch;
  readonly #downtime: Downtime;
  readonly #stalls: StallWatch;
  readonly #transitions = new TransitionQueue();
  #isChanged = false;
  #toldMs = 0;
  #readMs = 0;
  #maintainedMs = 0;
  #phase: "starting" | "open" | "judging" = "starting";

  constructor(deps: AlertCenterDeps, options: AlertCenterOptions) {
    const { repository, directory } = deps;
    const nowMs = deps.now();
    this.#deps = deps;
    this.#downtime = new Downtime(parseSpans(repository.fact(spansFact)));
    this.#stalls = new StallWatch(this.#downtime, deps.monotonicNow, nowMs);
    const seriesMax = options.seriesMax ?? seriesMaxDefault;
    const metadataOf = (deviceId: string) => directory.find(deviceId)?.metadata;
    this.registry = new Registry(repository.make, {
      rules: repository.rules(),
      channels: repository.channels(),
      silences: repository.silences(),
    });
    this.evaluator = new Evaluator(
      { onTransition: (transition) => this.#transitions.push(transition), metadataOf },
      { seriesMax },
    );
    this.tap = new EventTap(this.evaluator, {
      subjectsMax: seriesMax,
      onError: (error) => deps.log("error", "an alert rule failed on an event", { error: String(error) }),
    });
    this.instances = new Instances({ make: repository.make, metadataOf });
    this.#silence = new SilenceWatch({ evaluator: this.evaluator, directory, downtime: this.#downtime });
    this.#pipeline = new PipelineWatch(this.evaluator, nowMs);
    this.#notifier = new Notifier(
      {
        make: repository.make,
        channels: () => this.registry.channels.values(),
        inhibitorsOf: (ruleId) => this.registry.rules.get(ruleId)?.rule.inhibited_by ?? [],
        isAcknowledged: (alert) => this.#acknowledged().has(alert),
      },
      repository.notices(),
      repository.groups(),
      nowMs,
    );
    this.postOffice = new PostOffice(
      {
        make: repository.make,
        channels: this.registry.channels,
        content: (id) => repository.message(id)?.content,
        send: deps.send,
        commit: (changes) => this.#commit(changes),
        now: deps.now,
        random: deps.random,
      },
      repository.outbox(),
    );
    this.#options = options;
    this.#useRules(nowMs);
  }

  /** Nothing is watched and nothing waits: a tick does nothing. */
  get isIdle(): boolean {
    return this.registry.rules.size === 0 && this.isWritten;
  }

  /**
   * From here on devices can deliver. What an earlier run left goes on: waiting where it was, since in between nothing could be
   * heard.
   */
  open(): void {
    const nowMs = this.#deps.now();
    const { repository } = this.#deps;
    const sinceMs = Math.min(this.#options.lastAliveMs ?? nowMs, nowMs);
    this.#downtime.add(sinceMs, nowMs);
    this.instances.restore(this.evaluator, repository.instances(), nowMs - sinceMs);
    const waiting = [...this.evaluator.active()].filter(({ phase }) => phase === "pending" || phase === "recovering");
    // The next run has to know of this pause, too.
    try {
      this.#commit([
        ...waiting.map((series) => this.instances.row(series, nowMs)),
        repository.make.fact(spansFact, JSON.stringify(this.#downtime.spans)),
      ]);
    } catch (error) {
      // A full disk must not keep a service from starting: the pause is written with the first maintenance that finds room.
      if (!(error instanceof SQLiteError)) throw error;
      this.#downtime.changed = true;
    }
    this.evaluator.distrustWindows(nowMs);
    this.#stalls.restart(nowMs);
    this.#phase = "open";
  }

  /** Everything that was decided is committed. */
  get isWritten(): boolean {
    return this.#transitions.length === 0;
  }

  get isJudgingSilence(): boolean {
    return this.#phase === "judging";
  }

  /** The devices of earlier runs and when they were last heard are known: silence is judged from here on. */
  judgeSilence(): void {
    this.#stalls.excuse(this.#deps.now());
    this.#phase = "judging";
  }

  /** Call ten times a second. */
  tick(): void {
    if (this.#phase === "starting") return;
    const nowMs = this.#deps.now();
    this.#stalls.tick(nowMs, this.#phase === "judging" && this.#deps.accepting());
    if (this.isIdle && !this.#isChanged && this.#notifier.nextDueMs > nowMs) return;
    const heardMs = Math.min(nowMs, this.#deps.heardUntilMs());
    this.evaluator.advance(heardMs, deadlinesPerTick);
    if (this.#phase === "judging") this.#silence.tick(heardMs, deadlinesPerTick);
    if (!this.#pipeline.isIdle && nowMs - this.#readMs >= readingMs) {
      this.#readMs = nowMs;
      this.#pipeline.read(this.#deps.reading(), nowMs);
    }
    this.#write(nowMs);
    if (nowMs - this.#maintainedMs >= maintenanceMs) this.#maintain(nowMs);
  }

  /** A change of rules, channels or silences: written with its audit line, then in force. */
  change(changes: readonly RowChange[], audit: Omit<AuditRecord, "atMs">): void {
    const nowMs = this.#deps.now();
    const { make } = this.#deps.repository;
    const removed = changes.flatMap((change) =>
      "remove" in change && change.table === "alert_channels" ? [String(change.remove.id)] : [],
    );
    const forgotten = removed.flatMap((id) => this.#notifier.forgetChannel(id));
    this.#commit([...changes, ...forgotten, make.audit({ ...audit, atMs: nowMs })]);
    this.#deps.log("info", "alerts were changed", { who: audit.who, action: audit.action, target: audit.target });
    for (const id of removed) void this.postOffice.forget(id);
    if (changes.some(({ table }) => table === "alert_rules")) this.#useRules(nowMs);
    for (const change of changes)
      if (change.table === "alert_channels" && "put" in change) this.postOffice.wake(String(change.put.id));
    this.#notifier.reconsider(nowMs);
    this.#deps.onChange();
  }

  acknowledge(series: Series, by: string, comment: string | null): void {
    const nowMs = this.#deps.now();
    const record = comment === null ? null : { atMs: nowMs, by, comment };
    const change = this.instances.acknowledge(series, record, nowMs);
    const action = record === null ? "unacknowledge" : "acknowledge";
    this.change([change], { who: by, action, target: alertId(series.key, series.startedMs), detail: { comment } });
  }

  /** A message to see whether it arrives; it passes by the outbox. */
  async test(channelId: string): Promise<Attempt> {
    const record = this.registry.channels.get(channelId);
    const nowMs = this.#deps.now();
    if (record === undefined)
      return { ok: false, kind: "refused", message: "there is no such channel", retryAfter: null };
    return this.#deps.send(testMessage(channelId, record.channel, nowMs));
  }

  /** Answers who is muted at this moment. */
  mutes(): Mutes {
    return createMutes(this.registry.silences.values(), () => this.#firing(), this.#deps.now());
  }

  figures(): AlertFigures {
    const { evaluator, registry, postOffice } = this;
    return countAlerts({
      evaluator,
      registry,
      postOffice,
      silence: this.#silence,
      notifier: this.#notifier,
      transitions: this.#transitions,
    });
  }

  /** Series of a rule: devices under a rule of silence count from the start, others with their first event. */
  watchedBy(ruleId: string): number {
    return Math.max(this.evaluator.seriesOf(ruleId), this.#silence.watchedBy(ruleId));
  }

  /** A device's metadata have changed. */
  rebind(deviceId: string, metadata: Readonly<Record<string, string>>): void {
    this.evaluator.rebind(deviceId, metadata, this.#deps.now());
  }

  async stop(): Promise<void> {
    this.#write(this.#deps.now());
    await this.postOffice.stop();
  }

  #activeCount(): number {
    let count = 0;
    for (const _ of this.evaluator.active()) count++;
    return count;
  }

  *#firing(): Iterable<Labelled> {
    for (const series of this.evaluator.active()) if (series.phase !== "pending") yield this.instances.labelled(series);
  }

  #acknowledged(): Set<string> {
    const ids = new Set<string>();
    for (const series of this.evaluator.active())
      if (this.instances.acknowledgement(series) !== null) ids.add(alertId(series.key, series.startedMs));
    return ids;
  }

  #useRules(nowMs: number): void {
    const compiled = this.registry.compiled();
    this.evaluator.setRules(compiled, nowMs);
    this.#silence.setRules(compiled);
    this.#pipeline.setRules(compiled);
  }

  /** What was decided, what is to be told: one transaction. */
  #write(nowMs: number): void {
    const batch = this.#transitions.take(transitionsPerCommit);
    const { make } = this.#deps.repository;
    const changes: RowChange[] = [];
    for (const transition of batch) {
      const { record, notice } = this.instances.decide(transition, nowMs);
      changes.push(make.transition(record));
      if (notice === null) continue;
      changes.push(...this.#notifier.tell(notice, transition.series.rule.rule.channels, nowMs));
    }
    for (const series of new Set(batch.map((transition) => transition.series)))
      changes.push(this.instances.row(series, nowMs));
    let mutes: Mutes | undefined;
    const messages: Message[] = [];
    // While more is waiting to be written it would be told in pieces.
    if (this.#transitions.length === 0 && this.#notifier.nextDueMs <= nowMs) {
      const flushed = this.#notifier.flush(nowMs, () => (mutes ??= this.mutes()));
      messages.push(...flushed.messages);
      changes.push(...flushed.changes);
    }
    const posted = this.postOffice.post(messages, nowMs);
    this.#commit([...changes, ...posted.changes]);
    this.#deps.repository.whenDurable(posted.dispatch);
    if (batch.length > 0) this.#isChanged = true;
    this.#tellChange(nowMs);
  }

  /** While many alarms change, those who look are told once a second. */
  #tellChange(nowMs: number): void {
    const isSoon = nowMs - this.#toldMs < stormMs;
    if (!this.#isChanged || (isSoon && this.#activeCount() > manyAlarms)) return;
    this.#isChanged = false;
    this.#toldMs = nowMs;
    this.#deps.onChange();
  }

  #maintain(nowMs: number): void {
    this.#maintainedMs = nowMs;
    const { repository } = this.#deps;
    const changes = [
      ...this.instances.expired(nowMs, transitionsPerCommit),
      ...this.registry.expired(nowMs),
      ...repository.expired(),
    ];
    if (this.#downtime.changed) {
      this.#downtime.changed = false;
      changes.push(repository.make.fact(spansFact, JSON.stringify(this.#downtime.spans)));
    }
    this.#commit(changes);
    const isFull = [...this.registry.rules.keys()].some((id) => this.evaluator.skippedOf(id) > 0);
    if (isFull) this.evaluator.forget(nowMs - forgottenMs);
  }

  #commit(changes: readonly RowChange[]): void {
    if (changes.length === 0) return;
    this.#deps.repository.commit(changes);
    this.registry.apply(changes);
  }
}

function parseSpans(text: string | null): Span[] {
  // Written by `#maintain` alone.
  return text === null ? [] : (JSON.parse(text) as Span[]);
}
