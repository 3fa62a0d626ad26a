import { Elysia } from "elysia";
import { limits } from "../../contract/limits.ts";
import type { EventTypes, History, HistoryPoint } from "../../contract/read.ts";
import { metadataMap } from "../fleet/metadata-text.ts";
import { type FigureRow, meanOf, quantileOf, rawFigures, rollupFigures } from "./figures.ts";
import { type HistoryPlan, planHistory, type Rollup, rollups, widenRange } from "./history-plan.ts";
import {
  type MetadataFilter,
  matchingDevices,
  metadataKey,
  metadataParameters,
  newestMetadata,
} from "./metadata-filter.ts";
import { range, readParameters, readRange, type TimeRange, text, texts, whole, withDefault } from "./parameters.ts";
import type { Query, Reader } from "./reader.ts";
import { answer, jsonAnswer } from "./refusal.ts";

const hourMs = 3_600_000;
const stepMaxSeconds = 366 * 86_400;
const eventTypesMax = 10_000;

export const historyParameters = {
  event_type: texts("may repeat; without it the largest types", limits.eventTypeCharacters, limits.historySeries),
  device_id: text("of one device", limits.deviceIdCharacters),
  ...range,
  step: whole("seconds of a point; by itself at most 2,000 points", 1, stepMaxSeconds),
  limit: withDefault(whole("series, when no type is given, or the busiest of a split", 1, limits.historySeries), 10),
  split: metadataKey("meta.KEY: a series for each value of the key"),
  ...metadataParameters,
};
export const eventTypesParameters = {
  ...range,
  limit: withDefault(whole("types", 1, eventTypesMax), eventTypesMax),
};

interface HistoryAsk {
  eventTypes: string[];
  deviceId: string | undefined;
  metadata: MetadataFilter;
  /** A key of the devices' metadata: a series for each value. */
  split: string | undefined;
  seriesMax: number;
}

export interface HistoryRoutesDeps {
  readonly reader: Reader;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Everything received before this is stored, epoch milliseconds. */
  readonly completeTo: () => number;
}

/** GET /api/history and GET /api/event-types: what the rollups know, and what has to be read from raw events. */
export function createHistoryRoutes(deps: HistoryRoutesDeps) {
  const { reader, now, completeTo } = deps;
  return new Elysia({ name: "history" })
    .get("/api/history", ({ request }) =>
      answer(request, async (signal) => {
        const given = readParameters(new URL(request.url), historyParameters);
        const ask: HistoryAsk = {
          eventTypes: given.event_type,
          deviceId: given.device_id,
          metadata: given["meta.*"],
          split: given.split,
          seriesMax: given.limit,
        };
        const nowMs = now();
        // Taken before the query: what is stored then is in its answer.
        const completeMs = completeTo();
        const plan = planHistory({
          range: readRange(given, nowMs, hourMs),
          nowMs,
          stepSeconds: given.step,
          byDevice: ask.deviceId !== undefined || ask.metadata.length > 0 || ask.split !== undefined,
        });
        const pairs = ask.split === undefined ? null : await reader.rows<Pair>(createPairsQuery(plan, ask), signal);
        const rows = await reader.rows<HistoryRow>(createHistoryQuery(plan, ask, pairs), signal);
        return jsonAnswer<History>({
          from: new Date(plan.range.fromMs).toISOString(),
          to: new Date(plan.range.toMs).toISOString(),
          step_seconds: plan.stepSeconds,
          source: plan.table,
          complete_to: new Date(completeMs).toISOString(),
          series: pairs === null ? groupSeries(rows, ask.eventTypes) : groupPairs(rows, pairs),
          ...(pairs === null ? {} : { series_total: pairs[0]?.total ?? 0 }),
        });
      }),
    )
    .get("/api/event-types", ({ request }) =>
      answer(request, async (signal) => {
        const given = readParameters(new URL(request.url), eventTypesParameters);
        const nowMs = now();
        // All time when no range is given: it is the register of types.
        const asked = readRange(given, nowMs + futureMs, Number.POSITIVE_INFINITY);
        const query = createEventTypesQuery(asked, nowMs, given.limit);
        const rows = await reader.rows<{ event_type: string; event_count: number }>(query, signal);
        return jsonAnswer<EventTypes>({ event_types: rows });
      }),
    );
}

/** A device's clock may be ahead; "all time" includes what it has sent. */
const futureMs = 24 * hourMs;

/** A series of a split: one type and one value, or none, of the key. */
interface Pair {
  event_type: string;
  split: string | null;
  /** Of all that there are. */
  total: number;
}

interface HistoryRow extends FigureRow {
  event_type: string;
  /** Only with `split`. */
  split?: string | null;
  /** Epoch seconds. */
  step: number;
}

function createHistoryQuery(plan: HistoryPlan, ask: HistoryAsk, pairs: readonly Pair[] | null): Query {
  const isRaw = plan.table === "telemetry_events";
  const { from, where, params } = source(plan, ask);
  const seconds = isRaw ? "toUnixTimestamp(timestamp)" : "toUnixTimestamp(time)";
  const largest = `
    SELECT event_type FROM ${from} WHERE ${where}
    GROUP BY event_type ORDER BY ${isRaw ? "count()" : "sum(event_count)"} DESC, event_type LIMIT {series:UInt32}`;
  const types = ask.eventTypes.length > 0 ? "{types:Array(String)}" : `(${largest})`;
  const series =
    pairs === null
      ? `event_type IN ${types}`
      : "has(arrayZip({pairTypes:Array(String)}, {pairKeys:Array(String)}), (event_type, splitKey))";
  const split = pairs === null ? "" : "split,";
  return {
    sql: `
      SELECT event_type, ${split} intDiv(${seconds}, {step:UInt32}) * {step:UInt32} AS step,
        ${isRaw ? rawFigures : rollupFigures}
      FROM ${from}
      WHERE ${where} AND ${series}
      GROUP BY event_type, ${split} step
      ORDER BY event_type, ${split} step`,
    params: {
      ...params,
      step: plan.stepSeconds,
      series: ask.seriesMax,
      types: ask.eventTypes,
      pairTypes: pairs?.map((pair) => pair.event_type) ?? [],
      pairKeys: pairs?.map((pair) => splitKey(pair.split)) ?? [],
    },
    rowsMax: limits.historySeries * limits.historyPoints,
  };
}

/** The busiest series of a split, and how many there are. */
function createPairsQuery(plan: HistoryPlan, ask: HistoryAsk): Query {
  const { from, where, params } = source(plan, ask);
  const types = ask.eventTypes.length > 0 ? "AND event_type IN {types:Array(String)}" : "";
  return {
    sql: `
      SELECT event_type, split, count() OVER () AS total FROM (
        SELECT event_type, split, count() AS events FROM ${from} WHERE ${where} ${types} GROUP BY event_type, split
      )
      ORDER BY events DESC, event_type, split LIMIT {series:UInt32}`,
    params: { ...params, series: ask.seriesMax, types: ask.eventTypes },
    rowsMax: limits.historySeries,
  };
}

/** A value and "no value", as one text. */
const splitKey = (split: string | null): string => (split === null ? "-" : `+${split}`);

/** Where a plan reads from, and under which conditions. */
function source(plan: HistoryPlan, ask: HistoryAsk): { from: string; where: string; params: Query["params"] } {
  const isRaw = plan.table === "telemetry_events";
  const matching = matchingDevices(ask.metadata);
  const where = [isRaw ? rawRange : rollupRange];
  if (ask.deviceId !== undefined) where.push("device_id = {device:String}");
  if (ask.metadata.length > 0) where.push(`device_id IN (${matching.sql})`);
  const join = `
    telemetry_events LEFT JOIN (
      SELECT device_id, (${metadataMap("metadata_text")}) AS metadata_map,
        if(mapContains(metadata_map, {split:String}), metadata_map[{split:String}], NULL) AS split,
        if(isNull(split), '-', concat('+', split)) AS splitKey
      FROM (${newestMetadata})
    ) AS split_devices USING device_id`;
  return {
    from: ask.split === undefined ? plan.table : join,
    where: where.join(" AND "),
    params: { ...matching.params, ...rangeParams(plan.range), device: ask.deviceId ?? "", split: ask.split ?? "" },
  };
}

const rawRange =
  "timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC')";
/** The range is in whole units here. */
const rollupRange =
  "time >= toDateTime(intDiv({from:Int64}, 1000), 'UTC') AND time < toDateTime(intDiv({to:Int64}, 1000), 'UTC')";

const rangeParams = (range: TimeRange) => ({ from: range.fromMs, to: range.toMs });

/** Series in the order asked for, empty ones included; without a wish, the largest first. */
function groupSeries(rows: readonly HistoryRow[], asked: readonly string[]): History["series"] {
  const points = new Map<string, HistoryPoint[]>(asked.map((type) => [type, []]));
  const counts = new Map<string, number>();
  for (const row of rows) {
    const series = points.get(row.event_type) ?? [];
    series.push(createPoint(row));
    points.set(row.event_type, series);
    counts.set(row.event_type, (counts.get(row.event_type) ?? 0) + row.count);
  }
  const series = [...points].map(([event_type, each]) => ({ event_type, points: each }));
  // Sorting is stable, and rows come by type.
  if (asked.length === 0) series.sort((a, b) => (counts.get(b.event_type) ?? 0) - (counts.get(a.event_type) ?? 0));
  return series;
}

/** One series a pair, in their order. */
function groupPairs(rows: readonly HistoryRow[], pairs: readonly Pair[]): History["series"] {
  const keyOf = (type: string, split: string | null): string => JSON.stringify([type, split]);
  const byPair = Map.groupBy(rows, (row) => keyOf(row.event_type, row.split ?? null));
  return pairs.map(({ event_type, split }) => ({
    event_type,
    split,
    points: (byPair.get(keyOf(event_type, split)) ?? []).map(createPoint),
  }));
}

const createPoint = (row: HistoryRow): HistoryPoint => ({
  time: new Date(row.step * 1000).toISOString(),
  count: row.count,
  avg: meanOf(row),
  min: row.lowest,
  max: row.highest,
  p50: quantileOf(row, 0),
  p95: quantileOf(row, 1),
  p99: quantileOf(row, 2),
});

/** Ranges longer than this are counted in minutes, and in hours beyond the second. */
const secondsRangeMaxMs = 2 * hourMs;
const minutesRangeMaxMs = 7 * 24 * hourMs;

/** Counted from the coarsest rollup that is still fine beside the range; its ends are widened to whole units. */
function createEventTypesQuery(range: TimeRange, nowMs: number, limit: number): Query {
  const lengthMs = range.toMs - range.fromMs;
  const fine = lengthMs <= secondsRangeMaxMs ? 0 : lengthMs <= minutesRangeMaxMs ? 1 : 2;
  const isKept = (rollup: Rollup): boolean => range.fromMs >= nowMs - rollup.keptSeconds * 1000;
  const rollup = rollups.slice(fine).find(isKept) ?? (rollups[2] as Rollup);
  return {
    sql: `
      SELECT event_type, sum(event_count) AS event_count FROM ${rollup.table} WHERE ${rollupRange}
      GROUP BY event_type ORDER BY event_count DESC, event_type LIMIT {limit:UInt32}`,
    params: { ...rangeParams(widenRange(range, rollup.unitSeconds)), limit },
    rowsMax: limit,
  };
}
