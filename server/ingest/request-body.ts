import { isUtf8 } from "node:buffer";
import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import type { ErrorCode } from "../../contract/error.ts";

export interface BodyOptions {
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
  /** All bodies on their way together; over: 503. */
  readonly inFlightMaxBytes: number;
}

export interface Body {
  /** Unpacked, and UTF-8. */
  readonly bytes: Uint8Array;
  readonly ndjson: boolean;
}

export type BodyOutcome =
  | ({ readonly ok: true } & Body)
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

const refuse = (code: ErrorCode, message: string): BodyOutcome => ({ ok: false, code, message });
const decompressors = { gzip: promisify(gunzip), zstd: promisify(zstdDecompress) };
const decoder = new TextDecoder();

/** Reads a request's body, in bounded memory and time. */
export interface BodyReader {
  /**
   * What says that it is too large is refused unread, what turns out to be is cut off, and decompression stops at the
   * limit. Names the media type and the encoding that it does not know.
   */
  read(request: Request): Promise<BodyOutcome>;
  /** The service is shutting down: bodies that have not arrived are not waited for. */
  stop(): void;
}

export function createBodyReader(options: BodyOptions): BodyReader {
  // A body that is larger than all on their way may be would be refused as "overloaded" for ever.
  const isInFlightLower = options.inFlightMaxBytes < options.maxBodyBytes;
  const maxBytes = isInFlightLower ? options.inFlightMaxBytes : options.maxBodyBytes;
  const maxName = isInFlightLower ? "MAX_INFLIGHT_BYTES" : "MAX_BODY_BYTES";
  const tooLarge = refuse("body_too_large", `the body is over ${maxBytes} bytes (${maxName})`);
  const late = refuse("request_timeout", `the body did not arrive within ${options.timeoutMs / 1000} s (BODY_TIMEOUT)`);
  const stopped = refuse("shutting_down", "the service is shutting down");
  const gone = refuse("malformed_request", "the body ended early");
  const overloaded = refuse(
    "overloaded",
    "as many bytes of requests are on their way as the service takes (MAX_INFLIGHT_BYTES); nothing was accepted",
  );
  const deadlines = createDeadlines(options.timeoutMs);
  const decompressing = createSlots(decompressionsMax);
  let inFlightBytes = 0;
  const tryReserve = (bytes: number): boolean => {
    if (inFlightBytes + bytes > options.inFlightMaxBytes) return false;
    inFlightBytes += bytes;
    return true;
  };

  return {
    stop: () => deadlines.stop(),
    async read(request) {
      const { headers } = request;
      const mediaType = headers.get("content-type");
      const ndjson = mediaType !== null && isMediaType(mediaType, "application/x-ndjson");
      if (!ndjson && (mediaType === null || !isMediaType(mediaType, "application/json"))) {
        return refuse(
          "unsupported_media_type",
          `Content-Type: ${mediaType ?? "(none)"}: allowed is application/json or application/x-ndjson`,
        );
      }
      // An empty header says as little as none.
      const encoding = headers.get("content-encoding")?.trim().toLowerCase() || "identity";
      if (encoding !== "identity" && encoding !== "gzip" && encoding !== "zstd") {
        return refuse("unsupported_encoding", `Content-Encoding: ${encoding}: allowed is gzip or zstd`);
      }
      const declared = headers.get("content-length");
      if (declared !== null && Number(declared) > maxBytes) return tooLarge;

      let reserved = 0;
      const take = (bytes: number): boolean => {
        const taken = tryReserve(bytes);
        if (taken) reserved += bytes;
        return taken;
      };
      try {
        if (declared !== null && !take(Number(declared))) return overloaded;
        // With a declared length Bun gathers the body natively; without one it has to be counted as it comes.
        const whole = declared !== null ? request.bytes() : gather(request, maxBytes, take);
        const raw = await deadlines.within(whole);
        if (raw === "too_large") return tooLarge;
        if (raw === "overloaded") return overloaded;
        if (raw === "late") return late;
        if (raw === "gone") return gone;
        if (raw === "stopped") return stopped;
        return encoding === "identity" ? decoded(raw, ndjson) : await unpack(raw, encoding, ndjson);
      } finally {
        inFlightBytes -= reserved;
      }
    },
  };

  async function unpack(raw: Uint8Array, encoding: keyof typeof decompressors, ndjson: boolean): Promise<BodyOutcome> {
    const leave = await decompressing.enter();
    try {
      return decoded(await decompressors[encoding](raw, { maxOutputLength: options.maxBodyBytes }), ndjson);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") return tooLarge;
      return refuse("malformed_encoding", `the body is not ${encoding}`);
    } finally {
      leave();
    }
  }
}

function decoded(bytes: Uint8Array, ndjson: boolean): BodyOutcome {
  return isUtf8(bytes) ? { ok: true, bytes, ndjson } : refuse("malformed_encoding", "the body is not UTF-8");
}

/** Without a byte order mark. */
export function textOf(body: Body): string {
  return decoder.decode(body.bytes);
}

/** How many bodies are unpacked at once, each into at most MAX_BODY_BYTES; further ones wait, packed and counted. */
const decompressionsMax = 8;

function createSlots(count: number) {
  let free = count;
  const waiting: (() => void)[] = [];
  const leave = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return {
    async enter(): Promise<() => void> {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      return leave;
    },
  };
}

function isMediaType(header: string, type: string): boolean {
  if (header === type) return true;
  const [given, ...parameters] = header.toLowerCase().split(";");
  if (given?.trim() !== type) return false;
  return parameters.every((parameter) => {
    const [name, value] = parameter.split("=");
    return name?.trim() !== "charset" || value?.trim().replaceAll('"', "") === "utf-8";
  });
}

type Received = Uint8Array | "too_large" | "overloaded";

/** One timer for all bodies under way: a timer a request costs more than reading a small body. */
function createDeadlines(timeoutMs: number) {
  type Missing = "late" | "gone" | "stopped";
  const waiting = new Set<{ readonly dueMs: number; readonly giveUp: (why: Missing) => void }>();
  const timer = setInterval(
    () => {
      const nowMs = performance.now();
      for (const entry of waiting) {
        // In order of arrival, so of deadline.
        if (entry.dueMs > nowMs) break;
        entry.giveUp("late");
      }
    },
    Math.min(1000, timeoutMs / 4),
  );
  return {
    stop() {
      clearInterval(timer);
      for (const entry of waiting) entry.giveUp("stopped");
    },
    within(body: Promise<Received>): Promise<Received | Missing> {
      return new Promise((resolve) => {
        const settle = (outcome: Received | Missing): void => {
          waiting.delete(entry);
          resolve(outcome);
        };
        const entry = { dueMs: performance.now() + timeoutMs, giveUp: settle };
        waiting.add(entry);
        body.then(settle, () => settle("gone"));
      });
    },
  };
}

async function gather(request: Request, maxBytes: number, take: (bytes: number) => boolean): Promise<Received> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) return "too_large";
    if (!take(chunk.length)) return "overloaded";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
