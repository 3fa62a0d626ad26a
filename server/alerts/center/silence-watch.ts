import { type CompiledRule, type SilentTest, selects } from "../evaluation/compiled-rule.ts";
import { DeadlineQueue, type Timed } from "../evaluation/deadline-queue.ts";
import { type Evaluator, silenceLimitMs } from "../evaluation/evaluator.ts";
import type { Series } from "../evaluation/series.ts";
import type { DeviceDirectory } from "./device-directory.ts";
import type { Downtime } from "./downtime.ts";

interface Watched extends Timed {
  readonly rule: CompiledRule;
  readonly test: SilentTest;
  readonly deviceId: string;
  /** When it was last heard before it was found silent; null: it is not. */
  silentFromMs: number | null;
}

/** An event that was taken just before the deadline becomes durable just after it. */
const graceMs = 250;
/**
 * The time of a receipt comes from another clock and from ClickHouse, and is not the same to the millisecond twice. A device that
 * was silent is heard at least a second later, the shortest time that a rule can have.
 */
const jitterMs = 500;
const watchedMax = 1_000_000;
/** How often the whole fleet is looked at for devices that have come under a rule. */
const lookMs = 10_000;
/** Where the device's interval is not known yet. */
const unknownMs = 10_000;
/** Silent devices looked at in one tick; all of them twice a second when there are 100,000. */
const silentLooks = 20_000;

export interface SilenceWatchDeps {
  readonly evaluator: Evaluator;
  readonly directory: DeviceDirectory;
  readonly downtime: Downtime;
}

/**
 * Rules of silence. A device costs nothing when it reports: its deadline in the heap is that of an earlier report, and when it comes
 * the directory says whether there was a newer one. What is measured is the time in which the device could have been heard.
 */
export class SilenceWatch {
  readonly #deps: SilenceWatchDeps;
  readonly #watched = new Map<string, Watched>();
  readonly #deadlines = new DeadlineQueue<Watched>();
  readonly #silent = new Set<Watched>();
  #rules: { rule: CompiledRule; test: SilentTest }[] = [];
  readonly #counts = new Map<string, number>();
  #silentCursor: Watched[] = [];
  #nextLookMs = 0;
  /** Devices that no rule of silence can watch, because there are too many. */
  skipped = 0;

  constructor(deps: SilenceWatchDeps) {
    this.#deps = deps;
  }

  setRules(rules: Iterable<CompiledRule>): void {
    this.#rules = [...rules].flatMap((rule) => (rule.test.kind === "silent" ? [{ rule, test: rule.test }] : []));
    const current = new Map(this.#rules.map(({ rule }) => [rule.id, rule]));
    for (const [key, watched] of this.#watched) {
      const rule = current.get(watched.rule.id);
      if (rule !== undefined && rule.meaning === watched.rule.meaning) (watched as { rule: CompiledRule }).rule = rule;
      else this.#forget(key, watched);
    }
    this.#nextLookMs = 0;
  }

  watchedBy(ruleId: string): number {
    return this.#counts.get(ruleId) ?? 0;
  }

  /** At most `max` deadlines at a time. */
  tick(nowMs: number, max: number): void {
    if (this.#rules.length === 0 || !this.#deps.directory.isKnown) return;
    if (nowMs >= this.#nextLookMs) this.#look(nowMs);
    for (let passed = 0; passed < max; passed++) {
      const watched = this.#deadlines.takeDue(nowMs);
      if (watched === undefined) break;
      if (this.#watched.get(keyOf(watched.rule, watched.deviceId)) === watched) this.#examine(watched, nowMs);
    }
    this.#lookAtSilent(nowMs);
  }

  /** Devices that came under a rule, or left it. */
  #look(nowMs: number): void {
    const startedMs = performance.now();
    const { directory, evaluator } = this.#deps;
    const seen = new Set<Watched>();
    this.skipped = 0;
    directory.forEach(({ deviceId, metadata }) => {
      for (const { rule, test } of this.#rules) {
        if (!selects(rule, deviceId, metadata)) continue;
        const watched = this.#watched.get(keyOf(rule, deviceId)) ?? this.#watch(rule, test, deviceId, nowMs);
        if (watched !== undefined) seen.add(watched);
      }
    });
    for (const [key, watched] of this.#watched) {
      if (seen.has(watched)) continue;
      this.#forget(key, watched);
      evaluator.release(watched.rule, watched.deviceId, nowMs);
    }
    this.#nextLookMs = nowMs + Math.max(lookMs, 200 * (performance.now() - startedMs));
  }

  #watch(rule: CompiledRule, test: SilentTest, deviceId: string, nowMs: number): Watched | undefined {
    if (this.#watched.size >= watchedMax) {
      this.skipped++;
      return undefined;
    }
    const watched: Watched = {
      rule,
      test,
      deviceId,
      silentFromMs: null,
      dueMs: nowMs,
      queuedMs: Number.POSITIVE_INFINITY,
    };
    this.#watched.set(keyOf(rule, deviceId), watched);
    this.#counts.set(rule.id, this.watchedBy(rule.id) + 1);
    this.#deadlines.schedule(watched);
    return watched;
  }

  #examine(watched: Watched, nowMs: number): void {
    const { directory, downtime, evaluator } = this.#deps;
    const device = directory.find(watched.deviceId);
    if (device === null) return;
    const limitMs = silenceLimitMs(watched.test, device.intervalMs);
    if (limitMs === null) {
      this.#schedule(watched, nowMs + unknownMs);
      return;
    }
    const alarm = this.#alarmOf(watched);
    if (alarm !== undefined && device.heardMs <= alarm.startedMs - jitterMs) {
      // An earlier run found it silent. How long this service was down meanwhile makes no difference to that.
      this.#markSilent(watched, device.heardMs);
      return;
    }
    const deadlineMs = device.heardMs + limitMs + downtime.within(device.heardMs, nowMs);
    if (alarm !== undefined)
      evaluator.judge(watched.rule, watched.deviceId, false, null, Math.min(device.heardMs, nowMs));
    if (nowMs < deadlineMs + graceMs) {
      this.#schedule(watched, deadlineMs + graceMs);
      return;
    }
    this.#markSilent(watched, device.heardMs);
    evaluator.judge(watched.rule, watched.deviceId, true, (deadlineMs - device.heardMs) / 1000, deadlineMs);
  }

  #markSilent(watched: Watched, heardMs: number): void {
    watched.silentFromMs = heardMs;
    this.#silent.add(watched);
  }

  #alarmOf({ rule, deviceId }: Watched): Series | undefined {
    const series = this.#deps.evaluator.find(`${rule.id}/d/${deviceId}`);
    return series !== undefined && (series.phase === "firing" || series.phase === "pending") ? series : undefined;
  }

  #lookAtSilent(nowMs: number): void {
    if (this.#silent.size === 0) return;
    if (this.#silentCursor.length === 0) this.#silentCursor = [...this.#silent];
    const { directory, evaluator } = this.#deps;
    for (const watched of this.#silentCursor.splice(-silentLooks)) {
      if (!this.#silent.has(watched)) continue;
      const device = directory.find(watched.deviceId);
      if (device === null || device.heardMs <= (watched.silentFromMs ?? 0) + jitterMs) continue;
      this.#silent.delete(watched);
      watched.silentFromMs = null;
      evaluator.judge(watched.rule, watched.deviceId, false, null, Math.min(device.heardMs, nowMs));
      this.#schedule(watched, nowMs);
    }
  }

  #schedule(watched: Watched, dueMs: number): void {
    watched.dueMs = dueMs;
    this.#deadlines.schedule(watched);
  }

  #forget(key: string, watched: Watched): void {
    this.#watched.delete(key);
    this.#counts.set(watched.rule.id, this.watchedBy(watched.rule.id) - 1);
    this.#silent.delete(watched);
  }
}

const keyOf = (rule: CompiledRule, deviceId: string): string => `${rule.id}/${deviceId}`;
