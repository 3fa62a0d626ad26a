import { createClient } from "@clickhouse/client";
import { RowEncoder, rowColumns } from "../../contract/row.ts";
import { applySchema } from "../../ddl/apply.ts";
import { insertSettings } from "../../ddl/insert-settings.ts";
import { createTemporaryDirectory, removeTemporaryDirectory } from "../processes.ts";
import { startEngine } from "../scratch-clickhouse.ts";
import { createRequest, type Target } from "../target.ts";
import { readStored } from "./sluice.ts";

/**
 * The service's own rows, ready-made in RowBinary, straight into its engine, tables and views: what is left when nothing
 * has to be received, checked, encoded or made durable. Its insert settings too, except that deduplication is off: the
 * same few bodies are sent again and again, without the token that a request made beforehand cannot have.
 */
export function createClickHouseLimit(): Target {
  return {
    name: "clickhouse-limit",
    missing: () => null,
    async start() {
      const directory = createTemporaryDirectory("clickhouse-limit");
      const { address, process } = await startEngine("clickhouse-limit", directory);
      const { port, user, password } = address;
      const client = createClient({ url: `http://127.0.0.1:${port}`, username: user, password });
      await applySchema({ client, database: "default", retentionDays: 90 });
      await client.close();
      const parameters = new URLSearchParams({
        ...Object.fromEntries(Object.entries(insertSettings).map(([name, value]) => [name, String(value)])),
        deduplicate_insert: "disable",
        wait_end_of_query: "1",
        query: `INSERT INTO telemetry_events (${rowColumns.join(", ")}) FORMAT RowBinary`,
      });
      const encoder = new RowEncoder();
      return {
        port,
        processes: [process],
        stored: (expectedEvents) => readStored(address, expectedEvents),
        queryableOnAnswer: true,
        encode(batch) {
          const nowMs = Date.now();
          encoder.reset();
          for (const event of batch.events) encoder.encode(event, nowMs, nowMs);
          return createRequest({
            port,
            path: `/?${parameters}`,
            contentType: "application/octet-stream",
            headers: { "X-ClickHouse-User": user, "X-ClickHouse-Key": password },
            body: encoder.bytes(),
            batch,
          });
        },
        async stop() {
          const inTime = await process.stop();
          removeTemporaryDirectory(directory);
          return inTime;
        },
      };
    },
  };
}
