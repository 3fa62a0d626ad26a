import type { Engine, LaneName } from "./engine.ts";
import { CODES, createException, type Exception } from "./exception.ts";
import type { ClickHouseRequest } from "./request.ts";
import { decompressBody, infileCompressionOf } from "./response-compression.ts";
import { spoolBody } from "./spool.ts";
import { type InsertHead, isInsertFromFile, parseInsertHead, quoteString } from "./sql.ts";

/** SQL text in one request; ClickHouse's own `max_query_size` is a quarter of it. */
const MAX_QUERY_BYTES = 1024 * 1024;
/** Placeholders that do not fit a URL. */
const MAX_FORM_BYTES = 16 * 1024 * 1024;
/** The rows of one INSERT, as they arrive. */
const MAX_INSERT_BYTES = 1024 * 1024 * 1024;
/** INSERT bodies on their way in at once. With the limit above this bounds the spool folder. */
const MAX_SPOOLING = 16;
/** How much of a body is looked at to find where an INSERT's text ends and its rows begin. */
const INSERT_HEAD_MAX_BYTES = 64 * 1024;

const readonly = (): { ok: false; exception: Exception } => ({
  ok: false,
  exception: createException(CODES.READONLY, "Cannot execute query in readonly mode."),
});

const unknownEncoding = (): { ok: false; exception: Exception } => ({
  ok: false,
  exception: createException(CODES.NOT_IMPLEMENTED, "Unknown Content-Encoding."),
});

const NO_BYTES = new Uint8Array(0);

export type Job =
  | { ok: true; lane: LaneName; sql: string; spooled: string | null }
  | { ok: false; exception: Exception };

/** Finds out what a request asks for: plain SQL, or an INSERT with rows, which are spooled. */
export type JobReader = (http: Request, request: ClickHouseRequest, hasForm: boolean) => Promise<Job>;

export function createJobReader(engine: Pick<Engine, "spoolPath">): JobReader {
  let spooling = 0;

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

  return readJob;
}

export type Form =
  | { ok: true; fields: readonly (readonly [string, string])[]; isForm: boolean }
  | { ok: false; exception: Exception };

/** The fields of a multipart body, which may carry the query and placeholders too long for a URL. */
export async function readForm(http: Request): Promise<Form> {
  const contentType = http.headers.get("content-type") ?? "";
  if (!contentType.startsWith("multipart/form-data") || http.body === null)
    return { ok: true, fields: [], isForm: false };
  const plain = decompressBody(http.body, http.headers.get("content-encoding"));
  if (plain === null) return unknownEncoding();
  const whole = await readHead(NO_BYTES, plain[Symbol.asyncIterator](), MAX_FORM_BYTES + 1);
  if (!whole.ok) return whole;
  if (!whole.ended)
    return { ok: false, exception: createException(CODES.TOO_LARGE, `A form is at most ${MAX_FORM_BYTES} bytes.`) };
  try {
    const form = await new Response(new Uint8Array(whole.bytes), {
      headers: { "Content-Type": contentType },
    }).formData();
    const fields: (readonly [string, string])[] = [];
    for (const [name, value] of form) {
      if (typeof value !== "string")
        return { ok: false, exception: createException(CODES.NOT_IMPLEMENTED, `External tables: ${name} is a file.`) };
      fields.push([name, value]);
    }
    return { ok: true, fields, isForm: true };
  } catch {
    return { ok: false, exception: createException(CODES.BAD_REQUEST_PARAMETER, "The form is malformed.") };
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
