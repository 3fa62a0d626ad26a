import type { Rule } from "../../contract/alerts.ts";

/** Samples come each ten seconds, or do not; null: none. */
export const stepMs = 10_000;
export const steps = 90;

export interface OracleCase {
  readonly name: string;
  readonly rule: Rule;
  readonly expr: string;
  /** One list a device. */
  readonly series: readonly (readonly (number | null)[])[];
  /** By how many steps each sample of a device is delivered late; the order of a device's samples stays. */
  readonly delays: readonly number[];
  /** The evaluator is written down and read back after these steps. */
  readonly restarts: readonly number[];
}

type Random = () => number;
const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const threshold = 10;
/** Prometheus 2 still sees a sample of exactly five minutes ago; Prometheus 3, as Sluice, does not. */
const standsFor = "300.001s";

/** Values that touch thresholds exactly, flap, ramp, and miss samples. */
function samples(random: Random, gapMax: number): (number | null)[] {
  const kind = pick(random, ["steps", "flap", "ramp", "touch"] as const);
  const values: (number | null)[] = [];
  let level = random() * 20;
  let gap = 0;
  for (let step = 0; step < steps; step++) {
    if (kind === "steps" && random() < 0.15) level = pick(random, [3, 5, 9.5, threshold, 10.5, 15, 20]);
    if (kind === "flap") level = random() < 0.5 ? 4 : 12;
    if (kind === "ramp") level = 10 + 8 * Math.sin((step + random()) / 6);
    if (kind === "touch") level = pick(random, [threshold, threshold, 10.000001, 9.999999]);
    if (gap === 0 && gapMax > 0 && random() < 0.06) gap = 1 + Math.floor(random() * gapMax);
    values.push(gap > 0 ? null : Math.round(level * 1e6) / 1e6);
    gap = Math.max(0, gap - 1);
  }
  return values;
}

const rangeOf: Readonly<Record<string, string>> = { "1m": "59999ms", "2m": "119999ms", "5m": "299999ms" };
const functions = {
  avg: (range: string) => `avg_over_time(METRIC[${range}])`,
  min: (range: string) => `min_over_time(METRIC[${range}])`,
  max: (range: string) => `max_over_time(METRIC[${range}])`,
  sum: (range: string) => `sum_over_time(METRIC[${range}])`,
  count: (range: string) => `count_over_time(METRIC[${range}])`,
} as const;

/** One case of PromQL and of a rule that mean the same. What cannot be said in PromQL is left out; docs/alerts.md lists it. */
export function createCase(index: number, random: Random): OracleCase {
  const metric = `m${index}`;
  const form = pick(random, ["last", "last", "last", "window", "window", "hysteresis", "fleet", "group"] as const);
  const isShared = form === "fleet" || form === "group";
  const above = random() < 0.7;
  const comparison = above ? `> ${threshold}` : `< ${threshold}`;
  const bound = above ? { above: threshold } : { below: threshold };
  // Waiting begins anew in PromQL after a series was away, and goes on here: only short gaps go with it.
  const waits = !isShared && form !== "hysteresis" && random() < 0.6;
  const timing = waits
    ? {
        for: pick(random, ["0s", "10s", "30s", "1m", "2m"]),
        keep_firing_for: pick(random, ["0s", "10s", "40s", "2m"]),
      }
    : {};
  const window = pick(random, ["1m", "2m", "5m"]);
  const bursts = form === "last" && !waits && random() < 0.5;
  const gapMax = form === "last" && !waits && !bursts ? 45 : 4;
  const devices = isShared ? 3 : 1;
  const base = { name: `case${index}`, severity: "info" as const, ...timing };
  const common = {
    name: base.name,
    series: Array.from({ length: devices }, () => samples(random, gapMax)),
    delays: isShared ? new Array<number>(steps).fill(0) : delays(random, bursts),
    restarts: random() < 0.4 ? [20, 45, 46].filter(() => random() < 0.7) : [],
  };
  const value = { kind: "value" as const, event_type: metric };
  if (form === "last") {
    const when = { ...value, measure: "last" as const, window: standsFor, ...bound };
    return { ...common, rule: { ...base, when }, expr: `${metric} ${comparison}` };
  }
  if (form === "hysteresis") {
    const held = above ? "> 5" : "< 15";
    const when = { ...value, measure: "last" as const, window: standsFor, ...bound, recover: above ? 5 : 15 };
    const firing = `ALERTS{alertname="${base.name}",alertstate="firing"}`;
    return {
      ...common,
      rule: { ...base, when },
      expr: `(${metric} ${comparison}) or ((${metric} ${held}) and on(device) ${firing})`,
    };
  }
  const range = rangeOf[window] as string;
  // Too few events is judged otherwise here, on purpose.
  const measure = pick(random, ["avg", "min", "max", "sum", "count"] as const);
  const isCount = measure === "count" || measure === "sum";
  const limit = measure === "count" ? pick(random, [3, 5, 6]) * devices : measure === "sum" ? 50 * devices : threshold;
  const windowBound = isCount || above ? { above: limit } : { below: limit };
  const windowComparison = isCount || above ? `> ${limit}` : `< ${limit}`;
  const when = { ...value, measure, window, ...windowBound };
  if (!isShared) {
    const expr = functions[measure](range).replace("METRIC", metric);
    return { ...common, rule: { ...base, when }, expr: `${expr} ${windowComparison}` };
  }
  const by = form === "fleet" ? "fleet" : "meta.site";
  const over = form === "fleet" ? "" : " by (site) ";
  const part = (name: keyof typeof functions): string => functions[name](range).replace("METRIC", metric);
  const expr =
    measure === "avg"
      ? `(sum${over}(${part("sum")}) / sum${over}(${part("count")}))`
      : measure === "min" || measure === "max"
        ? `${measure}${over}(${part(measure)})`
        : `sum${over}(${part(measure)})`;
  return { ...common, rule: { ...base, when: { ...when, by } }, expr: `${expr} ${windowComparison}` };
}

/**
 * A device whose every report is under way for a while; or one that was cut off and delivers what it has kept in one burst. In
 * between the service goes by what it knows, so a burst goes with rules that wait for nothing.
 */
function delays(random: Random, bursts: boolean): number[] {
  if (!bursts) return new Array<number>(steps).fill(random() < 0.5 ? 0 : Math.floor(random() * 20));
  const list = new Array<number>(steps).fill(0);
  const from = Math.floor(random() * 60);
  const length = 2 + Math.floor(random() * 20);
  for (let step = from; step < Math.min(steps, from + length); step++) list[step] = from + length - step;
  return list;
}

/** promtool's own words: rules, and what has to fire when. */
export function rulesYaml(cases: readonly OracleCase[]): string {
  const rules = cases.map(({ name, rule, expr }) =>
    [
      `      - alert: ${name}`,
      `        expr: '${expr}'`,
      ...(rule.for === undefined ? [] : [`        for: ${rule.for}`]),
      ...(rule.keep_firing_for === undefined ? [] : [`        keep_firing_for: ${rule.keep_firing_for}`]),
    ].join("\n"),
  );
  return `groups:\n  - name: cases\n    interval: 10s\n    rules:\n${rules.join("\n")}\n`;
}

export function testsYaml(
  cases: readonly OracleCase[],
  firing: ReadonlyMap<string, readonly (readonly string[])[]>,
): string {
  const input = cases.flatMap(({ series, rule }) =>
    series.map((values, device) => {
      const type = rule.when.kind === "value" ? rule.when.event_type : "";
      return [
        `      - series: '${type}{device="d${device}",site="s${device % 2}"}'`,
        `        values: '${values.map((value) => (value === null ? "_" : String(value))).join(" ")}'`,
      ].join("\n");
    }),
  );
  const expected = cases.flatMap(({ name }) =>
    (firing.get(name) ?? []).map((labels, step) =>
      [
        `      - eval_time: ${(step * stepMs) / 1000}s`,
        `        alertname: ${name}`,
        labels.length === 0 ? "        exp_alerts: []" : "        exp_alerts:",
        ...labels.map((label) => `          - exp_labels: {${label}}`),
      ].join("\n"),
    ),
  );
  return `rule_files: [rules.yml]\nevaluation_interval: 10s\ntests:\n  - interval: 10s\n    input_series:\n${input.join("\n")}\n    alert_rule_test:\n${expected.join("\n")}\n`;
}
