import { unlinkSync } from "node:fs";
import type { Engine, LaneName } from "./engine.ts";
import { CODES, createException, type Exception, statusOfException } from "./exception.ts";
import type { Execution, NextChunk } from "./lane.ts";
import { NO_PROGRESS, type Progress } from "./library.ts";
import { isLocalRequest, type ReaderLimits, readerSettings } from "./reader-access.ts";
import { type ClickHouseRequest, type Credentials, parseRequest } from "./request.ts";
import {
  chooseEncoding,
  compressBytes,
  compressStream,
  decompressBody,
  infileCompressionOf,
} from "./response-compression.ts";
import { createResultFormat } from "./result-format.ts";
import { spoolBody } from "./spool.ts";
import {
  formatClauseOf,
  type InsertHead,
  isIdentifier,
  isInsertFromFile,
  parseInsertHead,
  quoteString,
  tokens,
} from "./sql.ts";

export interface HttpOptions {
  service: Credentials;
  /** Current database of a request that names none. */
  database: string;
  readerLimits: ReaderLimits;
}

/** SQL text in one request; ClickHouse's own `max_query_size` is a quarter of it. */
const MAX_QUERY_BYTES = 1024 * 1024;
/** The rows of one INSERT, as they arrive. */
export const MAX_INSERT_BYTES = 1024 * 1024 * 1024;
/** INSERT bodies on their way in at once. With the limit above this bounds the spool folder. */
const MAX_SPOOLING = 16;
/** How much of a body is looked at to find where an INSERT's text ends and its rows begin. */
const INSERT_HEAD_MAX_BYTES = 64 * 1024;
/** Column data of a result whose format has to be built whole, before formatting. */
const MAX_WHOLE_RESULT_BYTES = 64 * 1024 * 1024;
/** What `wait_end_of_query` holds back. A larger result starts to flow once it reaches this. */
const MAX_HELD_RESULT_BYTES = 64 * 1024 * 1024;

/** Between a failure's text and the break of the transfer, which throws away what the socket has not yet sent. */
const BREAK_DELAY_MS = 100;

const NO_BYTES = new Uint8Array(0);

type Settings = readonly (readonly [name: string, value: string])[];

/** Answers one HTTP request. Never throws. `received` is called when all of the request is in. */
export type HttpHandler = (request: Request, received: () => void) => Promise<Response>;

export function createHttpHandler(engine: Engine, options: HttpOptions): HttpHandler {
  let spooling = 0;

  async function handleQuery(http: Request, url: URL, received: () => void): Promise<Response> {
    const form = await readForm(http);
    if (form === null) return failure(createException(CODES.TOO_LARGE, "The form is too large or malformed."), "");
    const parsed = parseRequest(url, http.headers, form, options.service, () => crypto.randomUUID());
    if (!parsed.ok) return failure(parsed.exception, "");
    const { request } = parsed;

    const settings = settingsOf(request, http.method);
    if (!settings.ok) return failure(settings.exception, request.queryId);
    const job = await readJob(http, request, form !== NO_FORM);
    if (!job.ok) return failure(job.exception, request.queryId);
    const { lane, sql, spooled } = job;
    received();
    if (sql === "") return new Response("Ok.\n", { headers: baseHeaders("") });

    try {
      const started = await engine.start(
        lane,
        {
          sql,
          format: request.format,
          access: request.access,
          settings:
            lane === "insert"
              ? withFileBlockSize(settings.settings)
              : [...wholeResultLimit(sql, request), ...settings.settings],
          params: request.params,
          database: request.database ?? options.database,
        },
        // A write goes on when its client goes, as in ClickHouse; a read is of no use to anybody then.
        lane === "insert" ? undefined : http.signal,
      );
      if (!started.ok) return failure(started.exception, request.queryId);
      const response = await respond(http, request, sql, started.execution);
      // Before it is confirmed: whoever sends it again after a power cut must find its token.
      if (lane === "insert" && response.ok) await engine.syncTokens();
      return response;
    } finally {
      if (spooled !== null) unlinkSync(spooled);
    }
  }

  function settingsOf(
    request: ClickHouseRequest,
    method: string,
  ): { ok: true; settings: Settings } | { ok: false; exception: Exception } {
    for (const [name] of request.settings)
      if (!engine.isSetting(name))
        return { ok: false, exception: createException(CODES.UNKNOWN_SETTING, `Unknown setting '${name}'.`) };
    if (request.access === "reader") {
      const reader = readerSettings(request.settings, options.readerLimits);
      if (reader.ok) return reader;
      const text = `Cannot modify '${reader.name}' setting in readonly mode.`;
      return { ok: false, exception: createException(CODES.READONLY, text) };
    }
    // ClickHouse never writes on GET; 2 still allows settings. Last, because it takes effect at once.
    const readonly = request.settings.filter(([name]) => name === "readonly");
    const others = request.settings.filter(([name]) => name !== "readonly");
    if (method !== "POST" && !readonly.some(([, value]) => value === "1"))
      return { ok: true, settings: [...others, ["readonly", "2"]] };
    return { ok: true, settings: [...others, ...readonly] };
  }

  type Job = { ok: true; lane: LaneName; sql: string; spooled: string | null } | { ok: false; exception: Exception };

  /** Finds out what the request asks for: plain SQL, or an INSERT with rows, which are spooled. */
  async function readJob(http: Request, request: ClickHouseRequest, hasForm: boolean): Promise<Job> {
    const text = (sql: string): Job => ({ ok: true, lane: laneOf(sql), sql, spooled: null });
    const laneOf = (sql: string): LaneName => {
      if (request.access === "reader") return "reader";
      // The service hands its blocks over by path: the same insert, without its body on the way in and out again.
      return http.method === "POST" && isInsertFromFile(sql) ? "insert" : "service";
    };
    const body = hasForm ? null : http.body;
    const urlHead = parseInsertHead(request.query);
    if (urlHead !== null) {
      // Refused before anything of a stranger's body is taken in.
      if (request.access === "reader" || http.method !== "POST") return readonly();
      const compression = infileCompressionOf(http.headers.get("content-encoding"));
      if (compression === null) return unknownEncoding();
      const inline = Buffer.from(request.query.slice(urlHead.dataStart));
      if (inline.length > 0 && compression !== "none")
        return { ok: false, exception: createException(CODES.NOT_IMPLEMENTED, "Rows both in the URL and compressed.") };
      return spoolInsert(urlHead, compression, inline, body ?? new Blob().stream(), contentLengthOf(http));
    }
    if (body === null) return text(request.query);
    const plain = decompressBody(body, http.headers.get("content-encoding"));
    if (plain === null) return unknownEncoding();
    const prefix = request.query === "" ? NO_BYTES : Buffer.from(`${request.query}\n`);
    const source = plain[Symbol.asyncIterator]();
    const maxHead = request.access === "reader" ? MAX_QUERY_BYTES : INSERT_HEAD_MAX_BYTES;
    const head = await readHead(prefix, source, maxHead);
    if (!head.ok) return head;
    // One character a byte, so that positions in the text are positions in the bytes.
    const insert =
      request.access === "service" && http.method === "POST" ? parseInsertHead(head.bytes.toString("latin1")) : null;
    if (insert !== null)
      return spoolInsert(utf8Head(insert), "none", head.bytes.subarray(insert.dataStart), rest(source), null);
    const whole = head.ended ? head : await readHead(head.bytes, source, MAX_QUERY_BYTES);
    if (!whole.ok) return whole;
    if (!whole.ended)
      return { ok: false, exception: createException(CODES.TOO_LARGE, `A query is at most ${MAX_QUERY_BYTES} bytes.`) };
    return text(whole.bytes.toString("utf8"));
  }

  async function spoolInsert(
    head: InsertHead,
    compression: string,
    first: Uint8Array,
    body: AsyncIterable<Uint8Array>,
    expectedBytes: number | null,
  ): Promise<Job> {
    if (spooling >= MAX_SPOOLING) {
      const text = `Too many simultaneous queries. Maximum: ${MAX_SPOOLING} INSERT bodies on their way in.`;
      return { ok: false, exception: createException(CODES.TOO_MANY_SIMULTANEOUS_QUERIES, text) };
    }
    spooling++;
    try {
      const path = engine.spoolPath();
      const spooled = await spoolBody(path, first, body, { maxBytes: MAX_INSERT_BYTES, expectedBytes });
      if (!spooled.ok) return spooled;
      const source = `FROM INFILE ${quoteString(path)} COMPRESSION ${quoteString(compression)}`;
      // A line each: the target or the settings may end in a comment.
      const sql = [head.target, source, head.settings, `FORMAT ${head.format}`].join("\n");
      return { ok: true, lane: "insert", sql, spooled: path };
    } finally {
      spooling--;
    }
  }

  async function respond(
    http: Request,
    request: ClickHouseRequest,
    sql: string,
    execution: Execution,
  ): Promise<Response> {
    const startedMs = performance.now();
    const held: Uint8Array<ArrayBuffer>[] = [];
    let heldBytes = 0;
    // Two chunks at least: most results are one, and then status, length and summary are final.
    const maxHeld = request.waitEndOfQuery ? MAX_HELD_RESULT_BYTES : 1;
    let next = await execution.next();
    while (next.kind === "chunk" && (held.length === 0 || heldBytes < maxHeld)) {
      held.push(next.bytes);
      heldBytes += next.bytes.length;
      next = await execution.next();
    }
    if (next.kind === "failed") return failure(next.exception, request.queryId, engine.version, next.progress);

    const clause = formatClauseOf(sql);
    const format = clause !== null && isIdentifier(clause) ? clause : request.format;
    const headers = baseHeaders(request.queryId);
    headers.set("Content-Type", contentTypeOf(format));
    headers.set("X-ClickHouse-Format", format);
    headers.set("X-ClickHouse-Timezone", engine.timezone);
    headers.set("X-ClickHouse-Summary", summaryOf(next.progress, performance.now() - startedMs));
    const encoding = request.compressResponse ? chooseEncoding(http.headers.get("accept-encoding")) : null;
    if (encoding !== null) headers.set("Content-Encoding", encoding);

    if (next.kind === "ended") {
      const bytes = held.length === 1 ? (held[0] as Uint8Array<ArrayBuffer>) : Buffer.concat(held);
      return new Response(encoding === null ? bytes : compressBytes(bytes, encoding), { headers });
    }
    const tag = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
    headers.set("X-ClickHouse-Exception-Tag", tag);
    const stream = streamResult([...held, next.bytes], execution, tag);
    return new Response(encoding === null ? stream : compressStream(stream, encoding), { headers });
  }

  function failure(exception: Exception, queryId: string, version = engine.version, progress = NO_PROGRESS): Response {
    const headers = baseHeaders(queryId);
    headers.set("Content-Type", "text/plain; charset=UTF-8");
    headers.set("X-ClickHouse-Exception-Code", String(exception.code));
    headers.set("X-ClickHouse-Summary", summaryOf(progress, 0));
    return new Response(exceptionText(exception, version), { status: statusOfException(exception.code), headers });
  }

  function streamResult(
    first: Uint8Array<ArrayBuffer>[],
    execution: Execution,
    tag: string,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const ready = [...first];
    let broken: Error | null = null;
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        async pull(controller) {
          if (broken !== null) {
            await Bun.sleep(BREAK_DELAY_MS);
            return controller.error(broken);
          }
          const waiting = ready.shift();
          if (waiting !== undefined) return controller.enqueue(waiting);
          const next: NextChunk = await execution.next();
          if (next.kind === "chunk") return controller.enqueue(next.bytes);
          if (next.kind === "ended") return controller.close();
          // As ClickHouse does: the text, marked by the header's tag, and then a broken transfer, so that neither a
          // careful nor a careless client takes what it has for the whole.
          broken = new Error("The statement failed after its result had begun.");
          controller.enqueue(Buffer.from(taggedException(exceptionText(next.exception, engine.version), tag)));
        },
        cancel: () => execution.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  return async (http, received) => {
    if (!isLocalRequest(http.headers)) return new Response("Only programs on this machine may ask.\n", { status: 403 });
    const url = new URL(http.url);
    if (url.pathname === "/ping" || url.pathname === "/replicas_status")
      return new Response("Ok.\n", { headers: baseHeaders("") });
    if (url.pathname !== "/" || !["GET", "POST", "HEAD"].includes(http.method))
      return new Response(`There is no handle ${url.pathname}\n\nUse / or /ping for health checks.\n`, { status: 404 });
    try {
      return await handleQuery(http, url, received);
    } catch (error) {
      return failure(createException(CODES.UNKNOWN_EXCEPTION, String(error)), "");
    }
  };
}

const readonly = (): { ok: false; exception: Exception } => ({
  ok: false,
  exception: createException(CODES.READONLY, "Cannot execute query in readonly mode."),
});

const unknownEncoding = (): { ok: false; exception: Exception } => ({
  ok: false,
  exception: createException(CODES.NOT_IMPLEMENTED, "Unknown Content-Encoding."),
});

/** A result that cannot be streamed is limited where it is made. What the request says itself comes later and wins. */
function wholeResultLimit(sql: string, request: ClickHouseRequest): Settings {
  const first = tokens(sql, 1).next();
  const reads = !first.done && ["select", "with", "from", "("].includes(first.value.text);
  if (!reads || createResultFormat(formatClauseOf(sql) ?? request.format) !== null) return [];
  return [["max_result_bytes", String(MAX_WHOLE_RESULT_BYTES)]];
}

/**
 * A body is cut into blocks of `max_insert_block_size` rows, but a file by `max_block_size`. Since our bodies are
 * files, the one has to stand for the other, or a client that pins its blocks would pin nothing.
 */
function withFileBlockSize(settings: Settings): Settings {
  const rows = settings.find(([name]) => name === "max_insert_block_size");
  if (rows === undefined || settings.some(([name]) => name === "max_block_size")) return settings;
  return [...settings, ["max_block_size", rows[1]]];
}

const NO_FORM: readonly (readonly [string, string])[] = [];

/** The fields of a multipart body; `NO_FORM` when it is none. */
async function readForm(http: Request): Promise<readonly (readonly [string, string])[] | null> {
  if (!http.headers.get("content-type")?.startsWith("multipart/form-data")) return NO_FORM;
  const length = contentLengthOf(http);
  if (length === null || length > MAX_QUERY_BYTES) return null;
  try {
    const fields: (readonly [string, string])[] = [];
    for (const [name, value] of await http.formData()) if (typeof value === "string") fields.push([name, value]);
    return fields;
  } catch {
    return null;
  }
}

function contentLengthOf(http: Request): number | null {
  const length = http.headers.get("content-length");
  return length === null ? null : Number(length);
}

async function* rest(source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
}

type Head = { ok: true; bytes: Buffer; ended: boolean } | { ok: false; exception: Exception };

/** Reads until the body ends or there are at least `maxBytes`. */
async function readHead(first: Uint8Array, source: AsyncIterator<Uint8Array>, maxBytes: number): Promise<Head> {
  const parts = [first];
  let bytes = first.length;
  try {
    while (bytes < maxBytes) {
      const next = await source.next();
      if (next.done) return { ok: true, bytes: Buffer.concat(parts), ended: true };
      parts.push(next.value);
      bytes += next.value.length;
    }
    return { ok: true, bytes: Buffer.concat(parts), ended: false };
  } catch (error) {
    return { ok: false, exception: createException(CODES.CANNOT_DECOMPRESS, `Cannot read the body: ${error}`) };
  }
}

const utf8Head = (head: InsertHead): InsertHead => ({
  target: Buffer.from(head.target, "latin1").toString("utf8"),
  settings: Buffer.from(head.settings, "latin1").toString("utf8"),
  format: head.format,
  dataStart: head.dataStart,
});

function baseHeaders(queryId: string): Headers {
  const headers = new Headers({
    "X-ClickHouse-Server-Display-Name": "sluice",
    // A page that asks for a loopback URL as a script or an image gets nothing to use.
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
  });
  if (queryId !== "") headers.set("X-ClickHouse-Query-Id", queryId);
  return headers;
}

const exceptionText = (exception: Exception, version: string): string => `${exception.message} (version ${version})\n`;

/** The form ClickHouse has used since 25.11; the length counts the line end. */
function taggedException(text: string, tag: string): string {
  return `\r\n__exception__\r\n${tag}\r\n${text}${Buffer.byteLength(text)} ${tag}\r\n__exception__\r\n`;
}

/** ClickHouse writes numbers as strings here. */
function summaryOf(progress: Progress, elapsedMs: number): string {
  return JSON.stringify({
    read_rows: String(progress.readRows),
    read_bytes: String(progress.readBytes),
    written_rows: String(progress.writtenRows),
    written_bytes: String(progress.writtenBytes),
    total_rows_to_read: "0",
    result_rows: String(progress.resultRows),
    result_bytes: "0",
    elapsed_ns: String(Math.round(elapsedMs * 1e6)),
  });
}

function contentTypeOf(format: string): string {
  const name = format.toLowerCase();
  if (/^json.*eachrow|^jsonlines$|^ndjson$/.test(name)) return "application/x-ndjson; charset=UTF-8";
  if (name.startsWith("json")) return "application/json; charset=UTF-8";
  if (name.startsWith("csv")) return "text/csv; charset=UTF-8; header=absent";
  if (/^(tsv|tabseparated|tskv)/.test(name)) return "text/tab-separated-values; charset=UTF-8";
  if (name === "xml") return "application/xml; charset=UTF-8";
  if (/^(native|rowbinary|parquet|arrow|orc|avro|msgpack|protobuf|npy)/.test(name)) return "application/octet-stream";
  return "text/plain; charset=UTF-8";
}
