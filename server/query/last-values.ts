import type { Device } from "../../contract/read.ts";
import type { Reader } from "./reader.ts";

type LastValues = NonNullable<Device["last_values"]>;

interface ListedDevice {
  readonly device_id: string;
  /** Epoch milliseconds. */
  readonly last_seen: number;
}

interface ValueRow {
  device_id: string;
  event_type: string;
  last_float: number | null;
  last_string: string | null;
}

const hourMs = 3_600_000;
/** A type that a device sends more seldom than this before its newest event has no last value here. */
const lookBackMs = hourMs;
/** However long the longest silence of the page is. */
const rangeMaxMs = 24 * hourMs;

/** The newest values of some types, of the devices of one page: from a range that all their newest events lie in. */
export async function readLastValues(
  reader: Reader,
  devices: readonly ListedDevice[],
  types: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, LastValues>> {
  if (types.length === 0 || devices.length === 0) return new Map();
  const seenMs = devices.map((device) => device.last_seen);
  const newestMs = Math.max(...seenMs);
  const rows = await reader.rows<ValueRow>(
    {
      // `argMax` skips nulls, and a null is what the newest event said; inside a tuple it counts.
      sql: `
        SELECT device_id, event_type,
          (argMax((value_float, value_string), (timestamp, received_at)) AS newest).1 AS last_float,
          newest.2 AS last_string
        FROM telemetry_events
        WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND timestamp <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND device_id IN {devices:Array(String)} AND event_type IN {types:Array(String)}
        GROUP BY device_id, event_type`,
      params: {
        from: Math.max(Math.min(...seenMs) - lookBackMs, newestMs - rangeMaxMs),
        to: newestMs,
        devices: devices.map((device) => device.device_id),
        types,
      },
      rowsMax: devices.length * types.length,
    },
    signal,
  );
  const byDevice = Map.groupBy(rows, (row) => row.device_id);
  return new Map(
    [...byDevice].map(([device, each]) => [
      device,
      // `fromEntries` defines properties, so that a type such as __proto__ is one like any other.
      Object.fromEntries(
        each.map(({ event_type, last_float, last_string }) => [
          event_type,
          { value_float: last_float, value_string: last_string },
        ]),
      ),
    ]),
  );
}
