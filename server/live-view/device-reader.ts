import type { ClickHouseClient } from "@clickhouse/client";
import { RowBinaryReader } from "../../contract/row.ts";
import { readAll } from "../../workers/clickhouse-client.ts";
import type { DeviceQueries } from "./device-refresher.ts";
import { buildDeviceCountQuery, buildDevicesQuery } from "./stored-window.ts";

const answerMaxBytes = 256 * 2 ** 20;
const timeoutMs = 10_000;

/** What the aggregator asks ClickHouse about devices. While ClickHouse is away the answers are "not known". */
export function createDeviceReader(client: ClickHouseClient): Required<DeviceQueries> {
  async function read(query: string): Promise<Uint8Array | undefined> {
    try {
      const result = await client.exec({
        query,
        abort_signal: AbortSignal.timeout(timeoutMs),
        clickhouse_settings: { readonly: "1" },
      });
      return await readAll(result.stream, answerMaxBytes);
    } catch (error) {
      if (error instanceof Error) return undefined;
      throw error;
    }
  }
  return {
    async queryDevices(fromSecond, limit) {
      const body = await read(buildDevicesQuery(fromSecond, limit));
      return body === undefined ? { ok: false } : { ok: true, body };
    },
    async countDevices(fromSecond) {
      const body = await read(buildDeviceCountQuery(fromSecond));
      return body === undefined ? null : new RowBinaryReader(body).uint64();
    },
  };
}
