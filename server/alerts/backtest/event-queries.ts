import type { Rule } from "../../../contract/alerts.ts";
import type { CompiledRule, TextTest, ValueTest } from "../evaluation/compiled-rule.ts";

export interface PastQuery {
  readonly sql: string;
  readonly params: Record<string, string | number>;
}

export interface PastRange {
  readonly fromMs: number;
  readonly toMs: number;
}

const hourSeconds = 3_600;

const range =
  "timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC')";
const ofType = `event_type = {type:String} AND ${range} AND startsWith(device_id, {prefix:String})`;
const seconds = "toUnixTimestamp(timestamp)";

function params(rule: CompiledRule, test: ValueTest | TextTest, { fromMs, toMs }: PastRange): PastQuery["params"] {
  return { type: test.eventType, prefix: rule.prefix ?? "", from: fromMs, to: toMs };
}

/** The condition that an event meets which can begin or keep up an alarm; null: any event may. */
function interesting(rule: Rule, test: ValueTest | TextTest): { sql: string; params: PastQuery["params"] } | null {
  if (rule.when.kind === "text") {
    const { equals, matches } = rule.when;
    const parts = [
      ...(equals === undefined ? [] : ["value_string = {equals:String}"]),
      ...(matches === undefined ? [] : ["match(value_string, {pattern:String})"]),
    ];
    return { sql: `(${parts.join(" OR ")})`, params: { equals: equals ?? "", pattern: matches ?? "" } };
  }
  if (test.kind !== "value" || ["count", "rate", "sum"].includes(test.measure)) return null;
  const { recoverAbove, recoverBelow } = test.thresholds;
  const parts = [
    ...(recoverAbove === Number.POSITIVE_INFINITY ? [] : ["value_float > {above:Float64}"]),
    ...(recoverBelow === Number.NEGATIVE_INFINITY ? [] : ["value_float < {below:Float64}"]),
  ];
  return {
    sql: `(${parts.join(" OR ")})`,
    params: {
      ...(recoverAbove === Number.POSITIVE_INFINITY ? {} : { above: recoverAbove }),
      ...(recoverBelow === Number.NEGATIVE_INFINITY ? {} : { below: recoverBelow }),
    },
  };
}

/**
 * The events that can matter, in the order of their time: those of an hour of a device in which something was beyond the threshold,
 * and of the hours around it. The first look at them reads two columns; and the ten-minute buckets of the primary key lead past
 * everything that holds no such hour.
 */
export function buildEventsQuery(
  rule: CompiledRule,
  test: ValueTest | TextTest,
  past: PastRange,
  limit: number,
): PastQuery {
  const beyond = interesting(rule.rule, test);
  const windowSeconds = Math.ceil((test.kind === "value" ? (test.windowMs ?? 0) : 0) / 1000);
  const cell = Math.max(hourSeconds, Math.ceil(windowSeconds / hourSeconds) * hourSeconds);
  const columns = `
    device_id, toUnixTimestamp64Milli(timestamp) AS at, toUInt8(isNull(value_float)), ifNull(value_float, 0),
    toUInt8(isNull(value_string)), ${test.kind === "text" ? "ifNull(substring(value_string, 1, 2048), '')" : "''"}`;
  const near =
    beyond === null
      ? ""
      : `AND toStartOfTenMinutes(timestamp) IN (
           SELECT DISTINCT toDateTime((c * {cell:UInt32}) + 600 * arrayJoin(range(intDiv({cell:UInt32}, 600))), 'UTC') FROM cells)
         AND (device_id, toUInt32(intDiv(${seconds}, {cell:UInt32}))) IN (SELECT device_id, c FROM cells)`;
  const cells =
    beyond === null
      ? ""
      : `WITH cells AS (
           SELECT DISTINCT device_id, toUInt32(arrayJoin([hit - 1, hit, hit + 1])) AS c FROM (
             SELECT DISTINCT device_id, toInt64(intDiv(${seconds}, {cell:UInt32})) AS hit
             FROM telemetry_events WHERE ${ofType} AND ${beyond.sql}))`;
  return {
    sql: `${cells} SELECT ${columns} FROM telemetry_events WHERE ${ofType} ${near} ORDER BY at LIMIT {limit:UInt32}`,
    params: { ...params(rule, test, past), ...(beyond === null ? {} : { cell, ...beyond.params }), limit },
  };
}

const coarseValue: Readonly<Record<string, string>> = {
  last: "argMax(value_float, timestamp)",
  avg: "avg(value_float)",
  min: "min(value_float)",
  max: "max(value_float)",
  sum: "sum(value_float)",
  count: "toFloat64(count())",
  rate: "count() / {step:UInt32}",
  p50: "quantile(0.5)(value_float)",
  p95: "quantile(0.95)(value_float)",
  p99: "quantile(0.99)(value_float)",
};

/** One figure for each step of each series, where there are too many events to replay, or several devices make a series. */
export function buildStepsQuery(
  rule: CompiledRule,
  test: ValueTest,
  past: PastRange,
  stepSeconds: number,
  limit: number,
): PastQuery {
  const { by } = test;
  const series = by.by === "device" ? "device_id" : by.by === "fleet" ? "''" : "metadata[{key:String}]";
  const inGroup = by.by === "meta" ? "AND mapContains(metadata, {key:String})" : "";
  return {
    sql: `
      SELECT ${series} AS series, toInt64(intDiv(${seconds}, {step:UInt32}) + 1) * {step:UInt32} * 1000 AS at,
        toUInt8(isNull(${coarseValue[test.measure]} AS figure)), ifNull(toFloat64(figure), 0), toUInt8(1), ''
      FROM telemetry_events WHERE ${ofType} ${inGroup}
      GROUP BY series, at ORDER BY at LIMIT {limit:UInt32}`,
    params: {
      ...params(rule, test, past),
      step: stepSeconds,
      limit,
      ...(by.by === "meta" ? { key: by.key } : {}),
    },
  };
}

const rollupValue: Readonly<Record<string, string>> = {
  avg: "sum(value_sum) / nullIf(sum(value_count), 0)",
  min: "min(value_min)",
  max: "max(value_max)",
  sum: "if(sum(value_count) = 0, NULL, sum(value_sum))",
  count: "toFloat64(sum(event_count))",
  rate: "sum(event_count) / {step:UInt32}",
  p50: "if(sum(value_count) = 0, NULL, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(value_quantiles)[1])",
  p95: "if(sum(value_count) = 0, NULL, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(value_quantiles)[2])",
  p99: "if(sum(value_count) = 0, NULL, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(value_quantiles)[3])",
};

/** The whole fleet's figures stand in the rollups, as long as no devices are selected. Null: not these. */
export function buildRollupQuery(
  rule: CompiledRule,
  test: ValueTest,
  past: PastRange,
  stepSeconds: number,
  nowMs: number,
): PastQuery | null {
  const figure = rollupValue[test.measure];
  if (test.by.by !== "fleet" || rule.prefix !== null || rule.meta.length > 0 || figure === undefined) return null;
  const isFine = past.fromMs > nowMs - 6 * 86_400_000 && stepSeconds % 60 !== 0;
  if (!isFine && stepSeconds % 60 !== 0) return null;
  return {
    sql: `
      SELECT '' AS series, toInt64(intDiv(toUnixTimestamp(time), {step:UInt32}) + 1) * {step:UInt32} * 1000 AS at,
        toUInt8(isNull(${figure} AS figure)), ifNull(toFloat64(figure), 0), toUInt8(1), ''
      FROM ${isFine ? "telemetry_1s" : "telemetry_1m"}
      WHERE event_type = {type:String} AND time >= toDateTime(intDiv({from:Int64}, 1000), 'UTC')
        AND time < toDateTime(intDiv({to:Int64}, 1000), 'UTC')
      GROUP BY at ORDER BY at`,
    params: { type: test.eventType, from: past.fromMs, to: past.toMs, step: stepSeconds },
  };
}

/** Silences of each device: when it was last heard before one, and when again (0: not in the range). */
export function buildGapsQuery(prefix: string, past: PastRange): PastQuery {
  return {
    sql: `
      SELECT device_id, toUInt32(min(heard)) AS first, toUInt32(max(heard)) AS last, toUInt32(count()) AS events,
        arrayFilter(gap -> gap.2 > {least:UInt32},
          arrayMap((second, step) -> (toUInt32(second), toUInt32(step)),
            arraySort(groupArray(heard)) AS seconds, arrayDifference(seconds))) AS gaps
      FROM (SELECT device_id, toUInt32(toUnixTimestamp(received_at)) AS heard FROM telemetry_events
            WHERE ${range} AND startsWith(device_id, {prefix:String}))
      GROUP BY device_id ORDER BY device_id LIMIT 100000`,
    params: { prefix, from: past.fromMs, to: past.toMs },
  };
}
