import type { ClickHouseClient } from "@clickhouse/client";
import type { PipelineDetail } from "../../contract/read.ts";

type Parts = Pick<PipelineDetail, "parts" | "clickhouse_version">;

const timeoutMs = 2_000;
const nothing: Parts = { parts: null, clickhouse_version: null };

/** Reads how many parts the tables have, and ClickHouse's version; nulls while it is away. Never throws. */
export function createPartsReader(client: ClickHouseClient, database: string): () => Promise<Parts> {
  const rows = async <T>(query: string): Promise<T[]> => {
    const result = await client.query({
      query,
      query_params: { database },
      format: "JSONEachRow",
      abort_signal: AbortSignal.timeout(timeoutMs),
      clickhouse_settings: { readonly: "1", max_execution_time: 2, output_format_json_quote_64bit_integers: 0 },
    });
    return result.json<T>();
  };
  return async () => {
    try {
      const [version] = await rows<{ version: string }>("SELECT version() AS version");
      const parts = await rows<NonNullable<Parts["parts"]>[number]>(
        `SELECT table, count() AS parts, sum(rows) AS rows, sum(bytes_on_disk) AS bytes
         FROM system.parts WHERE active AND database = {database: String} GROUP BY table ORDER BY table`,
      );
      return { parts, clickhouse_version: version?.version ?? null };
    } catch (error) {
      if (error instanceof Error) return nothing;
      throw error;
    }
  };
}
