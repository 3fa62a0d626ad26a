import type { Outbox } from "./outbox.ts";
import { PlainResponse } from "./plain-response.ts";
import { type BodyEnd, hasNoBody, headText, plainText } from "./response-text.ts";

export interface SendOptions {
  /** The connection may stay, if the response lets it. */
  readonly keepAlive: boolean;
  readonly isHead: boolean;
  readonly minorVersion: number;
  /** The status line, and perhaps some headers, have been sent already. */
  readonly headBegun: boolean;
  readonly signal: {
    /** Nobody reads any more. */
    gone(): boolean;
    /** Calls `leave` when the client goes. */
    abort(leave: () => void): void;
  };
}

/** Whether the connection may be used for the next request. */
export type Sent = "kept" | "last";

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** Nobody reads it any more. That it had failed already is no news. */
export function discard(body: Pick<Reader, "cancel"> | null): void {
  body?.cancel().catch(() => undefined);
}

/** Writes a response. At once, when it is plain and the kernel takes it; otherwise as fast as the client reads. */
export function sendResponse(response: Response, outbox: Outbox, options: SendOptions): Sent | Promise<Sent> {
  const { keepAlive, isHead } = options;
  const end: Sent = keepAlive ? "kept" : "last";
  const plain = response instanceof PlainResponse && !options.headBegun ? response.plain : null;
  if (plain === null) return sendAny(response, outbox, options);
  const waits = outbox.write(plainText(plain, { keepAlive, nowMs: Date.now() }, isHead));
  return waits === undefined ? end : waits.then(() => end);
}

async function sendAny(response: Response, outbox: Outbox, options: SendOptions): Promise<Sent> {
  const { isHead } = options;
  if (hasNoBody(response) || response.body === null) {
    return sendWhole(response, [], 0, outbox, options);
  }
  const isEventStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  const reader: Reader = response.body.getReader();
  if (isHead && isEventStream) {
    discard(reader);
    return sendWhole(response, [], null, outbox, options);
  }
  if (isEventStream) return sendStream(response, reader, [], "close", outbox, options);
  const start = await readStart(reader);
  if (start.ended) return sendWhole(response, start.chunks, sizeOf(start.chunks), outbox, options);
  if (!isHead) {
    const kind = options.minorVersion === 0 ? "close" : "chunked";
    return sendStream(response, reader, start.chunks, kind, outbox, options, start.next);
  }
  start.next.catch(() => undefined);
  discard(reader);
  return sendWhole(response, [], null, outbox, options);
}

/** What is there at once: of a body that lies in memory all of it, so that its length can be told. */
async function readStart(reader: Reader): Promise<Start> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const next = reader.read();
    const read = await Promise.race([next, soon()]);
    if (read === "later") return { ended: false, chunks, next };
    if (read.done) return { ended: true, chunks };
    chunks.push(read.value);
    bytes += read.value.length;
    if (bytes > startMaxBytes) return { ended: false, chunks, next: reader.read() };
  }
}

type Read = Awaited<ReturnType<Reader["read"]>>;
type Start =
  | { readonly ended: true; readonly chunks: Uint8Array[] }
  | { readonly ended: false; readonly chunks: Uint8Array[]; readonly next: Promise<Read> };

const startMaxBytes = 256 * 1024;
const soon = (): Promise<"later"> => new Promise((resolve) => setImmediate(() => resolve("later")));
const sizeOf = (chunks: readonly Uint8Array[]): number => chunks.reduce((sum, { length }) => sum + length, 0);

/** `bytes` null: the length is not known, which only the answer to HEAD may leave open. */
async function sendWhole(
  response: Response,
  chunks: readonly Uint8Array[],
  bytes: number | null,
  outbox: Outbox,
  { keepAlive, isHead, headBegun }: SendOptions,
): Promise<Sent> {
  const end: BodyEnd = bytes === null ? { kind: "none" } : { kind: "length", bytes };
  const head = headText(response, end, { keepAlive, nowMs: Date.now() }, headBegun);
  await outbox.write(isHead || chunks.length === 0 ? head : Buffer.concat([Buffer.from(head), ...chunks]));
  return keepAlive ? "kept" : "last";
}

async function sendStream(
  response: Response,
  reader: Reader,
  chunks: readonly Uint8Array[],
  kind: "chunked" | "close",
  outbox: Outbox,
  { keepAlive, signal, headBegun }: SendOptions,
  first: Promise<Read> = reader.read(),
): Promise<Sent> {
  signal.abort(() => discard(reader));
  // It is waited for below, which is too late for a body that fails while the head is being written.
  first.catch(() => undefined);
  const stays = keepAlive && kind === "chunked";
  await outbox.write(headText(response, { kind }, { keepAlive: stays, nowMs: Date.now() }, headBegun));
  const framed = kind === "chunked" ? chunkOf : (bytes: Uint8Array) => bytes;
  for (const chunk of chunks) await outbox.write(framed(chunk));
  try {
    for (let read = await first; !read.done; read = await reader.read()) {
      if (signal.gone()) break;
      const waits = read.value.length === 0 ? undefined : outbox.write(framed(read.value));
      if (waits !== undefined) await waits;
    }
  } catch {
    // The body broke off: the client sees that, because the end is missing.
    return "last";
  }
  if (signal.gone()) {
    discard(reader);
    return "last";
  }
  if (kind === "chunked") await outbox.write(lastChunk);
  return stays ? "kept" : "last";
}

const lastChunk = "0\r\n\r\n";
const lineEnd = Buffer.from("\r\n");

function chunkOf(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, lineEnd]);
}
