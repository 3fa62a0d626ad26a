import { Elysia } from "elysia";
import { decodeDeviceSegment } from "../../contract/device-path.ts";
import type { DeviceGroups, Facets } from "../../contract/fleet.ts";
import { isLonger, limits } from "../../contract/limits.ts";
import type { Device, DeviceDetail, Devices } from "../../contract/read.ts";
import { fleetDevices, isSilent } from "../fleet/device-query.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { decodeMetadata } from "../fleet/metadata-text.ts";
import { type CursorValues, decodeCursor, encodeCursor } from "./cursor.ts";
import { censusFilterOf, censusParameters, facetsOf, groupsOf } from "./fleet-census.ts";
import { readLastValues } from "./last-values.ts";
import { type MetadataFilter, metadataConditions, metadataKey } from "./metadata-filter.ts";
import { choice, cursor, readParameters, text, texts, whole, withDefault } from "./parameters.ts";
import type { Query, Reader } from "./reader.ts";
import { answer, invalidParameter, jsonAnswer, Refusal } from "./refusal.ts";

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

/** Types and counts of one device are taken from its last days: it bounds what a request reads on any fleet. */
const detailDays = 30;
const detailTypesMax = 1_000;

export const devicesParameters = {
  ...censusParameters,
  sort: withDefault(choice("descending with a minus", sorts), "device_id"),
  limit: withDefault(whole("devices of a page", 1, limits.pageMax), limits.pageDefault),
  cursor,
  last: texts("event type whose last value is wanted; may repeat", limits.eventTypeCharacters, limits.lastValueTypes),
  group: metadataKey("meta.KEY: counts by this key instead of devices (DeviceGroups)"),
};
export const facetParameters = {
  keys: texts(
    "these keys, separated by commas; without it, those that group devices",
    limits.metadataCharacters * limits.facetKeys,
    limits.facetKeys,
  ),
  ...censusParameters,
};
export const deviceParameters = { device_id: text("required", limits.deviceIdCharacters) };

interface DevicesAsk {
  search: string;
  status: "online" | "silent" | undefined;
  /** All of these. */
  metadata: MetadataFilter;
  sort: Sort;
  limit: number;
  after: CursorValues | undefined;
}

export interface DeviceRoutesDeps {
  readonly reader: Reader;
  /** Everything received before this is stored, epoch milliseconds: a device is judged by what ClickHouse can know of it. */
  readonly completeTo: () => number;
  /** What is known of the fleet at this moment. */
  readonly fleet: Pick<Fleet, "find" | "volatileKeys" | "roll">;
}

/** GET /api/devices and GET /api/devices/ID. */
export function createDeviceRoutes(deps: DeviceRoutesDeps) {
  const { reader, completeTo, fleet } = deps;
  return (
    new Elysia({ name: "devices" })
      .get("/api/devices", ({ request }) =>
        answer(request, async (signal) => {
          const given = readParameters(new URL(request.url), devicesParameters);
          if (given.group !== undefined) {
            return jsonAnswer<DeviceGroups>(await groupsOf(fleet, censusFilterOf(given), given.group, signal));
          }
          const { search, status, metadata } = censusFilterOf(given);
          const { sort, limit, cursor, last: lastTypes } = given;
          const scope = ["devices", search, status ?? "", sort, metadata];
          const after = cursor === undefined ? undefined : decodeCursor(cursor, scope, ["integer", "string"]);

          const ask = { search, status, metadata, sort, limit, after };
          const completeMs = completeTo();
          const rows = await reader.rows<DeviceRow>(createDevicesQuery(ask, completeMs), signal);
          const page = rows.slice(0, limit);
          const last = page.at(-1);
          const lastValues = await readLastValues(reader, page, lastTypes, signal);
          return jsonAnswer<Devices>({
            devices: page.map((row) => ({
              // Who asked for the silent ones gets those that the filter found, whatever has happened since.
              ...createDevice(row, status === undefined),
              ...(lastTypes.length === 0 ? {} : { last_values: lastValues.get(row.device_id) ?? {} }),
            })),
            cursor: rows.length > limit && last ? encodeCursor(scope, [last.sort_key, last.device_id]) : null,
            total: rows[0]?.total ?? (after === undefined ? 0 : await countDevices(ask, completeMs, signal)),
          });
        }),
      )
      .get("/api/facets", ({ request }) =>
        answer(request, async (signal) => {
          const given = readParameters(new URL(request.url), facetParameters);
          const keys = given.keys.flatMap((each) => each.split(",")).filter((key) => key !== "");
          if (keys.length > limits.facetKeys) throw invalidParameter("keys", `at most ${limits.facetKeys}`);
          return jsonAnswer<Facets>(await facetsOf(fleet, censusFilterOf(given), keys, signal));
        }),
      )
      // A path cannot carry every ID: `.` and `..` are taken out of it by whoever sends it.
      .get("/api/device", ({ request }) =>
        answer(request, async (signal) => {
          const { device_id: deviceId } = readParameters(new URL(request.url), deviceParameters);
          if (deviceId === undefined) throw invalidParameter("device_id", "which device?");
          return describe(deviceId, signal);
        }),
      )
      .get("/api/devices/*", ({ request }) =>
        answer(request, async (signal) => {
          readParameters(new URL(request.url), {});
          return describe(decodeDeviceId(rawPath(request.url).slice("/api/devices/".length)), signal);
        }),
      )
  );

  async function describe(deviceId: string, signal: AbortSignal): Promise<Response> {
    const [row] = await reader.rows<DeviceRow>(createDeviceQuery(deviceId, completeTo()), signal);
    if (row === undefined) throw new Refusal("not_found", "No event of this device has been stored.");
    const types = await reader.rows<TypeRow>(createTypesQuery(row), signal);
    return jsonAnswer<DeviceDetail>({ ...createDevice(row, true), event_types: types.map(createType) });
  }

  /** For a page behind the last device, which has no row that could say it. */
  async function countDevices(ask: DevicesAsk, completeMs: number, signal: AbortSignal): Promise<number> {
    const query = createDevicesQuery({ ...ask, limit: 1, after: undefined }, completeMs);
    const [row] = await reader.rows<DeviceRow>(query, signal);
    return row?.total ?? 0;
  }

  /** `live`: its status is that of this moment, where this process follows the device. */
  function createDevice(row: DeviceRow, live: boolean): Device & { metadata: Record<string, string> } {
    const known = live ? fleet.find(row.device_id) : null;
    const silent = known?.silent ?? row.silent === 1;
    const silentSinceMs = known?.silentSinceMs ?? row.heard_ms + row.silent_after_ms;
    const metadata = Object.entries(decodeMetadata(row.metadata_text) ?? {});
    return {
      device_id: row.device_id,
      first_seen: new Date(row.first_seen).toISOString(),
      last_seen: new Date(row.last_seen).toISOString(),
      event_count: row.event_count,
      status: silent ? "silent" : "online",
      interval_seconds: row.interval_seconds,
      silent_since: silent ? new Date(silentSinceMs).toISOString() : null,
      metadata: Object.fromEntries(metadata.filter(([key]) => !fleet.volatileKeys.has(key))),
    };
  }
}

/** The path as it came: `URL` would take `.` and `..` for steps in it. */
function rawPath(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}

/** The ID is one path segment, percent-encoded; a slash that was not encoded is taken as part of it. */
function decodeDeviceId(segment: string): string {
  let deviceId: string;
  try {
    deviceId = decodeDeviceSegment(decodeURIComponent(segment));
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
  heard_ms: number;
  silent_after_ms: number;
  metadata_text: string;
  silent: 0 | 1;
  sort_key: number;
  total: number;
}

const deviceColumns = `
  device_id, first_ms AS first_seen, last_ms AS last_seen, events AS event_count, interval_seconds,
  heard_ms, silent_after_ms, metadata_text, ${isSilent} AS silent`;

function createDevicesQuery(ask: DevicesAsk, completeMs: number): Query {
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
  const { conditions, params } = metadataConditions(ask.metadata);
  if (ask.status !== undefined) conditions.push(`silent = ${ask.status === "silent" ? 1 : 0}`);
  return {
    sql: `
      SELECT * FROM (
        SELECT ${deviceColumns}, toInt64(${sortKeys[column]}) AS sort_key, count() OVER () AS total
        FROM (${fleetDevices(ask.search === "" ? "" : "WHERE positionCaseInsensitiveUTF8(device_id, {search:String}) > 0")})
        ${conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`}
      )
      ${after}
      ORDER BY sort_key ${direction}, device_id ${idDirection}
      LIMIT {limit:UInt32}`,
    params: {
      ...params,
      complete: completeMs,
      search: ask.search,
      limit: ask.limit + 1,
      key: ask.after?.[0] ?? 0,
      id: ask.after?.[1] ?? "",
    },
    rowsMax: ask.limit + 1,
  };
}

function createDeviceQuery(deviceId: string, completeMs: number): Query {
  return {
    sql: `SELECT ${deviceColumns} FROM (${fleetDevices("WHERE device_id = {device:String}")})`,
    params: { complete: completeMs, device: deviceId },
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
