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
import {
  buildEventsQuery,
  buildGapsQuery,
  buildRollupQuery,
  buildStepsQuery,
  type PastQuery,
  type PastRange,
} from "./event-queries.ts";
import type { AskPast } from "./past.ts";
import { createReplay, type Replay } from "./replay.ts";

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
const stepsMax = 2_000_000;
/** Steps of one series that are aimed at. */
const seriesSteps = 3_000;

/** Tries a rule on the past: the evaluator that decides live, over what ClickHouse has stored. */
export function createBacktest(deps: BacktestDeps): Backtest {
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

  async function replayEvents(
    rule: CompiledRule,
    test: ValueTest | TextTest,
    past: PastRange,
    replay: Replay,
    signal: AbortSignal,
  ): Promise<boolean> {
    const query = buildEventsQuery(rule, test, past, eventsMax + 1);
    const reader = await ask(query.sql, query.params, signal);
    return feed(reader, replay, eventsMax);
  }

  /** Figures of steps, compared with the thresholds as newest values are; gives the step's length in seconds. */
  async function replaySteps(
    rule: CompiledRule,
    test: ValueTest,
    past: PastRange,
    signal: AbortSignal,
  ): Promise<{ replay: Replay; stepSeconds: number }> {
    const least = Math.ceil((past.toMs - past.fromMs) / 1000 / seriesSteps);
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
    feed(await ask(query.sql, query.params, signal), replay, stepsMax);
    return { replay, stepSeconds };
  }

  async function replaySilence(
    rule: CompiledRule,
    test: SilentTest,
    past: PastRange,
    replay: Replay,
    signal: AbortSignal,
  ): Promise<void> {
    const query = buildGapsQuery(rule.prefix ?? "", past);
    const least = Math.max(1, Math.floor((test.afterMs ?? 1_000) / 1000) - 1);
    const reader = await ask(query.sql, { ...query.params, least }, signal);
    const verdicts: { deviceId: string; isSilent: boolean; seconds: number | null; atMs: number }[] = [];
    while (!reader.done) {
      const deviceId = reader.string();
      const [first, last, events] = [reader.uint32() * 1000, reader.uint32() * 1000, reader.uint32()];
      const gaps = Array.from(
        { length: reader.length() },
        () => [reader.uint32() * 1000, reader.uint32() * 1000] as const,
      );
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
      for (const [endMs, lengthMs] of gaps) add(endMs - lengthMs, endMs);
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

/** Gives the rows to the replay; false, and nothing given, when there are more than `max`. */
function feed(reader: RowBinaryReader, replay: Replay, max: number): boolean {
  const events: { deviceId: string; timeMs: number; value: number; text: string | null }[] = [];
  while (!reader.done) {
    const deviceId = reader.string();
    const timeMs = reader.int64();
    const hasNoValue = reader.uint8() === 1;
    const value = reader.float64();
    const hasNoText = reader.uint8() === 1;
    const text = reader.string();
    events.push({ deviceId, timeMs, value: hasNoValue ? Number.NaN : value, text: hasNoText ? null : text });
    if (events.length > max) return false;
  }
  for (const event of events) replay.event(event);
  return true;
}
