import type { Pipeline } from "../../contract/stream.ts";
import type { Service } from "../../testing/test-service.ts";
import { until } from "../../testing/until.ts";

/** A row of telemetry_events, with its time in epoch milliseconds. */
export interface StoredRow {
  readonly device_id: string;
  readonly event_type: string;
  readonly value_float: number | null;
  readonly value_string: string | null;
  readonly metadata: Record<string, string>;
  readonly time_ms: number;
}

/** Waits until ClickHouse has all that is durable. */
export async function allStored(service: Service, timeoutMs = 60_000): Promise<void> {
  await until(
    "everything stored",
    async () => {
      const response = await fetch(`${service.url}/api/pipeline`);
      const { durable, stored, dead_lettered, clickhouse } = (await response.json()) as Pipeline;
      return clickhouse === "ok" && durable === stored + dead_lettered;
    },
    timeoutMs,
  );
}

/** What ClickHouse has of a device, or of all, sorted by type, time and metadata. */
export async function storedRows(service: Service, device?: string): Promise<StoredRow[]> {
  await allStored(service);
  const where = device === undefined ? "" : `WHERE device_id = '${device}'`;
  return service.sql<StoredRow>(
    `SELECT device_id, event_type, value_float, value_string, metadata, toUnixTimestamp64Milli(timestamp) AS time_ms
     FROM telemetry_events ${where} ORDER BY event_type, timestamp, toString(metadata), value_float`,
  );
}
