import { type CompiledRule, type Grouping, selects, type TextTest, type ValueTest } from "./compiled-rule.ts";
import type { Timed } from "./deadline-queue.ts";
import { EventWindow, type Thresholds } from "./event-window.ts";
import { advancePhase, applyUnknown, applyVerdict, dueAt, type Phase, type PhaseState } from "./phase.ts";

/** A newest value stands for this long, or for five of the series' own intervals when that is longer. */
const standsMs = 300_000;
const standsIntervals = 5;
const noThresholds: Thresholds = {
  above: Number.POSITIVE_INFINITY,
  recoverAbove: Number.POSITIVE_INFINITY,
  below: Number.NEGATIVE_INFINITY,
  recoverBelow: Number.NEGATIVE_INFINITY,
};

export type EventTest = ValueTest | TextTest;

/** What is kept of a series between two runs. */
export interface SeriesRecord {
  readonly phase: Phase;
  readonly sinceMs: number;
  readonly startedMs: number;
  readonly clockMs: number;
  readonly lagMs: number;
  readonly pausedMs: number;
  readonly value: number | string | null;
}

/**
 * One rule and what it looks at: a device, a group, or the fleet.
 *
 * A series of one device goes by that device's clock: `clockMs` is the time of its newest event, and while nothing comes it moves
 * on as the server's clock does, `lagMs` behind it. So a device that delivers hours late gets the alarms that it would have got,
 * at the times of its events; what is due in between waits for the events that may still come in the same burst. A series
 * of several devices goes by the server's clock: one device whose clock is ahead must not make the others late.
 */
export class Series implements PhaseState, Timed {
  readonly rule: CompiledRule;
  readonly key: string;
  readonly deviceId: string | null;
  readonly group: string | null;
  phase: Phase = "inactive";
  sinceMs = 0;
  startedMs = 0;
  pausedMs = 0;
  dueMs = Number.POSITIVE_INFINITY;
  queuedMs = Number.POSITIVE_INFINITY;
  clockMs = Number.NEGATIVE_INFINITY;
  lagMs = 0;
  value: number | string | null = null;
  /** Mean time between the newest events; 0: not known. */
  gapMs = 0;
  /** Until then a window that lacks what came before is not judged. */
  trustedMs = Number.NEGATIVE_INFINITY;
  /** False: the evaluator has let go of it; events on their way to it are for nobody. */
  isOpen = true;
  readonly window: EventWindow | null;
  readonly thresholds: Thresholds;

  constructor(rule: CompiledRule, deviceId: string | null, group: string | null) {
    const { test } = rule;
    this.rule = rule;
    this.deviceId = deviceId;
    this.group = group;
    this.key = seriesKey(rule.id, deviceId, group);
    this.thresholds = test.kind === "value" ? test.thresholds : noThresholds;
    this.window =
      test.kind === "value" && test.measure !== "last"
        ? new EventWindow(test.windowMs ?? 0, test.measure, test.thresholds)
        : null;
  }

  get isShared(): boolean {
    return this.deviceId === null;
  }

  /** Beyond the condition's entry it must come back further than it went. */
  get isHeld(): boolean {
    return this.phase === "firing" || this.phase === "stale";
  }

  record(): SeriesRecord {
    const { phase, sinceMs, startedMs, clockMs, lagMs, pausedMs, value } = this;
    return { phase, sinceMs, startedMs, clockMs, lagMs, pausedMs, value };
  }

  restore(record: SeriesRecord): void {
    this.phase = record.phase;
    this.sinceMs = record.sinceMs;
    this.startedMs = record.startedMs;
    this.clockMs = record.clockMs;
    this.lagMs = record.lagMs;
    this.pausedMs = record.pausedMs;
    this.value = record.value;
  }
}

export function seriesKey(ruleId: string, deviceId: string | null, group: string | null): string {
  return deviceId !== null ? `${ruleId}/d/${deviceId}` : group !== null ? `${ruleId}/g/${group}` : `${ruleId}/`;
}

/** Tells of a change; `series` has the phase already. */
export type SeriesChange = (series: Series, from: Phase, to: Phase | "resolved", atMs: number) => void;

/** One event of the series. `value` NaN: none. Texts are judged before: 1 is bad, 0 is good. */
export function observe(
  series: Series,
  timeMs: number,
  receivedMs: number,
  value: number,
  text: string | null,
  change: SeriesChange,
): void {
  if (series.window !== null) {
    observeWindow(series, series.window, timeMs, receivedMs, value, change);
    return;
  }
  const atMs = series.isShared && timeMs > receivedMs ? receivedMs : timeMs;
  // An older event, late: what is known is newer.
  if (atMs < series.clockMs || (text === null && Number.isNaN(value))) return;
  const { thresholds } = series;
  const isTextBad = text !== null && value > 0;
  if (series.phase === "inactive" && text === null && value <= thresholds.above && value >= thresholds.below) {
    tick(series, atMs, receivedMs);
    series.value = value;
    return;
  }
  advanceBefore(series, atMs, change);
  tick(series, atMs, receivedMs);
  series.value = text ?? value;
  const isBad = text === null ? isOutside(thresholds, value, series.isHeld) : isTextBad;
  // What was due by the server's clock may have happened before an event that was under way.
  const verdictMs = Math.max(atMs, series.sinceMs);
  applyVerdict(series, series.rule.timing, isBad, verdictMs, (from, to, at) => change(series, from, to, at));
  settle(series, atMs, change);
}

function isOutside(thresholds: Thresholds, value: number, held: boolean): boolean {
  return held
    ? value > thresholds.recoverAbove || value < thresholds.recoverBelow
    : value > thresholds.above || value < thresholds.below;
}

function tick(series: Series, atMs: number, receivedMs: number): void {
  const gapMs = atMs - series.clockMs;
  // At rest the newest gap will do: quiet events leave no more than their time.
  const weight = series.phase === "inactive" || series.gapMs === 0 ? 1 : 8;
  if (gapMs < Number.POSITIVE_INFINITY) series.gapMs += (gapMs - series.gapMs) / weight;
  series.clockMs = atMs;
  series.lagMs = series.isShared ? 0 : receivedMs - atMs;
}

function observeWindow(
  series: Series,
  window: EventWindow,
  timeMs: number,
  receivedMs: number,
  value: number,
  change: SeriesChange,
): void {
  const isFirst = series.clockMs === Number.NEGATIVE_INFINITY;
  if (series.isShared) {
    advanceBefore(series, receivedMs, change);
    if (receivedMs > series.clockMs) series.clockMs = receivedMs;
    if (!window.add(Math.min(timeMs, receivedMs), value)) return;
    window.advance(series.clockMs);
  } else {
    if (timeMs > series.clockMs) {
      advanceBefore(series, timeMs, change);
      series.clockMs = timeMs;
      series.lagMs = receivedMs - timeMs;
    }
    if (!window.add(timeMs, value)) return;
  }
  if (isFirst && countsWhatIsMissing(series)) trustAfterWindow(series, series.clockMs);
  judgeWindow(series, window, series.clockMs, change);
  settle(series, series.clockMs, change);
}

/** For these a window that is not full yet looks as if events were missing. */
function countsWhatIsMissing({ rule: { test } }: Series): boolean {
  if (test.kind !== "value" || test.thresholds.below === Number.NEGATIVE_INFINITY) return false;
  return test.measure === "count" || test.measure === "rate" || test.measure === "sum";
}

/** The window is judged once it has been filled from `fromMs` on. */
export function trustAfterWindow(series: Series, fromMs: number): void {
  const { test } = series.rule;
  if (series.window === null || test.kind !== "value" || test.windowMs === null) return;
  series.trustedMs = Math.max(series.trustedMs, fromMs + test.windowMs);
}

function judgeWindow(series: Series, window: EventWindow, atMs: number, change: SeriesChange): void {
  if (atMs < series.trustedMs) return;
  const value = window.value();
  const isNothing = window.isEmpty && !(value === 0 && series.thresholds.below > Number.NEGATIVE_INFINITY);
  const isBad = isNothing ? null : window.isBad(series.isHeld);
  if (isBad === null) {
    applyUnknown(series, atMs, (from, to, at) => change(series, from, to, at));
    return;
  }
  // The figure costs a look at every value where it is a quantile, and nobody sees that of a series at rest.
  if (isBad || series.phase !== "inactive") series.value = value;
  if (!isBad && series.phase === "inactive") return;
  applyVerdict(series, series.rule.timing, isBad, atMs, (from, to, at) => change(series, from, to, at));
}

/** When something happens by itself, on the series' own clock. */
function nextOwnMs(series: Series): number {
  const { test, timing } = series.rule;
  const phaseDue = dueAt(series, timing);
  if (test.kind === "silent" || test.kind === "pipeline") return phaseDue;
  if (series.window === null) return Math.min(phaseDue, unknownAt(series, test));
  const untrusted =
    series.trustedMs > series.clockMs && !series.window.isEmpty ? series.trustedMs : Number.POSITIVE_INFINITY;
  return Math.min(phaseDue, series.window.expiresMs, untrusted);
}

/** When the newest value stands no more. */
function unknownAt(series: Series, test: EventTest): number {
  if (series.phase !== "firing" && series.phase !== "pending") return Number.POSITIVE_INFINITY;
  const given = test.kind === "value" ? test.windowMs : null;
  return series.clockMs + series.pausedMs + (given ?? Math.max(standsMs, standsIntervals * series.gapMs));
}

/** What was due before `atMs` happens, each at its own time; what is due at that very moment waits for what is said of it. */
function advanceBefore(series: Series, atMs: number, change: SeriesChange): void {
  for (let due = nextOwnMs(series); due < atMs; due = nextOwnMs(series)) passDue(series, due, change);
}

/** The same, `atMs` included, and sets the next deadline. */
function settle(series: Series, atMs: number, change: SeriesChange): void {
  let due = nextOwnMs(series);
  for (; due <= atMs; due = nextOwnMs(series)) passDue(series, due, change);
  series.dueMs = due + series.lagMs;
}

function passDue(series: Series, dueMs: number, change: SeriesChange): void {
  const { rule, window } = series;
  const tell = (from: Phase, to: Phase | "resolved", at: number): void => change(series, from, to, at);
  if (window !== null && (window.expiresMs <= dueMs || series.trustedMs === dueMs)) {
    window.advance(dueMs);
    if (dueMs > series.clockMs) {
      // The clock has moved without an event; the next event is compared with what it is now.
      series.clockMs = dueMs;
    }
    judgeWindow(series, window, dueMs, change);
  } else if (window === null && rule.test.kind !== "silent" && rule.test.kind !== "pipeline") {
    if (unknownAt(series, rule.test) <= dueMs) applyUnknown(series, dueMs, tell);
  }
  advancePhase(series, rule.timing, dueMs, tell);
}

/** Time has passed on the server; `series.dueMs` is set anew. */
export function pass(series: Series, nowMs: number, change: SeriesChange): void {
  settle(series, nowMs - series.lagMs, change);
}

/** A verdict that comes from elsewhere: of silence, of the pipeline. The clock is the server's. */
export function judge(series: Series, isBad: boolean, value: number | null, atMs: number, change: SeriesChange): void {
  advanceBefore(series, atMs, change);
  series.clockMs = atMs;
  if (isBad || series.phase !== "inactive") series.value = value;
  applyVerdict(series, series.rule.timing, isBad, atMs, (from, to, at) => change(series, from, to, at));
  settle(series, atMs, change);
}

/** Which series of a rule a device belongs to; null: to none. */
export function placeOf(
  rule: CompiledRule,
  grouping: Grouping,
  deviceId: string,
  metadata: Readonly<Record<string, string>>,
): { readonly deviceId: string | null; readonly group: string | null } | null {
  if (!selects(rule, deviceId, metadata)) return null;
  if (grouping.by === "device") return { deviceId, group: null };
  if (grouping.by === "fleet") return { deviceId: null, group: null };
  const group = metadata[grouping.key];
  return group === undefined ? null : { deviceId: null, group };
}
