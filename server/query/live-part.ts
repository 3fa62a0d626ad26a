import { Elysia } from "elysia";
import { limits } from "../../contract/limits.ts";
import type { PartUpdate, TypeAggregate } from "../../contract/stream.ts";
import { windowSeconds } from "../live-view/live-window.ts";
import { type FigureRow, meanOf, quantileOf, rawFigures } from "./figures.ts";
import { type Census, devicesOf } from "./fleet-census.ts";
import { type MetadataFilter, matchingDevices, metadataParameters } from "./metadata-filter.ts";
import { readParameters, whole, withDefault } from "./parameters.ts";
import type { Query, Reader } from "./reader.ts";
import { answer, jsonAnswer } from "./refusal.ts";

/** As in the live view: a rate is a mean of so many seconds. */
const rateSeconds = 10;
const typesMax = 10_000;

export const livePartParameters = {
  limit: withDefault(whole("types", 1, limits.streamTypesMax), limits.streamTypesDefault),
  ...metadataParameters,
};

export interface LivePartRoutesDeps {
  readonly reader: Reader;
  /** Everything received before this is stored, epoch milliseconds. */
  readonly completeTo: () => number;
  readonly fleet: Census;
}

/**
 * GET /api/live: what the stream tells of the whole fleet, of the devices that match. The stream's figures do not know devices, so
 * these come from the raw events of the window, and end where all is stored.
 */
export function createLivePartRoutes({ reader, completeTo, fleet }: LivePartRoutesDeps) {
  return new Elysia({ name: "live-part" }).get("/api/live", ({ request }) =>
    answer(request, async (signal) => {
      const { limit, "meta.*": metadata } = readParameters(new URL(request.url), livePartParameters);
      const toMs = Math.floor(completeTo() / 1000) * 1000;
      const [types, [fleetRow], devices] = await Promise.all([
        reader.rows<TypeRow>(createTypesQuery(metadata, toMs), signal),
        reader.rows<FleetRow>(createFleetQuery(metadata, toMs), signal),
        devicesOf(fleet, { search: "", status: undefined, metadata }, signal),
      ]);
      return jsonAnswer<PartUpdate>({
        timestamp: new Date(toMs).toISOString(),
        window_seconds: windowSeconds,
        aggregations: types.slice(0, limit).map(createAggregate),
        totals: {
          event_count: types.reduce((sum, row) => sum + row.count, 0),
          rate: types.reduce((sum, row) => sum + row.recent, 0) / rateSeconds,
          active_devices: fleetRow?.active ?? 0,
          event_types: types.length,
          online: devices.devices - devices.silent,
          silent: devices.silent,
          became_silent: fleetRow?.became_silent ?? 0,
          new_devices: fleetRow?.new_devices ?? 0,
        },
      });
    }),
  );
}

interface TypeRow extends FigureRow {
  event_type: string;
  /** Events of the last `rateSeconds`. */
  recent: number;
}

function createTypesQuery(metadata: MetadataFilter, toMs: number): Query {
  const { sql, params } = matchingDevices(metadata);
  return {
    sql: `
      SELECT event_type, ${rawFigures},
        countIf(timestamp >= fromUnixTimestamp64Milli({recent:Int64}, 'UTC')) AS recent
      FROM telemetry_events
      WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC') AND device_id IN (${sql})
      GROUP BY event_type ORDER BY count DESC, event_type LIMIT ${typesMax}`,
    params: { ...params, from: toMs - windowSeconds * 1000, to: toMs, recent: toMs - rateSeconds * 1000 },
    rowsMax: typesMax,
  };
}

const createAggregate = (row: TypeRow): TypeAggregate => ({
  event_type: row.event_type,
  event_count: row.count,
  avg_value: meanOf(row),
  min_value: row.lowest,
  max_value: row.highest,
  p50: quantileOf(row, 0),
  p95: quantileOf(row, 1),
  p99: quantileOf(row, 2),
  rate: row.recent / rateSeconds,
});

interface FleetRow {
  active: number;
  new_devices: number;
  became_silent: number;
}

function createFleetQuery(metadata: MetadataFilter, toMs: number): Query {
  const { sql, params } = matchingDevices(metadata);
  const windowStart = "fromUnixTimestamp64Milli({from:Int64}, 'UTC')";
  return {
    sql: `
      WITH (
        SELECT uniqExact(at, device_id) FROM device_changes
        WHERE kind = 'silent' AND at >= ${windowStart} AND device_id IN (${sql})
      ) AS became_silent
      SELECT countIf(heard >= ${windowStart}) AS active, countIf(first_heard >= ${windowStart}) AS new_devices,
        became_silent
      FROM (
        SELECT device_id, max(last_received) AS heard, min(first_received) AS first_heard
        FROM devices WHERE device_id IN (${sql}) GROUP BY device_id
      )`,
    params: { ...params, from: toMs - windowSeconds * 1000 },
    rowsMax: 1,
  };
}
