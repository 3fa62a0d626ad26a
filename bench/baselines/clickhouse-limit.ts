import { RowEncoder } from "../../server/contract/row.ts";
import { createRequest, type Target } from "../target.ts";
import { createSluice } from "./sluice.ts";

const insert = `/?query=${encodeURIComponent("INSERT INTO telemetry_events FORMAT RowBinary")}`;

/**
 * The same rows as ready-made RowBinary straight into the service's own engine and tables: what is left when nothing
 * has to be received, checked, encoded or made durable. The service around the engine idles.
 */
export function createClickHouseLimit(): Target {
  const sluice = createSluice({ settings: { AGGREGATION_INTERVAL: "60" } });
  return {
    name: "clickhouse-limit",
    missing: sluice.missing,
    async start() {
      const running = await sluice.start();
      const { port, user, password } = running.clickHouse;
      const encoder = new RowEncoder();
      return {
        ...running,
        port,
        queryableOnAnswer: true,
        encode(batch) {
          const nowMs = Date.now();
          encoder.reset();
          for (const event of batch.events) encoder.encode(event, nowMs, nowMs);
          return createRequest({
            port,
            path: insert,
            contentType: "application/octet-stream",
            headers: { "X-ClickHouse-User": user, "X-ClickHouse-Key": password },
            body: encoder.bytes(),
            batch,
          });
        },
      };
    },
  };
}
