import { type Exception, statusOfException } from "./exception.ts";
import { NO_PROGRESS, type Progress } from "./library.ts";
import { compressBytes, type Encoding } from "./response-compression.ts";

export function baseHeaders(queryId: string): Headers {
  const headers = new Headers({
    "X-ClickHouse-Server-Display-Name": "sluice",
    // A page that asks for a loopback URL as a script or an image gets nothing to use.
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
  });
  if (queryId !== "") headers.set("X-ClickHouse-Query-Id", queryId);
  return headers;
}

export const exceptionText = (exception: Exception, version: string): string =>
  `${exception.message} (version ${version})\n`;

/** The form ClickHouse has used since 25.11; the length counts the line end. */
export function taggedException(text: string, tag: string): string {
  return `\r\n__exception__\r\n${tag}\r\n${text}${Buffer.byteLength(text)} ${tag}\r\n__exception__\r\n`;
}

/** ClickHouse writes numbers as strings here. */
export function progressJson(progress: Progress, elapsedMs: number): string {
  return JSON.stringify({
    read_rows: String(progress.readRows),
    read_bytes: String(progress.readBytes),
    written_rows: String(progress.writtenRows),
    written_bytes: String(progress.writtenBytes),
    total_rows_to_read: String(progress.totalRows),
    result_rows: String(progress.resultRows),
    result_bytes: "0",
    elapsed_ns: String(Math.round(elapsedMs * 1e6)),
  });
}

export interface FailureOptions {
  readonly queryId: string;
  readonly version: string;
  readonly encoding: Encoding | null;
  readonly progress?: Progress;
}

export function failureResponse(exception: Exception, options: FailureOptions): Response {
  const { queryId, version, encoding, progress = NO_PROGRESS } = options;
  const headers = baseHeaders(queryId);
  headers.set("Content-Type", "text/plain; charset=UTF-8");
  headers.set("X-ClickHouse-Exception-Code", String(exception.code));
  headers.set("X-ClickHouse-Summary", progressJson(progress, 0));
  const text = exceptionText(exception, version);
  if (encoding !== null) headers.set("Content-Encoding", encoding);
  const body = encoding === null ? text : compressBytes(Buffer.from(text), encoding);
  return new Response(body, { status: statusOfException(exception.code), headers });
}

export function contentTypeOf(format: string): string {
  const name = format.toLowerCase();
  if (/^json.*eachrow|^jsonlines$|^ndjson$/.test(name)) return "application/x-ndjson; charset=UTF-8";
  if (name.startsWith("json")) return "application/json; charset=UTF-8";
  if (name.startsWith("csv")) return "text/csv; charset=UTF-8; header=absent";
  if (/^(tsv|tabseparated|tskv)/.test(name)) return "text/tab-separated-values; charset=UTF-8";
  if (name === "xml") return "application/xml; charset=UTF-8";
  if (/^(native|rowbinary|parquet|arrow|orc|avro|msgpack|protobuf|npy)/.test(name)) return "application/octet-stream";
  return "text/plain; charset=UTF-8";
}
