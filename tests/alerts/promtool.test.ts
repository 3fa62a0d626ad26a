import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../base/random.ts";
import { hashDeviceId } from "../../contract/row.ts";
import { createReplay } from "../../server/alerts/backtest/replay.ts";
import { compileRule } from "../../server/alerts/evaluation/compiled-rule.ts";
import { Evaluator } from "../../server/alerts/evaluation/evaluator.ts";
import { createCase, type OracleCase, rulesYaml, stepMs, steps, testsYaml } from "./promtool-cases.ts";

const promtool = Bun.which("promtool");
const caseCount = 260;
const startMs = Date.UTC(2026, 0, 1);
const siteOf = (device: number): string => `s${device % 2}`;

/** Intervals in which a series fires, on the clock of its events; stale counts as not firing, as PromQL has it. */
type Intervals = Map<string, [fromMs: number, toMs: number][]>;

function createLive(oracle: OracleCase, intervals: Intervals) {
  const rule = compileRule(oracle.name, oracle.rule);
  const open = new Map<string, number>();
  const evaluator = new Evaluator({
    metadataOf: (deviceId) => ({ site: siteOf(Number(deviceId.slice(1))) }),
    onTransition({ series, from, to, atMs }) {
      const isFiring = to === "firing" || to === "recovering";
      const wasFiring = from === "firing" || from === "recovering";
      if (isFiring && !wasFiring) open.set(series.key, atMs);
      if (isFiring || !wasFiring) return;
      const list = intervals.get(series.key) ?? [];
      list.push([open.get(series.key) ?? Number.NaN, atMs]);
      intervals.set(series.key, list);
      open.delete(series.key);
    },
  });
  evaluator.setRules([rule], startMs);
  return { evaluator, open };
}

/** As the service does it: events in the order of their receipt, deadlines ten times a step, restarts in between. */
function runLive(oracle: OracleCase): Intervals {
  const intervals: Intervals = new Map();
  let live = createLive(oracle, intervals);
  const type = oracle.rule.when.kind === "value" ? oracle.rule.when.event_type : "";
  const arrivals = oracle.series
    .flatMap((values, device) =>
      values.map((value, step) => ({ device, step, value, received: step + (oracle.delays[step] ?? 0) })),
    )
    .filter(({ value }) => value !== null)
    .sort((a, b) => a.received - b.received || a.step - b.step || a.device - b.device);
  for (let step = 0; step <= steps + 40; step++) {
    const atMs = startMs + step * stepMs;
    for (let tick = 9; tick >= 1; tick--) live.evaluator.advance(atMs - (tick * stepMs) / 10);
    live.evaluator.advance(atMs - 1);
    for (const { device, step: own, value } of arrivals.filter(({ received }) => received === step)) {
      const rules = live.evaluator.typeRules(type);
      if (rules === undefined) throw new Error("no rules");
      const deviceId = `d${device}`;
      const subject = live.evaluator.subject(rules, ...hashDeviceId(deviceId), () => ({ deviceId, metadata: {} }));
      live.evaluator.observe(subject, startMs + own * stepMs, atMs, value as number, null);
    }
    if (oracle.restarts.includes(step)) live = restarted(oracle, live, intervals);
  }
  for (const [key, fromMs] of live.open)
    intervals.set(key, [...(intervals.get(key) ?? []), [fromMs, Number.POSITIVE_INFINITY]]);
  return intervals;
}

/** Only what is written down survives, and windows are filled from what is stored, as after a start. */
function restarted(oracle: OracleCase, before: ReturnType<typeof createLive>, intervals: Intervals) {
  if (oracle.rule.when.kind === "value" && oracle.rule.when.measure !== "last") return before;
  const after = createLive(oracle, intervals);
  for (const series of [...before.evaluator.active()]) {
    after.evaluator.restore(oracle.name, series.deviceId, series.group, JSON.parse(JSON.stringify(series.record())));
  }
  for (const [key, fromMs] of before.open) after.open.set(key, fromMs);
  return after;
}

function runBacktest(oracle: OracleCase): Intervals {
  const rule = compileRule(oracle.name, oracle.rule);
  const replay = createReplay(rule, (deviceId) => ({ site: siteOf(Number(deviceId.slice(1))) }));
  for (let step = 0; step < steps; step++) {
    for (const [device, values] of oracle.series.entries()) {
      const value = values[step];
      if (value !== null && value !== undefined)
        replay.event({ deviceId: `d${device}`, timeMs: startMs + step * stepMs, value, text: null });
    }
  }
  const intervals: Intervals = new Map();
  for (const { device_id, group, from, to } of replay.end(startMs + (steps + 40) * stepMs).fired) {
    const key =
      device_id !== undefined
        ? `${oracle.name}/d/${device_id}`
        : group !== undefined
          ? `${oracle.name}/g/${group}`
          : `${oracle.name}/`;
    const list = intervals.get(key) ?? [];
    list.push([Date.parse(from), to === null ? Number.POSITIVE_INFINITY : Date.parse(to)]);
    intervals.set(key, list);
  }
  return intervals;
}

/** Labels of what fires at each step. */
function firingAt(intervals: Intervals): string[][] {
  return Array.from({ length: steps }, (_, step) => {
    const atMs = startMs + step * stepMs;
    return [...intervals]
      .filter(([, list]) => list.some(([fromMs, toMs]) => fromMs <= atMs && atMs < toMs))
      .map(([key]) => {
        const [, kind, name = ""] = key.split("/");
        if (kind === "g") return `site: ${name}`;
        return kind === "d" ? `device: ${name}, site: ${siteOf(Number(name.slice(1)))}` : "";
      })
      .sort();
  });
}

const random = createRandom(20_261_124);
const cases = Array.from({ length: caseCount }, (_, index) => createCase(index, random));

test.skipIf(promtool === null)(
  `promtool agrees on when ${caseCount} rules fire, over gaps, late bursts, restarts, flapping and exact thresholds`,
  () => {
    const firing = new Map(cases.map((oracle) => [oracle.name, firingAt(runLive(oracle))]));
    const fired = [...firing.values()].filter((list) => list.some((labels) => labels.length > 0)).length;
    // Cases in which nothing ever fires would prove little.
    expect(fired).toBeGreaterThan(200);
    const directory = mkdtempSync(join(tmpdir(), "sluice-promtool-"));
    try {
      writeFileSync(join(directory, "rules.yml"), rulesYaml(cases));
      writeFileSync(join(directory, "tests.yml"), testsYaml(cases, firing));
      const run = Bun.spawnSync([promtool as string, "test", "rules", "tests.yml"], { cwd: directory });
      const output = `${run.stdout}${run.stderr}`;
      expect(
        output
          .split("\n")
          .filter((line) => /alertname|exp:|got:/.test(line))
          .slice(0, 12),
      ).toEqual([]);
      expect(output).toContain("SUCCESS");
      expect(run.exitCode).toBe(0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test("a rule tried on the past fires when it would have fired live, stale times apart", () => {
  for (const oracle of cases) {
    const live = firingAt(runLive(oracle));
    const past = firingAt(runBacktest(oracle));
    for (const [step, labels] of live.entries()) {
      const more = (past[step] ?? []).filter((label) => !labels.includes(label));
      expect([oracle.name, step, labels.filter((label) => !past[step]?.includes(label))]).toEqual([
        oracle.name,
        step,
        [],
      ]);
      // What the past has more is stale live: an alarm lasts until a value ends it.
      if (more.length > 0) expect(oracle.series.some((values) => values.includes(null))).toBe(true);
    }
  }
});
