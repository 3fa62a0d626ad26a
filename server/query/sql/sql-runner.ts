import { type ClickHouseClient, ClickHouseError, type ClickHouseSettings } from "@clickhouse/client";
import { limits } from "../../../contract/limits.ts";
import type { SqlAnswer, SqlQuestion } from "../../../contract/sql.ts";
import { readAll } from "../../../workers/clickhouse-client.ts";
import type { Gate } from "../gate.ts";
import { untilStarted } from "../reader.ts";
import { isLate, Refusal } from "../refusal.ts";
import { createFunctionCheck, type FunctionCheck, type KnownFunction } from "./allowed-functions.ts";
import { faultInTables, faultInTree } from "./query-check.ts";

export interface SqlRunnerDeps {
  /** With the embedded engine: without credentials, so that its own guard for readers stands behind the checks here. */
  readonly client: ClickHouseClient;
  readonly gate: Gate;
  readonly starting: () => boolean;
}

export interface SqlRunnerOptions {
  readonly database: string;
  /** The embedded engine refuses readers any setting but those that lower a limit. */
  readonly embedded: boolean;
}

export interface SqlRunner {
  run(question: SqlQuestion, signal: AbortSignal): Promise<SqlAnswer>;
}

export const sqlTables = [
  "telemetry_events",
  "telemetry_1s",
  "telemetry_1m",
  "telemetry_1h",
  "devices",
  "device_changes",
] as const;

const rowsDefault = 1_000;
const executionMaxSeconds = 10;
const resultMaxBytes = 32 * 2 ** 20;
const memoryMaxBytes = 768 * 2 ** 20;
const explainedMaxBytes = 16 * 2 ** 20;
/** For finding out what the query is, and on a machine that is busy. */
const answerMarginMs = 10_000;

/**
 * Runs what people write. Three things stand between a query and harm: its syntax tree, read by the engine's own parser, may hold
 * only known nodes and functions; the tables that the engine finds for its names are Sluice's; and the session may
 * only read, under limits of time, memory and rows. With the embedded engine the session has no rights but to read, either.
 */
export function createSqlRunner(deps: SqlRunnerDeps, options: SqlRunnerOptions): SqlRunner {
  const { client } = deps;
  let known: FunctionCheck | null = null;

  const settings = (more: ClickHouseSettings = {}): ClickHouseSettings => ({
    max_execution_time: executionMaxSeconds,
    max_result_bytes: String(resultMaxBytes),
    max_memory_usage: String(memoryMaxBytes),
    // Numbers are numbers, but for those that JSON's readers would round.
    output_format_json_quote_64bit_integers: 0,
    output_format_json_quote_denormals: 0,
    ...(options.embedded ? {} : { readonly: "1" }),
    ...more,
  });

  /** The rows of an answer of one column, as they are escaped: a line end within one is no line end. */
  async function lines(query: string, signal: AbortSignal): Promise<string> {
    const result = await client.exec({ query, abort_signal: signal, clickhouse_settings: settings() });
    return new TextDecoder().decode(await readAll(result.stream, explainedMaxBytes));
  }

  async function functions(signal: AbortSignal): Promise<FunctionCheck> {
    if (known !== null) return known;
    const result = await client.query({
      query: "SELECT name, categories AS category, alias_to AS alias FROM system.functions",
      format: "JSONEachRow",
      abort_signal: signal,
      clickhouse_settings: settings(),
    });
    known = createFunctionCheck(await result.json<KnownFunction>());
    return known;
  }

  /** The query in the engine's own words, after everything that could be wrong with it was looked for. */
  async function check(query: string, signal: AbortSignal): Promise<string> {
    // As a value, so that nothing of the text is executed: several statements, for one, are a syntax error here. In base64,
    // because a parameter would be part of the URL, which has a limit of its own.
    const encoded = Buffer.from(query).toString("base64");
    const formatted = `SELECT formatQuerySingleLine(base64Decode('${encoded}')) FORMAT TabSeparatedRaw`;
    const normal = (await lines(formatted, signal)).trimEnd();
    const check = await functions(signal);
    const treeFault = faultInTree(await lines(`EXPLAIN AST ${normal}`, signal), check);
    if (treeFault !== null) throw refused(treeFault);
    const resolved = await lines(`EXPLAIN QUERY TREE ${normal}`, signal);
    const tablesFault = faultInTables(resolved, check, options.database, sqlTables);
    if (tablesFault !== null) throw refused(tablesFault);
    return normal;
  }

  return {
    async run({ query, limit = rowsDefault }, signal) {
      await untilStarted(deps.starting, signal);
      const leave = await deps.gate.enter(signal);
      const timeout = AbortSignal.timeout(executionMaxSeconds * 1000 + answerMarginMs);
      const either = AbortSignal.any([signal, timeout]);
      try {
        const normal = await check(query, either);
        const result = await client.query({
          query: normal,
          format: "JSONCompact",
          abort_signal: either,
          clickhouse_settings: settings({ limit: String(Math.min(limit, limits.sqlRows) + 1) }),
        });
        const { meta = [], data, statistics } = await result.json<unknown[]>();
        return {
          meta,
          data: data.slice(0, limit),
          rows: Math.min(data.length, limit),
          truncated: data.length > limit,
          statistics: statistics ?? { elapsed: 0, rows_read: 0, bytes_read: 0 },
        };
      } catch (error) {
        if (error instanceof Refusal) throw error;
        throw refusalOf(error, timeout.aborted || isLate(signal));
      } finally {
        leave();
      }
    },
  };
}

const refused = (why: string): Refusal => new Refusal("query_refused", `query: ${why}`);

const timeoutCodes: ReadonlySet<string> = new Set(["159", "160", "209"]);
const messageMaxCharacters = 1_000;

/** Whoever wrote the query is told what ClickHouse says of it, without the version and its own names for places. */
function refusalOf(error: unknown, timedOut: boolean): Refusal {
  const isTimeout = error instanceof ClickHouseError && timeoutCodes.has(error.code);
  if (timedOut || isTimeout) {
    return new Refusal("query_timeout", `The query took longer than ${executionMaxSeconds} s. Ask for less.`);
  }
  if (!(error instanceof ClickHouseError)) {
    return new Refusal("clickhouse_unavailable", "ClickHouse cannot be reached. Events are still accepted.");
  }
  const message = error.message.replace(/: In scope [\s\S]*$/, "").replace(/\s*\(version [^)]*\)\s*$/, "");
  return refused(message.slice(0, messageMaxCharacters));
}
