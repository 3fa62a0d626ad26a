import type { StoredEvent } from "../contract/event.ts";
import { timeMaxMs } from "./parameters.ts";
import type { Query, Reader } from "./reader.ts";

export interface EventFilter {
  deviceId: string | undefined;
  /** Empty: any. */
  eventTypes: readonly string[];
  fromMs: number | undefined;
  /** Exclusive. */
  toMs: number | undefined;
}

/**
 * A place between two events, newest first. Events of one millisecond are in the order of a hash of their content; those
 * that are equal in all of it are told apart by how many of them went before.
 */
export interface EventPlace {
  timestampMs: number;
  hash: string;
  /** Events equal to this one on this side of the place. */
  equals: number;
}

export interface EventPage {
  events: StoredEvent[];
  /** Null at the end. */
  next: EventPlace | null;
}

/** Reads one page of raw events, newest first, whatever the size of the table. */
export type ReadEventPage = (
  filter: EventFilter,
  after: EventPlace | null,
  limit: number,
  signal: AbortSignal,
) => Promise<EventPage>;

const secondMs = 1_000;
const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;

/**
 * How far back to look, one after another until there are enough events. The whole range comes last; by then the events
 * are so sparse that there is little to read.
 *
 * A page costs two or three short queries: where to begin (the newest event that can match), where the page ends (its last
 * timestamp: one column is read, and only in parts and ten-minute buckets that the window touches), and the events between,
 * with all their columns. Measured on 100 M rows; see event-pages.test.ts for what is asserted.
 */
const fleetWindowsMs = [secondMs, 10 * secondMs, 10 * minuteMs, 2 * hourMs, dayMs];
/** A device's rows lie together in each bucket, so a window may be wide. */
const deviceWindowsMs = [hourMs, dayMs, 30 * dayMs];
const typeWindowsMs = [10 * secondMs, 2 * minuteMs, 20 * minuteMs];

export function createEventPages(reader: Reader): ReadEventPage {
  return async (filter, after, limit, signal) => {
    const begin = await findBegin(filter, after, signal);
    if (begin === null || (filter.fromMs !== undefined && begin < filter.fromMs)) return { events: [], next: null };
    const end = await findEnd(filter, after, begin, limit, signal);
    const rows = await reader.rows<EventRow>(createRowsQuery(filter, after, begin, end, limit), signal);
    return { events: rows.slice(0, limit).map(createEvent), next: placeAfter(rows, limit, after) };
  };

  /** No event that is asked for is newer than this. Null when there is none at all. */
  async function findBegin(filter: EventFilter, after: EventPlace | null, signal: AbortSignal): Promise<number | null> {
    if (after !== null) return after.timestampMs;
    const boundMs = (filter.toMs ?? timeMaxMs) - 1;
    const [row] = await reader.rows<{ newest: number | null }>(createNewestQuery(filter, boundMs), signal);
    return typeof row?.newest === "number" ? Math.min(row.newest, boundMs) : null;
  }

  /** A time at or below the page's last event, and as near to it as makes the page cheap to read. */
  async function findEnd(
    filter: EventFilter,
    after: EventPlace | null,
    begin: number,
    limit: number,
    signal: AbortSignal,
  ): Promise<Window> {
    const oldest = filter.fromMs ?? 0;
    // Of the millisecond where the last page ended any number may be left: only what is older is counted.
    const newest = after === null ? begin : begin - 1;
    for (const windowMs of windowsOf(filter)) {
      const fromMs = begin - windowMs;
      if (fromMs <= oldest) break;
      const fromHere = await nthNewest(filter, { fromMs, hoursMax: null }, newest, limit, signal);
      if (fromHere !== null) return { fromMs: fromHere, hoursMax: null };
    }
    // The hours in which a type occurs are known from a rollup; each has one event or more.
    const whole = { fromMs: oldest, hoursMax: isByTypeOnly(filter) ? limit + 2 : null };
    const fromHere = await nthNewest(filter, whole, newest, limit, signal);
    return fromHere === null ? whole : { ...whole, fromMs: fromHere };
  }

  async function nthNewest(
    filter: EventFilter,
    window: Window,
    toMs: number,
    limit: number,
    signal: AbortSignal,
  ): Promise<number | null> {
    const query = createNthQuery(filter, window, toMs, limit);
    const [row] = await reader.rows<{ timestamp_ms: number }>(query, signal);
    return row?.timestamp_ms ?? null;
  }
}

interface Window {
  fromMs: number;
  /** Only ten-minute buckets in this many of the newest hours that have the types; null: all. */
  hoursMax: number | null;
}

const isByTypeOnly = (filter: EventFilter): boolean => filter.deviceId === undefined && filter.eventTypes.length > 0;

function windowsOf(filter: EventFilter): readonly number[] {
  if (filter.deviceId !== undefined) return deviceWindowsMs;
  return filter.eventTypes.length > 0 ? typeWindowsMs : fleetWindowsMs;
}

/** Conditions and parameters shared by every query of one page. Times are inclusive. */
function matching(filter: EventFilter, window: Window, toMs: number): { where: string; params: Query["params"] } {
  const where = [
    "timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')",
    "timestamp <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')",
  ];
  if (filter.deviceId !== undefined) where.push("device_id = {device:String}");
  if (filter.eventTypes.length > 0) where.push("event_type IN {types:Array(String)}");
  if (window.hoursMax !== null) where.push(`toStartOfTenMinutes(timestamp) IN (${newestBuckets})`);
  return {
    where: where.join(" AND "),
    params: {
      from: window.fromMs,
      to: toMs,
      device: filter.deviceId ?? "",
      types: filter.eventTypes,
      hours: window.hoursMax ?? 0,
    },
  };
}

/** The buckets of the newest hours that have events of the types, from the rollup that is kept for ever. */
const newestBuckets = `
  SELECT arrayJoin(arrayMap(bucket -> hour + 600 * bucket, range(6)))
  FROM (
    SELECT DISTINCT time AS hour FROM telemetry_1h
    WHERE event_type IN {types:Array(String)}
      AND time >= toStartOfHour(toDateTime(intDiv({from:Int64}, 1000), 'UTC'))
      AND time <= toDateTime(intDiv({to:Int64}, 1000), 'UTC')
    ORDER BY time DESC LIMIT {hours:UInt32}
  )`;

/** Each of these reads a few rows: the register of devices, a rollup, or what the parts say of themselves. */
function createNewestQuery(filter: EventFilter, boundMs: number): Query {
  const params = { device: filter.deviceId ?? "", types: filter.eventTypes, to: boundMs };
  return { sql: `SELECT ${newestOf(filter)} AS newest`, params, rowsMax: 1 };
}

function newestOf(filter: EventFilter): string {
  if (filter.deviceId !== undefined) {
    return "(SELECT toUnixTimestamp64Milli(maxOrNull(last_seen)) FROM devices WHERE device_id = {device:String})";
  }
  if (filter.eventTypes.length === 0)
    return "(SELECT toUnixTimestamp64Milli(maxOrNull(timestamp)) FROM telemetry_events)";
  // The end of the last minute that has one; of the last hour, when that is older than minutes are kept.
  const last = (table: string, seconds: number): string => `(
    SELECT (toInt64(toUnixTimestamp(maxOrNull(time))) + ${seconds}) * 1000 - 1 FROM ${table}
    WHERE event_type IN {types:Array(String)} AND time <= toDateTime(intDiv({to:Int64}, 1000), 'UTC'))`;
  return `coalesce(${last("telemetry_1m", 60)}, ${last("telemetry_1h", 3_600)})`;
}

/** The timestamp of the event that begins the next page. */
function createNthQuery(filter: EventFilter, window: Window, toMs: number, limit: number): Query {
  const { where, params } = matching(filter, window, toMs);
  return {
    sql: `
      SELECT toUnixTimestamp64Milli(timestamp) AS timestamp_ms FROM telemetry_events WHERE ${where}
      ORDER BY timestamp DESC LIMIT 1 OFFSET {limit:UInt32}`,
    params: { ...params, limit },
    rowsMax: 1,
  };
}

interface EventRow extends Omit<StoredEvent, "timestamp" | "received_at"> {
  timestamp_ms: number;
  received_ms: number;
  content_hash: string;
}

const contentHash = `cityHash64(
  device_id, event_type, received_at, isNull(value_float), ifNull(value_float, 0),
  isNull(value_string), ifNull(value_string, ''), mapKeys(metadata), mapValues(metadata))`;

function createRowsQuery(
  filter: EventFilter,
  after: EventPlace | null,
  beginMs: number,
  end: Window,
  limit: number,
): Query {
  const { where, params } = matching(filter, end, beginMs);
  const beyond =
    after === null ? "" : "AND (timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC') OR hash >= {hash:UInt64})";
  return {
    sql: `
      SELECT
        toUnixTimestamp64Milli(timestamp) AS timestamp_ms, toUnixTimestamp64Milli(received_at) AS received_ms,
        device_id, event_type, value_float, value_string, metadata, toString(${contentHash} AS hash) AS content_hash
      FROM telemetry_events
      WHERE ${where} ${beyond}
      ORDER BY timestamp DESC, hash LIMIT {limit:UInt32} OFFSET {equals:UInt32}`,
    params: { ...params, hash: after?.hash ?? "0", equals: after?.equals ?? 0, limit: limit + 1 },
    rowsMax: limit + 1,
  };
}

function createEvent(row: EventRow): StoredEvent {
  return {
    timestamp: new Date(row.timestamp_ms).toISOString(),
    received_at: new Date(row.received_ms).toISOString(),
    device_id: row.device_id,
    event_type: row.event_type,
    value_float: row.value_float,
    value_string: row.value_string,
    metadata: row.metadata,
  };
}

function placeAfter(rows: readonly EventRow[], limit: number, before: EventPlace | null): EventPlace | null {
  const last = rows[limit - 1];
  if (rows.length <= limit || last === undefined) return null;
  const isEqual = (row: EventRow): boolean =>
    row.timestamp_ms === last.timestamp_ms && row.content_hash === last.content_hash;
  const place = { timestampMs: last.timestamp_ms, hash: last.content_hash };
  const firstEqual = rows.findIndex(isEqual);
  const here = limit - firstEqual;
  const carried = before?.timestampMs === place.timestampMs && before.hash === place.hash ? before.equals : 0;
  return { ...place, equals: here + carried };
}
