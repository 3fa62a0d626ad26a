import type { Rule } from "../../../contract/alerts.ts";
import type { CompiledRule, TextTest, ValueTest } from "../evaluation/compiled-rule.ts";

export interface PastQuery {
  readonly sql: string;
  readonly params: Record<string, string | number | readonly string[]>;
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

/** Events of one device in so many seconds: what is read of it, or not. */
export interface Cells {
  readonly seconds: number;
  /** A hash for each device and cell. Two with one hash are both read, which costs a little and changes nothing. */
  readonly hashes: readonly string[];
  /** Devices of which everything is read. */
  readonly whole: readonly string[];
}

const hashOf = (cell: string): string => `cityHash64(device_id, toUInt32(${cell}))`;
const cellOfEvent = `intDiv(${seconds}, {cell:UInt32})`;

/**
 * The cells in which something was beyond the threshold, and those around them. It reads two columns. Null: every event can matter.
 */
export function buildCellsQuery(
  rule: CompiledRule,
  test: ValueTest | TextTest,
  past: PastRange,
  options: { readonly cellSeconds: number; readonly limit: number },
): PastQuery | null {
  const beyond = interesting(rule.rule, test);
  if (beyond === null) return null;
  return {
    sql: `
      SELECT DISTINCT toString(${hashOf("arrayJoin([hit - 1, hit, hit + 1])")}) FROM (
        SELECT DISTINCT device_id, toInt64(${cellOfEvent}) AS hit FROM telemetry_events WHERE ${ofType} AND ${beyond.sql})
      LIMIT {limit:UInt32}`,
    params: { ...params(rule, test, past), ...beyond.params, cell: options.cellSeconds, limit: options.limit },
  };
}

/** The cells of a device are at least an hour, and twice as long as it is silent between two events, as far as that is known. */
export function cellSecondsOf(test: ValueTest | TextTest, intervalMs: number): number {
  const windowMs = test.kind === "value" ? (test.windowMs ?? 0) : 0;
  return Math.ceil(Math.max(windowMs, 2 * intervalMs, hourSeconds * 1000) / 1000 / hourSeconds) * hourSeconds;
}

/**
 * The events of cells, in the order of their time. `cells` null: all. Finding them by a hash costs half of what comparing device and
 * hour does.
 */
export function buildEventsQuery(
  rule: CompiledRule,
  test: ValueTest | TextTest,
  past: PastRange,
  { cells, limit }: { readonly cells: Cells | null; readonly limit: number },
): PastQuery {
  const columns = `
    device_id, toUnixTimestamp64Milli(timestamp) AS at, toUInt8(isNull(value_float)), ifNull(value_float, 0),
    toUInt8(isNull(value_string)), ${test.kind === "text" ? "ifNull(substring(value_string, 1, 2048), '')" : "''"}`;
  const whole = cells !== null && cells.whole.length > 0 ? "OR device_id IN {whole:Array(String)}" : "";
  // Digits that ClickHouse gave; as a parameter they would be in the URL.
  const near =
    cells === null ? "" : `AND (${hashOf(cellOfEvent)} IN (${["0", ...cells.hashes].map(digits).join(",")}) ${whole})`;
  return {
    sql: `SELECT ${columns} FROM telemetry_events WHERE ${ofType} ${near} ORDER BY at LIMIT {limit:UInt32}`,
    params: {
      ...params(rule, test, past),
      ...(cells === null ? {} : { cell: cells.seconds }),
      ...(whole === "" ? {} : { whole: cells?.whole ?? [] }),
      limit,
    },
  };
}

function digits(text: string): string {
  if (!/^\d+$/.test(text)) throw new Error(`not a hash: ${text}`);
  return text;
}

/** How many events of the type there are, by the rollup of hours. */
export function buildCountQuery(test: ValueTest | TextTest, { fromMs, toMs }: PastRange): PastQuery {
  return {
    sql: `
      SELECT toUInt64(sum(event_count)) FROM telemetry_1h WHERE event_type = {type:String}
        AND time >= toDateTime({from:UInt32}, 'UTC') AND time < toDateTime({to:UInt32}, 'UTC')`,
    params: { type: test.eventType, from: Math.floor(fromMs / 3_600_000) * 3_600, to: Math.ceil(toMs / 1000) },
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

/**
 * One figure for each step of each series, where there are too many events to replay, or several devices make a series. Steps within
 * the threshold whose neighbours are, too, say nothing and are left out.
 */
export function buildStepsQuery(
  rule: CompiledRule,
  test: ValueTest,
  past: PastRange,
  stepSeconds: number,
  limit: number,
): PastQuery {
  const { by, thresholds } = test;
  const series = by.by === "device" ? "device_id" : by.by === "fleet" ? "''" : "metadata[{key:String}]";
  const inGroup = by.by === "meta" ? "AND mapContains(metadata, {key:String})" : "";
  return {
    sql: `
      SELECT series, step.1, step.2, step.3, toUInt8(1), '' FROM (
        SELECT series, arraySort(groupArray((at, none, value))) AS steps,
          arrayMap(step -> toUInt8(step.2 = 0 AND (step.3 > {above:Float64} OR step.3 < {below:Float64})), steps) AS beyond,
          arrayPushFront(arrayPopBack(beyond), 1) AS before, arrayPushBack(arrayPopFront(beyond), 1) AS after,
          arrayFilter((step, now, earlier, later) -> now OR earlier OR later, steps, beyond, before, after) AS kept
        FROM (
          SELECT any(${series}) AS series, any(step_end) AS at, ${coarseValue[test.measure]} AS figure,
            toUInt8(isNull(figure)) AS none, ifNull(toFloat64(figure), 0) AS value
          FROM (
            SELECT *, toInt64(intDiv(${seconds}, {step:UInt32}) + 1) * {step:UInt32} * 1000 AS step_end FROM telemetry_events
            WHERE ${ofType} ${inGroup})
          GROUP BY cityHash64(${series}, step_end))
        GROUP BY series)
      ARRAY JOIN kept AS step ORDER BY step.1 LIMIT {limit:UInt32}`,
    params: {
      ...params(rule, test, past),
      step: stepSeconds,
      limit,
      above: Math.min(thresholds.recoverAbove, Number.MAX_VALUE),
      below: Math.max(thresholds.recoverBelow, -Number.MAX_VALUE),
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

/**
 * Silences of each device that are longer than what any device may keep: when it was heard again, and after how long. `leastSeconds`:
 * of devices whose interval is known; for others it follows from what they sent. A bitmap of seconds is sorted by itself,
 * and takes a tenth of an array.
 */
export function buildGapsQuery(
  prefix: string,
  past: PastRange,
  limits: { readonly leastSeconds: number; readonly afterSeconds: number; readonly intervals: number },
): PastQuery {
  return {
    sql: `
      SELECT device_id, heard[1] AS first, heard[-1] AS last, events,
        toUInt32(least({least:UInt32}, greatest({after:UInt32}, 2,
          toUInt32(floor({intervals:Float64} * (last - first) / greatest(toInt64(events) - 1, 1))))) - 1) AS limit,
        arrayFilter((second, gap) -> gap > limit, heard, gaps), arrayMap(gap -> toUInt32(gap), arrayFilter(gap -> gap > limit, gaps))
      FROM (
        SELECT device_id, toUInt32(count()) AS events, arrayDifference(heard) AS gaps,
          bitmapToArray(groupBitmapState(toUInt32(toUnixTimestamp(received_at)))) AS heard
        FROM telemetry_events WHERE ${range} AND startsWith(device_id, {prefix:String}) GROUP BY device_id)
      LIMIT 100000`,
    params: {
      prefix,
      from: past.fromMs,
      to: past.toMs,
      least: limits.leastSeconds,
      after: limits.afterSeconds,
      intervals: limits.intervals,
    },
  };
}
