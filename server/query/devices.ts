import { Elysia } from "elysia";
import { isLonger, limits } from "../../contract/limits.ts";
import type { Device, DeviceDetail, Devices } from "../../contract/read.ts";
import { type CursorValues, decodeCursor, encodeCursor } from "./cursor.ts";
import { readParameters } from "./parameters.ts";
import type { Query, Reader } from "./reader.ts";
import { answer, invalidParameter, jsonAnswer, Refusal } from "./refusal.ts";

const statuses = ["online", "silent"] as const;
/** What each sorts by, as an integer that a cursor can hold; times are epoch milliseconds, and IDs break every tie. */
const sortKeys = {
  device_id: "0",
  first_seen: "first_seen",
  last_seen: "last_seen",
  event_count: "event_count",
} as const;
type SortColumn = keyof typeof sortKeys;
const sortColumns = Object.keys(sortKeys) as SortColumn[];
const sorts = sortColumns.flatMap((column) => [column, `-${column}`] as const);
type Sort = (typeof sorts)[number];

/** A device whose interval is not known yet counts as silent after twice this and a second. */
const unknownIntervalSeconds = 30;
/** Types and counts of one device are taken from its last days: it bounds what a request reads on any fleet. */
const detailDays = 30;
const detailTypesMax = 1_000;

interface DevicesAsk {
  search: string;
  status: (typeof statuses)[number] | undefined;
  sort: Sort;
  limit: number;
  after: CursorValues | undefined;
}

/** GET /api/devices and GET /api/devices/ID. */
export function createDeviceRoutes(deps: { reader: Reader; now: () => number }) {
  const { reader, now } = deps;
  return new Elysia({ name: "devices" })
    .get("/api/devices", ({ request }) =>
      answer(request, async (signal) => {
        const parameters = readParameters(new URL(request.url), ["search", "status", "sort", "limit", "cursor"]);
        const search = parameters.text("search", limits.deviceIdCharacters) ?? "";
        const status = parameters.choice("status", statuses);
        const sort = parameters.choice("sort", sorts) ?? "device_id";
        const limit = parameters.integer("limit", 1, limits.pageMax) ?? limits.pageDefault;
        const cursor = parameters.text("cursor", Number.POSITIVE_INFINITY);
        const scope = ["devices", search, status ?? "", sort];
        const after = cursor === undefined ? undefined : decodeCursor(cursor, scope, ["integer", "string"]);

        const ask = { search, status, sort, limit, after };
        const nowMs = now();
        const rows = await reader.rows<DeviceRow>(createDevicesQuery(ask, nowMs), signal);
        const page = rows.slice(0, limit);
        const last = page.at(-1);
        return jsonAnswer<Devices>({
          devices: page.map(createDevice),
          cursor: rows.length > limit && last ? encodeCursor(scope, [last.sort_key, last.device_id]) : null,
          total: rows[0]?.total ?? (after === undefined ? 0 : await countDevices(ask, nowMs, signal)),
        });
      }),
    )
    .get("/api/devices/*", ({ request }) =>
      answer(request, async (signal) => {
        const url = new URL(request.url);
        readParameters(url, []);
        const deviceId = decodeDeviceId(url.pathname.slice("/api/devices/".length));
        const [row] = await reader.rows<DeviceRow>(createDeviceQuery(deviceId, now()), signal);
        if (row === undefined) throw new Refusal("not_found", "No event of this device has been stored.");
        const types = await reader.rows<TypeRow>(createTypesQuery(row), signal);
        const [newest] = await reader.rows<Pick<DeviceDetail, "metadata">>(createMetadataQuery(row), signal);
        return jsonAnswer<DeviceDetail>({
          ...createDevice(row),
          event_types: types.map(createType),
          metadata: newest?.metadata ?? {},
        });
      }),
    );

  /** For a page behind the last device, which has no row that could say it. */
  async function countDevices(ask: DevicesAsk, nowMs: number, signal: AbortSignal): Promise<number> {
    const query = createDevicesQuery({ ...ask, limit: 1, after: undefined }, nowMs);
    const [row] = await reader.rows<DeviceRow>(query, signal);
    return row?.total ?? 0;
  }
}

/** The ID is one path segment, percent-encoded; a slash that was not encoded is taken as part of it. */
function decodeDeviceId(segment: string): string {
  let deviceId: string;
  try {
    deviceId = decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError) throw invalidParameter("device_id", "not valid percent-encoding of UTF-8");
    throw error;
  }
  if (isLonger(deviceId, limits.deviceIdCharacters)) {
    throw invalidParameter("device_id", `at most ${limits.deviceIdCharacters} characters`);
  }
  if (deviceId === "") throw new Refusal("not_found", "A device's path ends with its ID.");
  return deviceId;
}

/** Times in epoch milliseconds. */
interface DeviceRow {
  device_id: string;
  first_seen: number;
  last_seen: number;
  event_count: number;
  interval_seconds: number | null;
  silent: 0 | 1;
  sort_key: number;
  total: number;
}

const createDevice = (row: DeviceRow): Device => ({
  device_id: row.device_id,
  first_seen: new Date(row.first_seen).toISOString(),
  last_seen: new Date(row.last_seen).toISOString(),
  event_count: row.event_count,
  status: row.silent === 1 ? "silent" : "online",
  interval_seconds: row.interval_seconds,
});

/**
 * One row a device, with its own usual interval and whether it is silent: no event for more than twice the interval plus a
 * second. The interval is the median gap between its last reports (ddl/003_devices.sql); with a single report, the
 * mean gap of the events in it; null with a single event, or when all have one time.
 */
const devicesWithStatus = (where: string): string => `
  SELECT
    device_id, first_ms, last_ms, events,
    arrayPopFront(arrayDifference(arrayCompact(groupArraySortedMerge(8)(recent_reports)))) AS gaps,
    if(notEmpty(gaps), arrayReduce('median', gaps), (last_ms - first_ms) / (events - 1)) / 1000 AS gap_seconds,
    if(gap_seconds > 0 AND isFinite(gap_seconds), gap_seconds, NULL) AS interval_seconds,
    {now:Int64} - last_ms > 1000 * (2 * ifNull(interval_seconds, {unknown:UInt32}) + 1) AS silent,
    toUnixTimestamp64Milli(min(first_seen)) AS first_ms,
    toUnixTimestamp64Milli(max(last_seen)) AS last_ms,
    sum(event_count) AS events
  FROM devices
  ${where}
  GROUP BY device_id`;

const deviceColumns =
  "device_id, first_ms AS first_seen, last_ms AS last_seen, events AS event_count, interval_seconds, silent";

function createDevicesQuery(ask: DevicesAsk, nowMs: number): Query {
  const descending = ask.sort.startsWith("-");
  const column = ask.sort.replace("-", "") as SortColumn;
  const byId = column === "device_id";
  const [direction, beyond] = descending ? ["DESC", "<"] : ["ASC", ">"];
  // Devices with equal keys are in the order of their IDs, so that a page ends between two of them, not among equals.
  const idDirection = byId ? direction : "ASC";
  const idBeyond = byId ? beyond : ">";
  const after = ask.after
    ? `WHERE sort_key ${beyond} {key:Int64} OR (sort_key = {key:Int64} AND device_id ${idBeyond} {id:String})`
    : "";
  return {
    sql: `
      SELECT * FROM (
        SELECT ${deviceColumns}, toInt64(${sortKeys[column]}) AS sort_key, count() OVER () AS total
        FROM (${devicesWithStatus(ask.search === "" ? "" : "WHERE positionCaseInsensitiveUTF8(device_id, {search:String}) > 0")})
        ${ask.status === undefined ? "" : `WHERE silent = ${ask.status === "silent" ? 1 : 0}`}
      )
      ${after}
      ORDER BY sort_key ${direction}, device_id ${idDirection}
      LIMIT {limit:UInt32}`,
    params: {
      now: nowMs,
      unknown: unknownIntervalSeconds,
      search: ask.search,
      limit: ask.limit + 1,
      key: ask.after?.[0] ?? 0,
      id: ask.after?.[1] ?? "",
    },
    rowsMax: ask.limit + 1,
  };
}

function createDeviceQuery(deviceId: string, nowMs: number): Query {
  return {
    sql: `SELECT ${deviceColumns} FROM (${devicesWithStatus("WHERE device_id = {device:String}")})`,
    params: { now: nowMs, unknown: unknownIntervalSeconds, device: deviceId },
    rowsMax: 1,
  };
}

interface TypeRow {
  event_type: string;
  event_count: number;
  last_ms: number;
  last_value_float: number | null;
  last_value_string: string | null;
}

const createType = (row: TypeRow): DeviceDetail["event_types"][number] => ({
  event_type: row.event_type,
  event_count: row.event_count,
  last_seen: new Date(row.last_ms).toISOString(),
  last_value_float: row.last_value_float,
  last_value_string: row.last_value_string,
});

function createTypesQuery(device: DeviceRow): Query {
  return {
    // `argMax` skips nulls, and a null is what the newest event said; inside a tuple it counts.
    sql: `
      SELECT
        event_type, count() AS event_count, toUnixTimestamp64Milli(max(timestamp)) AS last_ms,
        (argMax((value_float, value_string), (timestamp, received_at)) AS newest).1 AS last_value_float,
        newest.2 AS last_value_string
      FROM telemetry_events
      WHERE device_id = {device:String}
        AND timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND timestamp <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
      GROUP BY event_type ORDER BY event_count DESC, event_type LIMIT ${detailTypesMax}`,
    params: {
      device: device.device_id,
      from: Math.max(device.first_seen, device.last_seen - detailDays * 86_400_000),
      to: device.last_seen,
    },
    rowsMax: detailTypesMax,
  };
}

function createMetadataQuery(device: DeviceRow): Query {
  return {
    sql: `
      SELECT metadata FROM telemetry_events
      WHERE device_id = {device:String} AND timestamp = fromUnixTimestamp64Milli({at:Int64}, 'UTC')
      ORDER BY received_at DESC LIMIT 1`,
    params: { device: device.device_id, at: device.last_seen },
    rowsMax: 1,
  };
}
