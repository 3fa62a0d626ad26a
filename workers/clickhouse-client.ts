import type { Readable } from "node:stream";
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
  type ResponseHeaders,
} from "@clickhouse/client";

export interface ClickHouseAddress {
  /** One for a server; several replicas for a cluster, tried in turn. */
  readonly urls: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Insert into the local tables of this cluster; all `urls` are then replicas of one shard. */
  readonly cluster?: string | null;
  /** The service's own embedded engine: where blocks are put for it, which it reads by their paths. */
  readonly handover?: string;
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

/**
 * A success without content is what anything that speaks HTTP may say: a proxy that lost its upstream, a wrong address.
 * It would be taken for a confirmation, and the batch forgotten. ClickHouse names the query that it answers.
 */
export function requireClickHouse(result: { query_id: string; response_headers: ResponseHeaders }): void {
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

export function exceptionIn(text: string): Error {
  const match = /Code: (\d+)\. DB::Exception: (.*)/s.exec(text);
  if (!match) return new Error(`an answer that is not ClickHouse's: ${text.slice(0, 200)}`);
  return new ClickHouseError({ code: match[1] as string, message: (match[2] as string).slice(0, 1000), type: "" });
}
