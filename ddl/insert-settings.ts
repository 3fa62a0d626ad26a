import type { ClickHouseClient } from "@clickhouse/client";

/**
 * Tokens of batches whose rollups and devices are inserted as ready states begin with this. The views on `telemetry_events` pass
 * such inserts over (006_own_states.sql), so nobody else may use it.
 */
const ownStatesPrefix = "sluice/states/";

export const ownStatesToken = (token: string): string => `${ownStatesPrefix}${token}`;

/**
 * The settings that every insert into `telemetry_events` carries, beside its own `insert_deduplication_token`.
 *
 * A retry must be cut into the same blocks as the first attempt and be recognised in every table, whatever the
 * server's profile says or a later release makes its default; so all that decides either is pinned. Numbers are strings
 * because they travel in a URL.
 */
export const insertSettings = {
  /** A confirmation means stored, not queued; and tokens do not work with asynchronous inserts on every release. */
  async_insert: 0,
  insert_deduplicate: 1,
  /** Each view's target remembers the token too; else a retry after a half-done insert doubles, or misses, the rollups. */
  deduplicate_blocks_in_dependent_materialized_views: 1,
  /** A failing view fails the insert, which is then retried; the opposite would lose rows of rollups silently. */
  materialized_views_ignore_errors: 0,

  /**
   * One batch, one block, for any `BATCH_SIZE`: a block is cut at this many rows and by nothing else. It is what makes
   * a batch atomic in each partition. Memory is bounded by the batch's bytes, not here.
   */
  max_insert_block_size: "16777216",
  min_insert_block_size_rows: "16777216",
  min_insert_block_size_bytes: "0",
  min_insert_block_size_rows_for_materialized_views: "0",
  min_insert_block_size_bytes_for_materialized_views: "0",
  /** One thread writes, so that blocks have one order. */
  max_insert_threads: "1",
  /** Views one after another: 0.63 against 0.80 µs/row of wall time, but the same CPU, and that other core has a service to run. */
  parallel_view_processing: 0,

  /** telemetry_1s is partitioned by day: an operator may set MAX_EVENT_AGE beyond the default limit of 100 partitions. */
  max_partitions_per_insert_block: "1000",
} as const;

/** Settings that not every release knows, and refuses to be told where it does not. */
const newerInsertSettings: Readonly<Record<string, string>> = {
  /** 26.x: decides instead of `insert_deduplicate`, whatever that says. */
  deduplicate_insert: "enable",
};

export type InsertSettings = Readonly<Record<string, string | number>>;

/** `insertSettings`, and those of newer releases that this server knows. */
export async function readInsertSettings(client: ClickHouseClient): Promise<InsertSettings> {
  const result = await client.query({
    query: "SELECT name FROM system.settings WHERE name IN {names: Array(String)}",
    query_params: { names: Object.keys(newerInsertSettings) },
    format: "JSONEachRow",
  });
  const known = new Set((await result.json<{ name: string }>()).map(({ name }) => name));
  const newer = Object.entries(newerInsertSettings).filter(([name]) => known.has(name));
  return { ...insertSettings, ...Object.fromEntries(newer) };
}

/**
 * On a cluster, too: the journal forgets a batch once it is confirmed, so a confirmation must survive the loss of any one
 * replica. A majority has it then: both of two, two of three. While there is none the journal keeps what comes in.
 */
export const clusterInsertSettings = {
  insert_quorum: "auto",
  insert_quorum_parallel: 1,
  insert_quorum_timeout: "30000",
} as const;
