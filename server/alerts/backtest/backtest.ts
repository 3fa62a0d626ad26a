import { alertLimits, type RuleTest, type RuleTestResult } from "../../../contract/alerts.ts";
import type { RowBinaryReader } from "../../../contract/row.ts";
import { parseTime } from "../../query/parameters.ts";
import type { DeviceDirectory } from "../center/device-directory.ts";
import {
  type CompiledRule,
  compileRule,
  type SilentTest,
  selects,
  type TextTest,
  type ValueTest,
} from "../evaluation/compiled-rule.ts";
import { silenceLimitMs } from "../evaluation/evaluator.ts";
import type { BodyFault, Checked } from "../rule-check.ts";
import { devicesCutOff } from "./cut-off.ts";
import {
  buildCellsQuery,
  buildCountQuery,
  buildEventsQuery,
  buildGapsQuery,
  buildRollupQuery,
  buildStepsQuery,
  type Cells,
  cellSecondsOf,
  type PastQuery,
  type PastRange,
} from "./event-queries.ts";
import type { AskPast } from "./past.ts";
import { createReplay, type PastEvent, type Replay } from "./replay.ts";

export interface BacktestDeps {
  readonly ask: AskPast;
  readonly directory: DeviceDirectory;
  readonly now: () => number;
}

export interface Backtest {
  /** What the rule would have done in the range. Throws `Refusal` when ClickHouse says no. */
  run(test: RuleTest, signal: AbortSignal): Promise<Checked<RuleTestResult>>;
}

const defaultRangeMs = 7 * 86_400_000;
const rangeMaxMs = 92 * 86_400_000;
/** Events that are replayed one by one; where more are near the threshold, figures of steps are. */
const eventsMax = 1_500_000;
/** So many are read without a look where they matter. */
const plainMax = 200_000;
const cellsMax = 50_000;
const cellIntervalMaxMs = 12 * 3_600_000;
/** Devices of which everything is read, because what matters goes on beyond its cell. */
const wholeMax = 1_000;
/** How far the estimate of what cells hold may be off. */
const estimateFactor = 1.5;
const stepsMax = 2_000_000;
/** Steps of one series that are aimed at. */
const seriesSteps = 3_000;

/** Tries a rule on the past: the evaluator that decides live, over what ClickHouse has stored. */
export function createBacktest(deps: BacktestDeps, options: { readonly plainMax?: number } = {}): Backtest {
  const { ask, now, directory } = deps;
  const metadataOf = (deviceId: string) => directory.find(deviceId)?.metadata;

  function rangeOf(test: RuleTest): PastRange | BodyFault {
    const toMs = test.to === undefined ? now() : parseTime(test.to);
    if (toMs === undefined) return { path: "/to", message: "must be an ISO 8601 time" };
    const fromMs = test.from === undefined ? toMs - defaultRangeMs : parseTime(test.from);
    if (fromMs === undefined) return { path: "/from", message: "must be an ISO 8601 time" };
    if (fromMs >= toMs) return { path: "/from", message: "must be before to" };
    if (toMs - fromMs > rangeMaxMs) return { path: "/from", message: "must be at most 92 days before to" };
    return { fromMs, toMs };
  }

  /** The devices that a rule is about, and how many there are at all. */
  function fleetOf(rule: CompiledRule): { all: number; intervals: (number | null)[] } {
    const intervals: (number | null)[] = [];
    let all = 0;
    directory.forEach(({ deviceId, intervalMs, metadata }) => {
      all++;
      if (selects(rule, deviceId, metadata)) intervals.push(intervalMs);
    });
    return { all: Math.max(1, all), intervals };
  }

  /** Which part of the events has to be read; null: all. `undefined`: there is too much of it. */
  async function cellsOf(
    rule: CompiledRule,
    test: ValueTest | TextTest,
    past: PastRange,
    signal: AbortSignal,
  ): Promise<Cells | null | undefined> {
    const { all, intervals } = fleetOf(rule);
    const count = buildCountQuery(test, past);
    const total = (await ask(count.sql, count.params, signal)).uint64();
    if (total <= (options.plainMax ?? plainMax)) return null;
    const longestMs = intervals.reduce<number>((longest, each) => Math.max(longest, each ?? 0), 0);
    const cellSeconds = cellSecondsOf(test, Math.min(longestMs, cellIntervalMaxMs));
    const query = buildCellsQuery(rule, test, past, { cellSeconds, limit: cellsMax + 1 });
    const isTooMuch = (events: number): boolean => events > estimateFactor * eventsMax;
    if (query === null) return isTooMuch((total * intervals.length) / all) ? undefined : null;
    const reader = await ask(query.sql, query.params, signal);
    const hashes: string[] = [];
    while (!reader.done) hashes.push(reader.string());
    const cells = all * ((past.toMs - past.fromMs) / 1000 / cellSeconds);
    if (hashes.length > cellsMax || isTooMuch((total * hashes.length) / cells)) return undefined;
    return { seconds: cellSeconds, hashes, whole: [] };
  }

  /** False: there are too many events near the threshold. */
  async function replayEvents(
    rule: CompiledRule,
    test: ValueTest | TextTest,
    past: PastRange,
    replay: Replay,
    signal: AbortSignal,
  ): Promise<boolean> {
    const cells = await cellsOf(rule, test, past, signal);
    if (cells === undefined) return false;
    const read = async (of: Cells | null): Promise<PastEvent[] | null> => {
      const query = buildEventsQuery(rule, test, past, { cells: of, limit: eventsMax + 1 });
      return eventsOf(await ask(query.sql, query.params, signal), eventsMax);
    };
    let events = await read(cells);
    if (events !== null && cells !== null) {
      const whole = devicesCutOff(test, events, { ...past, cellSeconds: cells.seconds });
      if (whole.length > wholeMax) return false;
      if (whole.length > 0) events = await read({ ...cells, whole });
    }
    if (events === null) return false;
    for (const event of events) replay.event(event);
    return true;
  }

  /** Figures of steps, compared with the thresholds as newest values are; gives the step's length in seconds. */
  async function replaySteps(
    rule: CompiledRule,
    test: ValueTest,
    past: PastRange,
    signal: AbortSignal,
  ): Promise<{ replay: Replay; stepSeconds: number }> {
    const devices = test.by.by === "device" ? Math.max(1, fleetOf(rule).intervals.length) : 1;
    const perSeries = Math.min(seriesSteps, stepsMax / devices);
    const least = Math.ceil((past.toMs - past.fromMs) / 1000 / perSeries);
    const windowSeconds = Math.round((test.windowMs ?? 60_000) / 1000);
    const stepSeconds = Math.max(1, Math.ceil(Math.max(least, windowSeconds) / windowSeconds)) * windowSeconds;
    const stepped: CompiledRule = {
      ...rule,
      test: { ...test, measure: "last", windowMs: Math.max(300_000, 2_000 * stepSeconds) },
    };
    const byDevice = test.by.by === "device";
    const replay = createReplay(
      byDevice ? stepped : { ...stepped, prefix: null, meta: [] },
      byDevice ? metadataOf : (group) => (test.by.by === "meta" ? { [test.by.key]: group } : {}),
    );
    const query: PastQuery =
      buildRollupQuery(rule, test, past, stepSeconds, now()) ??
      buildStepsQuery(rule, test, past, stepSeconds, stepsMax);
    for (const event of eventsOf(await ask(query.sql, query.params, signal), stepsMax) ?? []) replay.event(event);
    return { replay, stepSeconds };
  }

  async function replaySilence(
    rule: CompiledRule,
    test: SilentTest,
    past: PastRange,
    replay: Replay,
    signal: AbortSignal,
  ): Promise<void> {
    const limits = fleetOf(rule).intervals.map((intervalMs) => silenceLimitMs(test, intervalMs));
    const known = limits.filter((limitMs) => limitMs !== null);
    const query = buildGapsQuery(rule.prefix ?? "", past, {
      leastSeconds: Math.max(2, Math.floor(known.reduce((least, each) => Math.min(least, each), rangeMaxMs) / 1000)),
      afterSeconds: Math.floor((test.afterMs ?? 0) / 1000),
      intervals: test.intervals ?? 0,
    });
    const reader = await ask(query.sql, query.params, signal);
    const verdicts: { deviceId: string; isSilent: boolean; seconds: number | null; atMs: number }[] = [];
    while (!reader.done) {
      const deviceId = reader.string();
      const [first, last, events] = [reader.uint32() * 1000, reader.uint32() * 1000, reader.uint32()];
      reader.uint32();
      const ends = Array.from({ length: reader.length() }, () => reader.uint32() * 1000);
      const lengths = Array.from({ length: reader.length() }, () => reader.uint32() * 1000);
      const device = directory.find(deviceId);
      if (!selects(rule, deviceId, device?.metadata ?? {})) continue;
      const intervalMs = device?.intervalMs ?? (events > 2 ? (last - first) / (events - 1) : null);
      const limitMs = silenceLimitMs(test, intervalMs);
      if (limitMs === null) continue;
      const add = (fromMs: number, againMs: number | null): void => {
        const atMs = fromMs + limitMs;
        if (atMs >= (againMs ?? past.toMs)) return;
        verdicts.push({ deviceId, isSilent: true, seconds: limitMs / 1000, atMs });
        if (againMs !== null) verdicts.push({ deviceId, isSilent: false, seconds: null, atMs: againMs });
      };
      for (const [at, endMs] of ends.entries()) add(endMs - (lengths[at] as number), endMs);
      add(last, null);
    }
    verdicts.sort((a, b) => a.atMs - b.atMs);
    for (const { deviceId, isSilent, seconds, atMs } of verdicts) replay.silence(deviceId, isSilent, seconds, atMs);
  }

  async function replayRule(
    rule: CompiledRule,
    past: PastRange,
    signal: AbortSignal,
  ): Promise<{ replay: Replay; stepSeconds: number }> {
    const { test } = rule;
    const replay = createReplay(rule, metadataOf);
    if (test.kind === "silent") {
      await replaySilence(rule, test, past, replay, signal);
      return { replay, stepSeconds: 1 };
    }
    if (test.kind === "pipeline") return { replay, stepSeconds: 0 };
    const isShared = test.by.by !== "device";
    if (!isShared && (await replayEvents(rule, test, past, replay, signal))) return { replay, stepSeconds: 0 };
    return test.kind === "value" ? replaySteps(rule, test, past, signal) : { replay, stepSeconds: 0 };
  }

  return {
    async run(test, signal) {
      const past = rangeOf(test);
      if ("path" in past) return { ok: false, faults: [past] };
      if (test.rule.when.kind === "pipeline") {
        const message = "must not be pipeline: what it measures is not stored, so there is no past to try it on";
        return { ok: false, faults: [{ path: "/rule/when/kind", message }] };
      }
      const { replay, stepSeconds } = await replayRule(compileRule("test", test.rule), past, signal);
      const { fired, series } = replay.end(past.toMs);
      return {
        ok: true,
        value: {
          fired: fired.slice(0, alertLimits.testFired),
          count: fired.length,
          from: new Date(past.fromMs).toISOString(),
          to: new Date(past.toMs).toISOString(),
          series,
          resolution_seconds: stepSeconds,
        },
      };
    },
  };
}

/** Null when there are more than `max`. */
function eventsOf(reader: RowBinaryReader, max: number): PastEvent[] | null {
  const events: PastEvent[] = [];
  while (!reader.done) {
    const deviceId = reader.string();
    const timeMs = reader.int64();
    const hasNoValue = reader.uint8() === 1;
    const value = reader.float64();
    const hasNoText = reader.uint8() === 1;
    const text = reader.string();
    events.push({ deviceId, timeMs, value: hasNoValue ? Number.NaN : value, text: hasNoText ? null : text });
    if (events.length > max) return null;
  }
  return events;
}
