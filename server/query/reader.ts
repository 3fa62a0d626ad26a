import { type ClickHouseClient, ClickHouseError, type ClickHouseSettings } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import { createGate } from "./gate.ts";
import { isLate, Refusal } from "./refusal.ts";

/** The limits of one reading query. What is not given is the default. */
export interface ReaderOptions {
  /** Seconds that ClickHouse may work on one query. Default 15. */
  queryTimeoutSeconds?: number;
  /** Default 768 MiB: the embedded engine has 2 GiB, and inserts come first. */
  queryMemoryBytes?: number;
  /** Queries that run at once; more of them wait. Default 4. */
  queriesMax?: number;
  /** Queries that wait; more are refused with 503. Default 64. */
  waitingMax?: number;
  /** For so long; then they are refused with 503, too. Default 5 s. */
  waitMaxMs?: number;
}

export interface Query {
  sql: string;
  params: Record<string, string | number | readonly string[]>;
  /** Rows of the result; more is an error, so that a mistake cannot fill memory. */
  rowsMax: number;
}

/** Runs reading queries under limits. Throws `Refusal` when ClickHouse is away, too slow, or says no. */
export interface Reader {
  rows<T>(query: Query, signal: AbortSignal): Promise<T[]>;
}

const resultBytesMax = 64 * 1024 * 1024;
/** Between ClickHouse's own time limit, whose error says more, and giving up on its answer. */
const answerMarginMs = 2_000;

/**
 * Exception codes, by what they mean to someone who reads; any other is `query_failed`.
 * Source: ClickHouse, `src/Common/ErrorCodes.cpp`.
 */
const timeoutCodes: ReadonlySet<string> = new Set(["159", "160", "209"]);
const unavailableCodes: ReadonlySet<string> = new Set([
  "60", // UNKNOWN_TABLE: the schema is not there yet
  "47", // UNKNOWN_IDENTIFIER: nor is a column that a later file of it adds
  "81", // UNKNOWN_DATABASE
  "202", // TOO_MANY_SIMULTANEOUS_QUERIES
  "210", // NETWORK_ERROR
  "236", // ABORTED: it is shutting down
  "242", // TABLE_IS_READ_ONLY
  "279", // ALL_CONNECTION_TRIES_FAILED
  "999", // KEEPER_EXCEPTION
]);
const tooLargeCodes: ReadonlySet<string> = new Set(["158", "241", "307", "396"]);

export interface ReaderDeps {
  readonly clickhouse: ClickHouseClient;
  readonly log: Log;
  /** ClickHouse has not answered since this service began, and nothing is wrong with that. Default: never. */
  readonly starting?: () => boolean;
}

/** A query waits so long for a ClickHouse that is starting, before it takes anybody's turn. */
const startingMaxMs = 5_000;
const startingPollMs = 25;

/** Resolves when ClickHouse has answered, or after `startingMaxMs`: then the query says what is wrong. */
export async function untilStarted(starting: () => boolean, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + startingMaxMs;
  while (starting() && !signal.aborted && performance.now() < deadlineMs) await Bun.sleep(startingPollMs);
}

export function createReader(deps: ReaderDeps, options: ReaderOptions = {}): Reader {
  const { starting = () => false } = deps;
  const timeoutSeconds = options.queryTimeoutSeconds ?? 15;
  const gate = createGate(options.queriesMax ?? 4, options.waitingMax ?? 64, options.waitMaxMs ?? 5_000);
  const settings: ClickHouseSettings = {
    // Whatever the user may do, this query reads. 2: no writes, while other settings may still be set; all of them are ours.
    readonly: "2",
    max_execution_time: timeoutSeconds,
    timeout_overflow_mode: "throw",
    max_memory_usage: String(options.queryMemoryBytes ?? 768 * 1024 * 1024),
    max_result_bytes: String(resultBytesMax),
    result_overflow_mode: "throw",
    // A reader who has gone needs no answer.
    cancel_http_readonly_queries_on_client_close: 1,
    // Defaults have changed between releases: numbers are numbers, and what JSON cannot say is null.
    output_format_json_quote_64bit_integers: 0,
    output_format_json_quote_denormals: 0,
  };

  return {
    async rows<T>(query: Query, signal: AbortSignal) {
      await untilStarted(starting, signal);
      const leave = await gate.enter(signal);
      const timeout = AbortSignal.timeout(timeoutSeconds * 1000 + answerMarginMs);
      try {
        signal.throwIfAborted();
        const result = await deps.clickhouse.query({
          query: query.sql,
          query_params: query.params,
          format: "JSONEachRow",
          abort_signal: AbortSignal.any([signal, timeout]),
          clickhouse_settings: { ...settings, max_result_rows: String(query.rowsMax) },
        });
        return await result.json<T>();
      } catch (error) {
        const refusal = refusalOf(error, timeout.aborted || isLate(signal));
        if (!signal.aborted) deps.log("warn", "a reading query failed", { code: refusal.code, reason: String(error) });
        throw refusal;
      } finally {
        leave();
      }
    },
  };
}

function refusalOf(error: unknown, timedOut: boolean): Refusal {
  const tooSlow = new Refusal("query_timeout", "The query took too long. Ask for a shorter range or fewer rows.");
  const away = new Refusal("clickhouse_unavailable", "ClickHouse cannot be reached. Events are still accepted.");
  if (timedOut) return tooSlow;
  if (!(error instanceof ClickHouseError)) {
    return error instanceof Error && error.message === "Timeout error." ? tooSlow : away;
  }
  if (timeoutCodes.has(error.code)) return tooSlow;
  if (unavailableCodes.has(error.code)) return away;
  if (tooLargeCodes.has(error.code)) {
    return new Refusal("query_failed", "The query is too large. Ask for a shorter range or fewer rows.");
  }
  return new Refusal("query_failed", "ClickHouse refused the query. The service's log has the reason.");
}
