import type { Readable } from "node:stream";
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
  type ResponseHeaders,
} from "@clickhouse/client";
import { rowColumns } from "../contract/row.ts";
import { clusterInsertSettings, type InsertSettings, readInsertSettings } from "../ddl/insert-settings.ts";

export interface ClickHouseAddress {
  /** One for a server; several replicas for a cluster, tried in turn. */
  readonly urls: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Insert into the local tables of this cluster; all `urls` are then replicas of one shard. */
  readonly cluster?: string | null;
}

/** `@clickhouse/client` set up as every part of Sluice uses it. Its own logger is silent: failures are reported by the caller. */
export function connectClickHouse(
  address: ClickHouseAddress,
  options: { url: string; database: string; requestTimeoutMs: number },
): ClickHouseClient {
  return createClient({
    url: options.url,
    username: address.user,
    password: address.password,
    database: options.database,
    request_timeout: options.requestTimeoutMs,
    max_open_connections: 4,
    log: { level: ClickHouseLogLevel.OFF },
  });
}

export interface RowStore {
  /** Inserts rows in RowBinary; resolves only when ClickHouse has confirmed them. Throws what `classifyFailure` sorts. */
  insert(body: Readable, token: string, timeoutMs: number): Promise<void>;
  /** Runs one reading statement and gives the whole answer. */
  query(sql: string, timeoutMs: number): Promise<Uint8Array<ArrayBuffer>>;
  /** For the schema. */
  readonly client: ClickHouseClient;
  /** After a failure: goes on with the next address, if there is one. */
  failOver(): void;
  close(): Promise<void>;
}

/** Longest answer that `query` takes: a rollup window of every type that the live view may hold. */
const maxAnswerBytes = 256 * 2 ** 20;
/** As long as a timer goes. */
const noTimeoutMs = 2 ** 31 - 1;

export function createRowStore(address: ClickHouseAddress, requestTimeoutMs: number): RowStore {
  // The database may not be there before the schema is applied; statements name it themselves.
  const connect = (url: string, timeoutMs: number): ClickHouseClient =>
    connectClickHouse(address, { url, database: "default", requestTimeoutMs: timeoutMs });
  const clients = address.urls.map((url) => connect(url, requestTimeoutMs));
  // Inserts have their own deadline, which grows; the client's, which does not, would end them first.
  const insertClients = address.urls.map((url) => connect(url, noTimeoutMs));
  let current = 0;
  const { cluster = null } = address;
  const table = cluster === null ? "telemetry_events" : "telemetry_events_local";
  /** What each server is told. Asked again after a failure: it may come back as another release. */
  const settings = new Map<ClickHouseClient, InsertSettings>();
  const shards = new Map<ClickHouseClient, string>();

  /** A token means nothing on another shard: failing over to one would store a batch twice. */
  async function checkShard(of: ClickHouseClient): Promise<void> {
    if (cluster === null || shards.has(of)) return;
    const result = await of.query({ query: "SELECT getMacro('shard') AS shard", format: "JSONEachRow" });
    const [row] = await result.json<{ shard: string }>();
    const [first] = shards.values();
    if (row === undefined || (first !== undefined && first !== row.shard)) {
      throw new Error(`CLICKHOUSE_URL names replicas of different shards: ${first} and ${row?.shard}`);
    }
    shards.set(of, row.shard);
  }
  async function settingsFor(of: ClickHouseClient): Promise<InsertSettings> {
    const known = settings.get(of);
    if (known) return known;
    const read = await readInsertSettings(of);
    const pinned = cluster === null ? read : { ...read, ...clusterInsertSettings };
    settings.set(of, pinned);
    return pinned;
  }
  const pick = (from: readonly ClickHouseClient[]): ClickHouseClient => from[current % from.length] as ClickHouseClient;
  const client = (): ClickHouseClient => pick(clients);
  const statement = `INSERT INTO \`${address.database}\`.${table} (${rowColumns.join(", ")}) FORMAT RowBinary`;

  return {
    get client() {
      return client();
    },
    failOver() {
      settings.delete(client());
      current++;
    },
    async insert(body, token, timeoutMs) {
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(new Error(`no answer after ${timeoutMs} ms`)), timeoutMs);
      try {
        const insertClient = pick(insertClients);
        await checkShard(client());
        const pinned = await settingsFor(client());
        const result = await insertClient.exec({
          query: statement,
          values: body,
          abort_signal: abort.signal,
          clickhouse_settings: { ...pinned, insert_deduplication_token: token, wait_end_of_query: 1 },
        });
        requireClickHouse(result);
        const answer = await readAll(result.stream, 64 * 1024);
        // A confirmed insert has an empty body. ClickHouse may send its 200 before it fails, with the exception after it.
        if (answer.length > 0) throw exceptionIn(new TextDecoder().decode(answer));
      } catch (error) {
        throw abort.signal.aborted ? abort.signal.reason : error;
      } finally {
        clearTimeout(timer);
        body.destroy();
      }
    },
    async query(sql, timeoutMs) {
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(new Error(`no answer after ${timeoutMs} ms`)), timeoutMs);
      try {
        const result = await client().exec({ query: sql, abort_signal: abort.signal });
        requireClickHouse(result);
        return await readAll(result.stream, maxAnswerBytes);
      } catch (error) {
        throw abort.signal.aborted ? abort.signal.reason : error;
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      await Promise.all([...clients, ...insertClients].map((each) => each.close()));
    },
  };
}

/**
 * A success without content is what anything that speaks HTTP may say: a proxy that lost its upstream, a wrong address.
 * It would be taken for a confirmation, and the batch forgotten. ClickHouse names the query that it answers.
 */
function requireClickHouse(result: { query_id: string; response_headers: ResponseHeaders }): void {
  if (result.response_headers["x-clickhouse-query-id"] === result.query_id) return;
  throw new Error("an answer that is not ClickHouse's: it does not name the query (X-ClickHouse-Query-Id)");
}

export async function readAll(stream: Readable, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`answer longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function exceptionIn(text: string): Error {
  const match = /Code: (\d+)\. DB::Exception: (.*)/s.exec(text);
  if (!match) return new Error(`an answer that is not ClickHouse's: ${text.slice(0, 200)}`);
  return new ClickHouseError({ code: match[1] as string, message: (match[2] as string).slice(0, 1000), type: "" });
}
