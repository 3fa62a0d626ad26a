import type { ClickHouseClient } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import type { Retention } from "../../ddl/retention.ts";
import type { Config } from "../config/groups.ts";
import { createRetentionSweep, type RetentionSweep } from "../storage/retention-sweep.ts";

export const retentionOf = ({ batching }: Pick<Config, "batching">): Retention => ({
  days: batching.retentionDays,
  rules: batching.retentionRules.rules,
});

/** Deletes what is past its retention; an instance that does not write to ClickHouse leaves that to those that do. */
export function openRetention(
  deps: { readonly log: Log; readonly reader: ClickHouseClient },
  config: Config,
): RetentionSweep {
  const { database, cluster } = config.clickHouse;
  const sweeps = config.listen.role !== "ingest";
  return createRetentionSweep(
    { log: deps.log, client: deps.reader, now: Date.now },
    { retention: retentionOf(config), intervalMs: config.batching.retentionSweepMs, sweeps, database, cluster },
  );
}
