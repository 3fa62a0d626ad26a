import { Elysia } from "elysia";
import type { RetentionReport, Storage } from "../../contract/storage.ts";
import { retentionDaysMax } from "../../ddl/apply.ts";
import { parseRetentionRules, type Retention } from "../../ddl/retention.ts";
import { readParameters, text, whole } from "../query/parameters.ts";
import type { Reader } from "../query/reader.ts";
import { answer, invalidParameter, jsonAnswer } from "../query/refusal.ts";
import { type CostFacts, computeCosts, type TableSize, type TypeRate, type TypeWidth } from "./costs.ts";
import { countQuery, expiriesOf, type RetentionSweep } from "./retention-sweep.ts";

export interface StorageRoutesDeps {
  readonly reader: Reader;
  readonly sweep: RetentionSweep;
  /** Null when ClickHouse's disk is another one. */
  readonly diskSpace: () => { readonly freeBytes: number; readonly totalBytes: number } | null;
}

export interface StorageRoutesOptions {
  readonly database: string;
  /** As the setting has them. */
  readonly rulesText: string;
}

const typesMax = 10_000;
const sampleRows = 200_000;

export const retentionParameters = {
  rules: text("as RETENTION: `debug*=3,meta.site:lab=7,temperature=365`", 8_192),
  days: whole("as RETENTION_DAYS", 1, retentionDaysMax),
};

/** GET /api/storage: what is stored costs. GET /api/retention: what expires, and what other rules would delete. */
export function createStorageRoutes(deps: StorageRoutesDeps, options: StorageRoutesOptions) {
  return new Elysia({ name: "storage" })
    .get("/api/storage", ({ request }) =>
      answer(request, async (signal) => {
        readParameters(new URL(request.url), {});
        const facts = await readFacts(deps, options.database, signal);
        return jsonAnswer<Storage>(computeCosts(facts, deps.sweep.retention, options.rulesText));
      }),
    )
    .get("/api/retention", ({ request }) =>
      answer(request, async (signal) => {
        const { rules: asked, days } = readParameters(new URL(request.url), retentionParameters);
        const rules = asked === undefined ? undefined : parseRetentionRules(asked, retentionDaysMax);
        if (asked !== undefined && rules === undefined) {
          throw invalidParameter("rules", "must be like debug*=3,temperature=365");
        }
        const { retention } = deps.sweep;
        const wanted: Retention = { days: days ?? retention.days, rules: rules ?? retention.rules };
        return jsonAnswer<RetentionReport>(
          await report(deps, wanted, rules !== undefined || days !== undefined, signal),
        );
      }),
    );
}

async function report(
  { reader, sweep }: StorageRoutesDeps,
  retention: Retention,
  isDryRun: boolean,
  signal: AbortSignal,
): Promise<RetentionReport> {
  const expiries = expiriesOf(retention);
  const [row = {}] = await reader.rows<Record<string, number>>(
    { sql: countQuery(expiries), params: {}, rowsMax: 1 },
    signal,
  );
  return {
    dry_run: isDryRun,
    days: retention.days,
    rules: expiries.map(({ pattern, days }, index) => ({
      pattern,
      days,
      expired_events: Number(row[`n${index}`] ?? 0),
    })),
    deleted_events: sweep.deletedEvents,
    last_sweep_at: sweep.lastSweepMs === null ? null : new Date(sweep.lastSweepMs).toISOString(),
  };
}

async function readFacts(deps: StorageRoutesDeps, database: string, signal: AbortSignal): Promise<CostFacts> {
  const ask = <T>(sql: string, rowsMax: number): Promise<T[]> =>
    deps.reader.rows<T>({ sql, params: { database }, rowsMax }, signal);
  const [tables, rates, widths, [oldest]] = await Promise.all([
    ask<TableSize>(
      `SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes, sum(data_uncompressed_bytes) AS uncompressed
       FROM system.parts WHERE active AND database = {database:String} AND table != 'sluice_schema'
       GROUP BY table ORDER BY bytes DESC`,
      1_000,
    ),
    ask<TypeRate>(
      `SELECT event_type, sum(event_count) AS events FROM telemetry_1m WHERE time >= now() - 86400
       GROUP BY event_type ORDER BY events DESC LIMIT ${typesMax}`,
      typesMax,
    ),
    ask<TypeWidth>(
      `SELECT event_type, avg(byteSize(timestamp, received_at, device_id, value_float, value_string, metadata)) AS width
       FROM (SELECT * FROM telemetry_events WHERE timestamp >= now() - 86400 LIMIT ${sampleRows})
       GROUP BY event_type LIMIT ${typesMax}`,
      typesMax,
    ),
    ask<{ days: number }>(
      "SELECT dateDiff('second', min(min_time), now()) / 86400 AS days FROM system.parts WHERE active AND database = {database:String} AND table LIKE 'telemetry_events%'",
      1,
    ),
  ]);
  return { tables, rates, widths, disk: deps.diskSpace(), ageDays: Number(oldest?.days ?? 0) };
}
