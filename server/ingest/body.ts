import { isUtf8 } from "node:buffer";
import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import type { ErrorCode } from "../contract/error.ts";

export interface BodyOptions {
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
}

export type BodyText =
  | { readonly ok: true; readonly text: string; readonly ndjson: boolean }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

const refuse = (code: ErrorCode, message: string): BodyText => ({ ok: false, code, message });
const decompressors = { gzip: promisify(gunzip), zstd: promisify(zstdDecompress) };
const decoder = new TextDecoder();

/** Reads a request's body as text, in bounded memory and time. */
export interface BodyReader {
  /**
   * What says that it is too large is refused unread, what turns out to be is cut off, and decompression stops at the
   * limit. Names the media type and the encoding that it does not know.
   */
  read(request: Request): Promise<BodyText>;
  /** The service is shutting down: bodies that have not arrived are not waited for. */
  stop(): void;
}

export function createBodyReader(options: BodyOptions): BodyReader {
  const tooLarge = refuse("body_too_large", `the body is over ${options.maxBodyBytes} bytes (MAX_BODY_BYTES)`);
  const late = refuse("request_timeout", `the body did not arrive within ${options.timeoutMs / 1000} s (BODY_TIMEOUT)`);
  const stopped = refuse("shutting_down", "the service is shutting down");
  const gone = refuse("malformed_request", "the body ended early");
  const deadlines = createDeadlines(options.timeoutMs);

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
      const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
      if (encoding !== "identity" && encoding !== "gzip" && encoding !== "zstd") {
        return refuse("unsupported_encoding", `Content-Encoding: ${encoding}: allowed is gzip or zstd`);
      }
      const declared = headers.get("content-length");
      if (declared !== null && Number(declared) > options.maxBodyBytes) return tooLarge;

      // With a declared length Bun gathers the body natively; without one it has to be counted as it comes.
      const whole = declared !== null ? request.bytes() : gather(request, options.maxBodyBytes);
      const raw = await deadlines.within(whole);
      if (raw === "too_large") return tooLarge;
      if (raw === "late") return late;
      if (raw === "stopped") return stopped;
      if (raw === "gone") return gone;

      let bytes = raw;
      if (encoding !== "identity") {
        try {
          bytes = await decompressors[encoding](raw, { maxOutputLength: options.maxBodyBytes });
        } catch (error) {
          if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") return tooLarge;
          return refuse("malformed_encoding", `the body is not ${encoding}`);
        }
      }
      if (!isUtf8(bytes)) return refuse("malformed_encoding", "the body is not UTF-8");
      return { ok: true, text: decoder.decode(bytes), ndjson };
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

type Received = Uint8Array | "too_large";

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

async function gather(request: Request, maxBytes: number): Promise<Uint8Array | "too_large"> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) return "too_large";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
