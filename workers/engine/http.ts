import { unlinkSync } from "node:fs";
import type { Engine, EngineStart, WatchedExecution } from "./engine.ts";
import { CODES, createException, type Exception } from "./exception.ts";
import {
  baseHeaders,
  contentTypeOf,
  exceptionText,
  failureResponse,
  progressJson,
  taggedException,
} from "./http-answer.ts";
import { createJobReader, type Job, readForm } from "./http-job.ts";
import type { Execution, NextChunk } from "./lane.ts";
import { watchProgress, withProgressLines } from "./progress.ts";
import { isLocalRequest, type ReaderLimits, readerSettings } from "./reader-access.ts";
import { type ClickHouseRequest, type Credentials, parseRequest } from "./request.ts";
import { chooseEncoding, compressBytes, compressStream, type Encoding } from "./response-compression.ts";
import { createResultFormat, isProgressFormat } from "./result-format.ts";
import { formatClauseOf, isIdentifier, tokens } from "./sql.ts";

export interface HttpOptions {
  service: Credentials;
  /** Current database of a request that names none. */
  database: string;
  readerLimits: ReaderLimits;
}

/** Column data of a result whose format has to be built whole, before formatting. */
const MAX_WHOLE_RESULT_BYTES = 64 * 1024 * 1024;
/** What `wait_end_of_query` holds back. A larger result starts to flow once it reaches this. */
const MAX_HELD_RESULT_BYTES = 64 * 1024 * 1024;

/** Between a failure's text and the break of the transfer, which throws away what the socket has not yet sent. */
const BREAK_DELAY_MS = 100;

type RequestSettings = { ok: true; settings: Settings; readOnly: boolean } | { ok: false; exception: Exception };

type Settings = readonly (readonly [name: string, value: string])[];

/** What a handler tells its listener of a request. */
export interface HttpExchange {
  /** All of the request is in. */
  received(): void;
  /** Header lines that go out ahead of the rest of the head, which makes the status 200. */
  beginHead(lines: string): void;
}

/** Answers one HTTP request. Never throws. */
export type HttpHandler = (request: Request, exchange: HttpExchange) => Promise<Response>;

export function createHttpHandler(engine: Engine, options: HttpOptions): HttpHandler {
  const readJob = createJobReader(engine);
  const { version } = engine;

  async function handleQuery(http: Request, url: URL, exchange: HttpExchange): Promise<Response> {
    const form = await readForm(http);
    if (!form.ok) return failureResponse(form.exception, { queryId: "", version, encoding: null });
    const parsed = parseRequest(url, http.headers, form.fields, options.service, () => crypto.randomUUID());
    if (!parsed.ok) return failureResponse(parsed.exception, { queryId: "", version, encoding: null });
    const { request } = parsed;
    const encoding = request.compressResponse ? chooseEncoding(http.headers.get("accept-encoding")) : null;
    const refuse = (exception: Exception) =>
      failureResponse(exception, { queryId: request.queryId, version, encoding });

    const settings = settingsOf(request, http.method);
    if (!settings.ok) return refuse(settings.exception);
    const job = await readJob(http, request, form.isForm);
    if (!job.ok) return refuse(job.exception);
    exchange.received();
    if (job.sql === "") return new Response("Ok.\n", { headers: baseHeaders("") });
    try {
      const started = await start(http, request, job, settings);
      if (!started.ok) return refuse(started.exception);
      const response = await respond(request, job.sql, started.execution, encoding, exchange);
      // Before it is confirmed: whoever sends it again after a power cut must find its token.
      if (job.lane === "insert" && response.ok) await engine.syncTokens();
      return response;
    } finally {
      if (job.spooled !== null) unlinkSync(job.spooled);
    }
  }

  function start(
    http: Request,
    request: ClickHouseRequest,
    { lane, sql }: Extract<Job, { ok: true }>,
    { settings, readOnly }: Extract<RequestSettings, { ok: true }>,
  ): Promise<EngineStart> {
    const { session } = request;
    return engine.start(
      lane,
      {
        sql,
        format: request.format,
        access: request.access,
        settings: lane === "insert" ? withFileBlockSize(settings) : [...wholeResultLimit(sql, request), ...settings],
        params: request.params,
        database: request.database ?? (session === null ? options.database : null),
        queryId: request.queryId,
      },
      {
        // A write goes on when its client goes, as in ClickHouse; a read is of no use to anybody then.
        signal: lane === "insert" ? undefined : http.signal,
        session: session === null ? null : { ...session, readOnly },
      },
    );
  }

  function settingsOf(request: ClickHouseRequest, method: string): RequestSettings {
    for (const [name] of request.settings)
      if (!engine.isSetting(name))
        return { ok: false, exception: createException(CODES.UNKNOWN_SETTING, `Unknown setting '${name}'.`) };
    if (request.access === "reader") {
      const reader = readerSettings(request.settings, options.readerLimits);
      if (reader.ok) return { ...reader, readOnly: true };
      const text = `Cannot modify '${reader.name}' setting in readonly mode.`;
      return { ok: false, exception: createException(CODES.READONLY, text) };
    }
    const others = request.settings.filter(([name]) => name !== "readonly");
    const asked = request.settings.findLast(([name]) => name === "readonly")?.[1] ?? "0";
    // ClickHouse never writes on GET; 2 still allows settings.
    const readonly = method !== "POST" && asked === "0" ? "2" : asked;
    // Set on a session it would stay, and nothing could take it back.
    if (request.session !== null || readonly === "0") return { ok: true, settings: others, readOnly: readonly !== "0" };
    // Last, because it takes effect at once.
    return { ok: true, settings: [...others, ["readonly", readonly]], readOnly: true };
  }

  async function respond(
    request: ClickHouseRequest,
    sql: string,
    watched: WatchedExecution,
    encoding: Encoding | null,
    exchange: HttpExchange,
  ): Promise<Response> {
    const startedMs = performance.now();
    const clause = formatClauseOf(sql);
    const format = clause !== null && isIdentifier(clause) ? clause : request.format;
    const execution = isProgressFormat(format) ? withProgressLines(watched) : watched;
    const { progressHeadersMs } = request;
    const watch = progressHeadersMs === null ? null : watchProgress(watched, progressHeadersMs, exchange.beginHead);
    const { held, next } = await hold(execution, request.waitEndOfQuery);
    watch?.stop();
    const { queryId } = request;
    if (next.kind === "failed")
      return failureResponse(next.exception, { queryId, version, encoding, progress: next.progress });

    const headers = baseHeaders(queryId);
    const isSilent = held.length === 0 && next.kind === "ended" && !hasResult(sql);
    headers.set("Content-Type", isSilent ? "text/plain; charset=UTF-8" : contentTypeOf(format));
    if (!isSilent) headers.set("X-ClickHouse-Format", format);
    headers.set("X-ClickHouse-Timezone", engine.timezone);
    headers.set("X-ClickHouse-Summary", progressJson(next.progress, performance.now() - startedMs));
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
          controller.enqueue(Buffer.from(taggedException(exceptionText(next.exception, version), tag)));
        },
        cancel: () => execution.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  return async (http, exchange) => {
    if (!isLocalRequest(http.headers)) return new Response("Only programs on this machine may ask.\n", { status: 403 });
    const url = new URL(http.url);
    if (url.pathname === "/ping" || url.pathname === "/replicas_status")
      return new Response("Ok.\n", { headers: baseHeaders("") });
    if (url.pathname !== "/" || !["GET", "POST", "HEAD"].includes(http.method))
      return new Response(`There is no handle ${url.pathname}\n\nUse / or /ping for health checks.\n`, { status: 404 });
    try {
      return await handleQuery(http, url, exchange);
    } catch (error) {
      const exception = createException(CODES.UNKNOWN_EXCEPTION, String(error));
      return failureResponse(exception, { queryId: "", version, encoding: null });
    }
  };
}

interface Held {
  readonly held: Uint8Array<ArrayBuffer>[];
  /** What came when no more was to be held. */
  readonly next: NextChunk;
}

/** Two chunks at least: most results are one, and then status, length and summary are final. */
async function hold(execution: Execution, untilEnd: boolean): Promise<Held> {
  const held: Uint8Array<ArrayBuffer>[] = [];
  let heldBytes = 0;
  const maxHeld = untilEnd ? MAX_HELD_RESULT_BYTES : 1;
  let next = await execution.next();
  while (next.kind === "chunk" && (held.length === 0 || heldBytes < maxHeld)) {
    held.push(next.bytes);
    heldBytes += next.bytes.length;
    next = await execution.next();
  }
  return { held, next };
}

const READING_WORDS: ReadonlySet<string> = new Set(["select", "with", "from", "("]);
/** Statements that answer with a table, which may be an empty one. */
const RESULT_WORDS: ReadonlySet<string> = new Set([
  ...READING_WORDS,
  "show",
  "describe",
  "desc",
  "exists",
  "explain",
  "check",
  "kill",
  "watch",
]);

function hasResult(sql: string): boolean {
  const first = tokens(sql, 1).next();
  return !first.done && RESULT_WORDS.has(first.value.text);
}

/** A result that cannot be streamed is limited where it is made. What the request says itself comes later and wins. */
function wholeResultLimit(sql: string, request: ClickHouseRequest): Settings {
  const first = tokens(sql, 1).next();
  const reads = !first.done && READING_WORDS.has(first.value.text);
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
