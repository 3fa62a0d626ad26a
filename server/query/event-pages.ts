import type { StoredEvent } from "../../contract/event.ts";
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
 * that are equal in all of it are told apart by how many of them went before. So a page is not moved by what is inserted
 * meanwhile, and each event that was there is seen once.
 */
export interface EventPlace {
  timestampMs: number;
  hash: string;
  /** Events equal to the one before the place, on that side of it. */
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
 * How far back from the newest event to look, one after another until there are enough; the whole range comes last. Events
 * lie by ten minutes and device (ddl/001_telemetry_events.sql), so the newest of the fleet are all over their bucket and
 * a short window matters, while those of one device lie together.
 */
const fleetWindowsMs = [secondMs, 10 * secondMs, 10 * minuteMs, 2 * hourMs, dayMs];
const typeWindowsMs = [10 * secondMs, 2 * minuteMs, 20 * minuteMs, 4 * hourMs, 2 * dayMs];
const deviceWindowsMs = [hourMs, 4 * hourMs, 16 * hourMs, 3 * dayMs, 12 * dayMs];

/**
 * A page is read in short queries. First, where it begins and at which millisecond it ends: these read one column. Then
 * the events between, which ClickHouse finds by time alone before it opens the other columns; and last, of the
 * millisecond where the page ends, as many as fit, in the order of their hashes. Sorting all of it by hash would open every
 * column of every granule that the page touches: 90 ms instead of 27 for 100 of 5 M events.
 */
export function createEventPages(reader: Reader): ReadEventPage {
  return async (filter, after, limit, signal) => {
    const oldestMs = filter.fromMs ?? 0;
    const beginMs = after === null ? await findNewest(filter, signal) : after.timestampMs;
    if (beginMs === null || beginMs < oldestMs) return { events: [], next: null };

    const rows: EventRow[] = [];
    if (after !== null) {
      rows.push(...(await readMillisecond(filter, beginMs, after, limit + 1, signal)));
      if (rows.length > limit) return createPage(rows, limit, after);
    }
    const left = limit - rows.length;
    const newestMs = after === null ? beginMs : beginMs - 1;
    const endMs = await findEnd(filter, { oldestMs, newestMs, skip: left }, signal);

    if (left > 0) {
      const range = { oldestMs: endMs === null ? oldestMs : endMs + 1, newestMs };
      rows.push(...(await reader.rows<EventRow>(createRowsQuery(filter, range, left), signal)));
    }
    if (endMs === null) return { events: rows.map(createEvent), next: null };
    if (rows.length < limit) {
      const more = limit - rows.length;
      rows.push(...(await readMillisecond(filter, endMs, null, more + 1, signal)));
      return createPage(rows, limit, after);
    }
    return { events: rows.map(createEvent), next: { timestampMs: endMs, hash: "0", equals: 0 } };
  };

  /** No event that is asked for is newer. Null when there is none at all. */
  async function findNewest(filter: EventFilter, signal: AbortSignal): Promise<number | null> {
    const boundMs = (filter.toMs ?? timeMaxMs) - 1;
    const [row] = await reader.rows<{ newest: number | null }>(createNewestQuery(filter, boundMs), signal);
    return typeof row?.newest === "number" ? Math.min(row.newest, boundMs) : null;
  }

  /** The timestamp of the event that follows the first `skip`. Null when there are no more than those. */
  async function findEnd(
    filter: EventFilter,
    ask: { oldestMs: number; newestMs: number; skip: number },
    signal: AbortSignal,
  ): Promise<number | null> {
    const starts = windowsOf(filter).map((windowMs) => ask.newestMs - windowMs);
    for (const oldestMs of [...starts.filter((startMs) => startMs > ask.oldestMs), ask.oldestMs]) {
      const query = createEndQuery(filter, { oldestMs, newestMs: ask.newestMs }, ask.skip);
      const [row] = await reader.rows<{ timestamp_ms: number }>(query, signal);
      if (row !== undefined) return row.timestamp_ms;
    }
    return null;
  }

  async function readMillisecond(
    filter: EventFilter,
    timestampMs: number,
    after: EventPlace | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<EventRow[]> {
    return reader.rows<EventRow>(createMillisecondQuery(filter, timestampMs, after, limit), signal);
  }
}

function windowsOf(filter: EventFilter): readonly number[] {
  if (filter.deviceId !== undefined) return deviceWindowsMs;
  return filter.eventTypes.length > 0 ? typeWindowsMs : fleetWindowsMs;
}

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

/** Both ends inclusive. */
interface Range {
  oldestMs: number;
  newestMs: number;
}

/** The condition and the parameters that every query of a page shares. */
function matching(filter: EventFilter, range: Range): { where: string; params: Query["params"] } {
  const where = [
    "timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC')",
    "timestamp <= fromUnixTimestamp64Milli({newest:Int64}, 'UTC')",
  ];
  if (filter.deviceId !== undefined) where.push("device_id = {device:String}");
  if (filter.eventTypes.length > 0) where.push("event_type IN {types:Array(String)}");
  return {
    where: where.join(" AND "),
    params: {
      oldest: range.oldestMs,
      newest: range.newestMs,
      device: filter.deviceId ?? "",
      types: filter.eventTypes,
    },
  };
}

function createEndQuery(filter: EventFilter, range: Range, skip: number): Query {
  const { where, params } = matching(filter, range);
  return {
    sql: `
      SELECT toUnixTimestamp64Milli(timestamp) AS timestamp_ms FROM telemetry_events WHERE ${where}
      ORDER BY timestamp DESC LIMIT 1 OFFSET {skip:UInt32}`,
    params: { ...params, skip },
    rowsMax: 1,
  };
}

interface EventRow extends Omit<StoredEvent, "timestamp" | "received_at"> {
  timestamp_ms: number;
  received_ms: number;
  /** Only where a page may end. */
  content_hash?: string;
}

const eventColumns = `
  toUnixTimestamp64Milli(timestamp) AS timestamp_ms, toUnixTimestamp64Milli(received_at) AS received_ms,
  device_id, event_type, value_float, value_string, metadata`;
const contentHash = `cityHash64(
  device_id, event_type, received_at, isNull(value_float), ifNull(value_float, 0),
  isNull(value_string), ifNull(value_string, ''), mapKeys(metadata), mapValues(metadata))`;

function createRowsQuery(filter: EventFilter, range: Range, limit: number): Query {
  const { where, params } = matching(filter, range);
  return {
    sql: `SELECT ${eventColumns} FROM telemetry_events WHERE ${where} ORDER BY timestamp DESC LIMIT {limit:UInt32}`,
    params: { ...params, limit },
    rowsMax: limit,
  };
}

function createMillisecondQuery(
  filter: EventFilter,
  timestampMs: number,
  after: EventPlace | null,
  limit: number,
): Query {
  const { where, params } = matching(filter, { oldestMs: timestampMs, newestMs: timestampMs });
  return {
    sql: `
      SELECT ${eventColumns}, toString(${contentHash} AS hash) AS content_hash
      FROM telemetry_events WHERE ${where} AND hash >= {hash:UInt64}
      ORDER BY hash LIMIT {limit:UInt32} OFFSET {equals:UInt32}`,
    params: { ...params, hash: after?.hash ?? "0", equals: after?.equals ?? 0, limit },
    rowsMax: limit,
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

/** A page that may end in the middle of a millisecond, whose rows are the last ones. */
function createPage(rows: readonly EventRow[], limit: number, before: EventPlace | null): EventPage {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const events = page.map(createEvent);
  if (rows.length <= limit || last?.content_hash === undefined) return { events, next: null };
  const { timestamp_ms: timestampMs, content_hash: hash } = last;
  const here = page.filter((row) => row.timestamp_ms === timestampMs && row.content_hash === hash).length;
  const isSame = before?.timestampMs === timestampMs && before.hash === hash;
  return { events, next: { timestampMs, hash, equals: here + (isSame ? before.equals : 0) } };
}
