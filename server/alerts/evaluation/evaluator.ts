import { hashDeviceId } from "../../../contract/row.ts";
import type { CompiledRule, SilentTest } from "./compiled-rule.ts";
import { DeadlineQueue } from "./deadline-queue.ts";
import { endPhase, type Phase } from "./phase.ts";
import {
  type EventTest,
  judge,
  observe,
  pass,
  placeOf,
  Series,
  type SeriesChange,
  type SeriesRecord,
  seriesKey,
  trustAfterWindow,
} from "./series.ts";
import { type Subject, SubjectTable } from "./subject-table.ts";

export type Metadata = Readonly<Record<string, string>>;

/** One change of one series, as it is decided. */
export interface SeriesTransition {
  readonly series: Series;
  readonly from: Phase;
  readonly to: Phase | "resolved";
  /** On the series' own clock. */
  readonly atMs: number;
  readonly value: number | string | null;
  /** When the alarm began, which names it. */
  readonly startedMs: number;
}

/** A rule over events, of one type. */
interface EventRule {
  readonly rule: CompiledRule;
  readonly test: EventTest;
}

/** The rules of one event type and the devices that send it. */
export interface TypeRules {
  readonly eventType: string;
  readonly rules: readonly EventRule[];
  readonly subjects: SubjectTable;
  /** A rule looks at texts. */
  readonly needsText: boolean;
  /**
   * A value from `quietFrom` to `quietTo` changes nothing at a device without an alarm; NaN: every event has to be looked at,
   * because a rule has a window, a text, or a series of several devices.
   */
  readonly quietFrom: number;
  readonly quietTo: number;
}

export interface EvaluatorOptions {
  /** Series of all rules together; further devices are not watched, and their rules say how many. */
  readonly seriesMax: number;
}

export const seriesMaxDefault = 500_000;

export interface EvaluatorDeps {
  readonly onTransition: (transition: SeriesTransition) => void;
  /** The newest metadata of a device, where it is known. */
  readonly metadataOf: (deviceId: string) => Metadata | undefined;
}

/**
 * Rules × series × time → transitions, with no clock and no storage of its own: the same code decides live and when a rule is
 * tried on the past. Rules are found by event type, devices under them by hash; time passes through a heap of deadlines.
 */
export class Evaluator {
  readonly #deps: EvaluatorDeps;
  readonly #options: EvaluatorOptions;
  readonly #deadlines = new DeadlineQueue<Series>();
  readonly #series = new Map<string, Series>();
  readonly #skipped = new Map<string, number>();
  readonly #seriesOfRule = new Map<string, number>();
  #types = new Map<string, TypeRules>();
  /** Differs whenever `typeRules` may answer otherwise. */
  version = 0;
  #rules = new Map<string, CompiledRule>();
  /** Series of windows made before then lack what came before the start. */
  #untrustedFromMs: number | null = null;
  readonly #change: SeriesChange = (series, from, to, atMs) =>
    this.#deps.onTransition({ series, from, to, atMs, value: series.value, startedMs: series.startedMs });

  constructor(deps: EvaluatorDeps, options: EvaluatorOptions = { seriesMax: seriesMaxDefault }) {
    this.#deps = deps;
    this.#options = options;
  }

  get seriesCount(): number {
    return this.#series.size;
  }

  get rules(): ReadonlyMap<string, CompiledRule> {
    return this.#rules;
  }

  /** Whether any rule looks at events. */
  get watchesEvents(): boolean {
    return this.#types.size > 0;
  }

  get nextDueMs(): number {
    return this.#deadlines.nextMs;
  }

  seriesOf(ruleId: string): number {
    return this.#seriesOfRule.get(ruleId) ?? 0;
  }

  skippedOf(ruleId: string): number {
    return this.#skipped.get(ruleId) ?? 0;
  }

  /** Those that are not at rest. */
  *active(): Iterable<Series> {
    for (const series of this.#series.values()) if (series.phase !== "inactive") yield series;
  }

  find(key: string): Series | undefined {
    return this.#series.get(key);
  }

  /**
   * The rules in force from `nowMs` on. One whose meaning has changed, or that is gone, ends its alarms. Devices are bound to
   * the rules anew with their next event; series of rules that stay are kept.
   */
  setRules(rules: readonly CompiledRule[], nowMs: number): void {
    this.version++;
    this.#catchUp();
    const before = this.#rules;
    this.#rules = new Map(rules.map((rule) => [rule.id, rule]));
    for (const series of [...this.#series.values()]) {
      const rule = this.#rules.get(series.rule.id);
      if (rule?.meaning === series.rule.meaning) this.#adopt(series, rule);
      else this.#drop(series, nowMs);
    }
    for (const id of before.keys()) if (!this.#rules.has(id)) this.#skipped.delete(id);
    const types = new Map<string, EventRule[]>();
    for (const rule of rules) {
      const { test } = rule;
      if (test.kind !== "value" && test.kind !== "text") continue;
      const list = types.get(test.eventType) ?? [];
      list.push({ rule, test });
      types.set(test.eventType, list);
    }
    this.#types = new Map(
      [...types].map(([eventType, list]) => [
        eventType,
        {
          eventType,
          rules: list,
          subjects: new SubjectTable(),
          needsText: list.some(({ test }) => test.kind === "text"),
          ...quietRange(list),
        },
      ]),
    );
  }

  /** A series as an earlier run left it. Call after `setRules` and before the first event. */
  restore(ruleId: string, deviceId: string | null, group: string | null, record: SeriesRecord): Series | undefined {
    const rule = this.#rules.get(ruleId);
    if (rule === undefined) return undefined;
    const series = this.#open(rule, deviceId, group);
    if (series === undefined) return undefined;
    series.restore(record);
    series.dueMs = record.clockMs === Number.NEGATIVE_INFINITY ? Number.POSITIVE_INFINITY : record.clockMs;
    this.#deadlines.schedule(series);
    return series;
  }

  /** Windows do not know what came before `fromMs`: they are judged once they are full, or after `trustWindows`. */
  distrustWindows(fromMs: number): void {
    this.#untrustedFromMs = fromMs;
    for (const series of this.#series.values()) trustAfterWindow(series, fromMs);
  }

  trustWindows(nowMs: number): void {
    this.#untrustedFromMs = null;
    for (const series of this.#series.values()) {
      series.trustedMs = Number.NEGATIVE_INFINITY;
      this.#pass(series, nowMs);
    }
  }

  /** The rules over a type of events: one look-up, and undefined for all but a few types. */
  typeRules(eventType: string): TypeRules | undefined {
    return this.#types.get(eventType);
  }

  /** The device's series; the first time they are made. `metadata`: of the event at hand. */
  subject(
    type: TypeRules,
    hashA: number,
    hashB: number,
    describe: () => { deviceId: string; metadata: Metadata },
  ): Subject {
    const known = type.subjects.find(hashA, hashB);
    if (known !== undefined) return known;
    const { deviceId, metadata } = describe();
    const series = this.#bind(type, deviceId, this.#deps.metadataOf(deviceId) ?? metadata);
    const subject: Subject = { deviceId, hashA, hashB, series, slot: -1 };
    type.subjects.add(subject);
    return subject;
  }

  /** An event that the table has not passed as quiet. */
  decide(
    type: TypeRules,
    subject: Subject,
    timeMs: number,
    receivedMs: number,
    value: number,
    text: string | null,
  ): void {
    // The device was forgotten while the event was on its way. After a change of rules the series that stayed are decided on.
    if (subject.slot === -1) return;
    catchUp(subject, type.subjects.clockOf(subject));
    this.observe(subject, timeMs, receivedMs, value, text);
    type.subjects.settle(subject);
  }

  /** `text` null: the event has none. */
  observe(subject: Subject, timeMs: number, receivedMs: number, value: number, text: string | null): void {
    const list = subject.series;
    for (let index = 0; index < list.length; index++) {
      const series = list[index] as Series;
      if (!series.isOpen) continue;
      const { test } = series.rule;
      if (test.kind === "text") {
        if (text === null) continue;
        observe(series, timeMs, receivedMs, test.isBad(text) ? 1 : 0, text, this.#change);
      } else observe(series, timeMs, receivedMs, value, null, this.#change);
      if (series.dueMs < series.queuedMs) this.#deadlines.schedule(series);
    }
  }

  /** An event of the time before the start, for rules without a window; `fill` is for those with one. */
  observeNewest(subject: Subject, timeMs: number, receivedMs: number, value: number, text: string | null): void {
    this.observe(
      { ...subject, series: subject.series.filter(({ window }) => window === null) },
      timeMs,
      receivedMs,
      value,
      text,
    );
  }

  /** An event of the time before the start: it fills windows and decides nothing. */
  fill(subject: Subject, timeMs: number, value: number): void {
    for (const series of subject.series) {
      if (series.window === null) continue;
      series.window.add(timeMs, value);
      if (timeMs > series.clockMs) series.clockMs = timeMs;
    }
  }

  /** Time has come to `nowMs`. At most `max` deadlines at a time; true when more are due. */
  advance(nowMs: number, max = Number.POSITIVE_INFINITY): boolean {
    for (let passed = 0; passed < max; passed++) {
      const series = this.#deadlines.takeDue(nowMs);
      if (series === undefined) return false;
      if (series.isOpen) this.#pass(series, nowMs);
    }
    return this.#deadlines.nextMs <= nowMs;
  }

  /** A verdict about a device's silence, or about the pipeline (no device). */
  judge(rule: CompiledRule, deviceId: string | null, isBad: boolean, value: number | null, atMs: number): void {
    const known = this.#series.get(seriesKey(rule.id, deviceId, null));
    if (known === undefined && !isBad) return;
    const series = known ?? this.#open(rule, deviceId, null);
    if (series === undefined) return;
    judge(series, isBad, value, atMs, this.#change);
    this.#deadlines.schedule(series);
  }

  /** A device's metadata are different now: it may come under other rules, and into other groups. */
  rebind(deviceId: string, metadata: Metadata, nowMs: number): void {
    const [hashA, hashB] = hashDeviceId(deviceId);
    for (const type of this.#types.values()) {
      const subject = type.subjects.find(hashA, hashB);
      if (subject === undefined) continue;
      const before = subject.series;
      subject.series = this.#bind(type, deviceId, metadata);
      for (const series of before) {
        if (!series.isShared && !subject.series.includes(series)) this.#drop(series, nowMs);
      }
    }
  }

  /** A device is no longer under a rule of silence. */
  release(rule: CompiledRule, deviceId: string, nowMs: number): void {
    const series = this.#series.get(seriesKey(rule.id, deviceId, null));
    if (series !== undefined) this.#drop(series, nowMs);
  }

  /** Forgets devices that are at rest and have sent nothing since `beforeMs`; gives how many series that were. */
  forget(beforeMs: number): number {
    const count = this.#series.size;
    this.#catchUp();
    for (const type of this.#types.values()) {
      const staying = type.subjects.all.filter(({ series }) =>
        series.some((each) => each.phase !== "inactive" || each.clockMs + each.lagMs >= beforeMs),
      );
      if (staying.length < type.subjects.size) type.subjects.replace([...staying]);
    }
    for (const series of [...this.#series.values()]) {
      if (series.phase === "inactive" && series.clockMs + series.lagMs < beforeMs) this.#remove(series);
    }
    if (this.#series.size < count) this.#skipped.clear();
    return count - this.#series.size;
  }

  #catchUp(): void {
    for (const { subjects } of this.#types.values())
      for (const subject of subjects.all) catchUp(subject, subjects.clockOf(subject));
  }

  #bind(type: TypeRules, deviceId: string, metadata: Metadata): Series[] {
    const list: Series[] = [];
    for (const { rule, test } of type.rules) {
      const place = placeOf(rule, test.by, deviceId, metadata);
      const series = place && this.#open(rule, place.deviceId, place.group);
      if (series) list.push(series);
    }
    return list;
  }

  #open(rule: CompiledRule, deviceId: string | null, group: string | null): Series | undefined {
    const key = seriesKey(rule.id, deviceId, group);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= this.#options.seriesMax) {
      this.#skipped.set(rule.id, (this.#skipped.get(rule.id) ?? 0) + 1);
      return undefined;
    }
    const series = new Series(rule, deviceId, group);
    if (this.#untrustedFromMs !== null) trustAfterWindow(series, this.#untrustedFromMs);
    this.#series.set(key, series);
    this.#seriesOfRule.set(rule.id, this.seriesOf(rule.id) + 1);
    return series;
  }

  #adopt(series: Series, rule: CompiledRule): void {
    // Name, severity, channels may differ; what it means does not.
    (series as { rule: CompiledRule }).rule = rule;
  }

  #drop(series: Series, nowMs: number): void {
    endPhase(series, nowMs, (from, to, atMs) => this.#change(series, from, to, atMs));
    this.#remove(series);
  }

  #remove(series: Series): void {
    series.isOpen = false;
    this.#series.delete(series.key);
    this.#seriesOfRule.set(series.rule.id, this.seriesOf(series.rule.id) - 1);
  }

  #pass(series: Series, nowMs: number): void {
    pass(series, nowMs, this.#change);
    this.#deadlines.schedule(series);
  }
}

/** Quiet events have moved the table's clock alone. */
function catchUp({ series }: Subject, clockMs: number): void {
  for (const each of series)
    if (!each.isShared && each.window === null && clockMs > each.clockMs) each.clockMs = clockMs;
}

function quietRange(rules: readonly EventRule[]): Pick<TypeRules, "quietFrom" | "quietTo"> {
  const range = { quietFrom: Number.NEGATIVE_INFINITY, quietTo: Number.POSITIVE_INFINITY };
  for (const { test } of rules) {
    if (test.kind !== "value" || test.measure !== "last" || test.by.by !== "device")
      return { quietFrom: Number.NaN, quietTo: Number.NaN };
    range.quietFrom = Math.max(range.quietFrom, test.thresholds.below);
    range.quietTo = Math.min(range.quietTo, test.thresholds.above);
  }
  return range;
}

/** For how long a device may say nothing under a rule of silence; null: its interval is not known, so nothing is decided. */
export function silenceLimitMs(test: SilentTest, intervalMs: number | null): number | null {
  const byInterval = test.intervals === null || intervalMs === null ? null : test.intervals * intervalMs;
  if (test.afterMs === null) return byInterval;
  return Math.max(test.afterMs, byInterval ?? 0);
}
