import type { ClickHouseClient } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import { conditionOf, longestDays, type Retention, subjectText } from "../../ddl/retention.ts";

/**
 * RETENTION keeps some events shorter or longer than others. The table's own TTL is the longest of them and drops whole parts;
 * this deletes, once a day, the rows that are kept shorter. Rollups have their rows from inserts and are not touched.
 */

/** Rows of one rule that are past their time. */
export interface Expiry {
  /** As written in RETENTION; null: events that no rule names. */
  readonly pattern: string | null;
  readonly days: number;
  /** In SQL. */
  readonly condition: string;
}

/** Whole days of UTC: what one sweep has deleted gives the next one nothing to do before tomorrow. */
export function expiriesOf(retention: Retention): readonly Expiry[] {
  const { days, rules } = retention;
  const expiry = (pattern: string | null, index: number | null, kept: number): Expiry => ({
    pattern,
    days: kept,
    condition: `(${conditionOf(rules, index)}) AND timestamp < toStartOfDay(now('UTC')) - toIntervalDay(${kept})`,
  });
  return [...rules.map((rule, index) => expiry(subjectText(rule), index, rule.days)), expiry(null, null, days)];
}

export const countQuery = (expiries: readonly Expiry[]): string =>
  `SELECT ${expiries.map(({ condition }, index) => `countIf(${condition}) AS n${index}`).join(", ")}
   FROM telemetry_events WHERE ${expiries.map(({ condition }) => `(${condition})`).join(" OR ")}`;

export interface RetentionSweepDeps {
  readonly log: Log;
  readonly client: ClickHouseClient;
  readonly now: () => number;
}

export interface RetentionSweepOptions {
  readonly retention: Retention;
  /** False: only reports. */
  readonly sweeps: boolean;
  readonly database: string;
  readonly cluster: string | null;
  readonly intervalMs: number;
}

export interface RetentionSweep {
  readonly retention: Retention;
  readonly deletedEvents: number;
  readonly lastSweepMs: number | null;
  stop(): void;
}

const firstLookMs = 60_000;

export function createRetentionSweep(deps: RetentionSweepDeps, options: RetentionSweepOptions): RetentionSweep {
  const { client, log } = deps;
  const { retention, database, cluster } = options;
  const longest = longestDays(retention);
  const expiries = expiriesOf(retention).filter(({ days }) => days < longest);
  const table = cluster === null ? "telemetry_events" : "telemetry_events_local";
  const target = `\`${database}\`.${table}${cluster === null ? "" : ` ON CLUSTER \`${cluster}\``}`;
  let deletedEvents = 0;
  let lastSweepMs: number | null = null;
  let sweeping = false;

  async function sweep(): Promise<void> {
    const result = await client.query({ query: countQuery(expiries), format: "JSONEachRow" });
    const [row = {}] = await result.json<Record<string, string | number>>();
    const counts = expiries.map((_, index) => Number(row[`n${index}`] ?? 0));
    const expired = counts.reduce((sum, count) => sum + count, 0);
    lastSweepMs = deps.now();
    if (expired === 0) return;
    const condition = expiries.map((each) => `(${each.condition})`).join(" OR ");
    // It goes on by itself in the background, across restarts of the engine too.
    await client.command({ query: `ALTER TABLE ${target} DELETE WHERE ${condition}` });
    deletedEvents += expired;
    const by = expiries.map(({ pattern }, index) => `${pattern ?? "(others)"}: ${counts[index]}`).join(", ");
    log("info", "events that are past their retention are deleted", { events: expired, by });
  }

  async function look(): Promise<void> {
    if (sweeping) return;
    sweeping = true;
    try {
      if (!(await underWay())) await sweep();
    } catch (error) {
      // Away, or without the schema yet: the next look is soon enough.
      log("debug", "the retention was not looked at", { error: String(error) });
    } finally {
      sweeping = false;
    }
  }

  /** Rows of a deletion that has not come to them yet would be counted again. */
  async function underWay(): Promise<boolean> {
    const query = `SELECT count() AS n FROM system.mutations WHERE database = {database: String} AND table = {table: String}
      AND NOT is_done AND command LIKE '%DELETE WHERE%'`;
    const result = await client.query({ query, query_params: { database, table }, format: "JSONEachRow" });
    return Number((await result.json<{ n: string }>())[0]?.n) > 0;
  }

  const { intervalMs } = options;
  const nothingToDo = !options.sweeps || expiries.length === 0;
  const first = nothingToDo ? undefined : setTimeout(() => void look(), Math.min(firstLookMs, intervalMs));
  const timer = nothingToDo ? undefined : setInterval(() => void look(), intervalMs);
  return {
    retention,
    get deletedEvents() {
      return deletedEvents;
    },
    get lastSweepMs() {
      return lastSweepMs;
    },
    stop() {
      clearTimeout(first);
      clearInterval(timer);
    },
  };
}
