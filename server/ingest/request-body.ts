import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import { Refusal } from "../http/refusal.ts";
import { isWholeZstd } from "./zstd-frames.ts";

export interface BodyOptions {
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
  /** All bodies on their way together; over: 503. */
  readonly inFlightMaxBytes: number;
}

const decompressors = { gzip: gunzipWhole, zstd: promisify(zstdDecompress) };

/** Reads a request's body, in bounded memory and time. */
export interface BodyReader {
  /**
   * The body, decompressed. What says that it is too large is refused unread, what turns out to be is cut off, and
   * decompression stops at the limit.
   */
  read(request: Request): Promise<Uint8Array | Refusal>;
  /** The service is shutting down: bodies that have not arrived are not waited for. */
  stop(): void;
}

export function createBodyReader(options: BodyOptions): BodyReader {
  // A body that is larger than all on their way may be would be refused as "overloaded" for ever.
  const isInFlightLower = options.inFlightMaxBytes < options.maxBodyBytes;
  const maxBytes = isInFlightLower ? options.inFlightMaxBytes : options.maxBodyBytes;
  const maxName = isInFlightLower ? "MAX_INFLIGHT_BYTES" : "MAX_BODY_BYTES";
  const tooLarge = new Refusal("body_too_large", `the body is over ${maxBytes} bytes (${maxName})`);
  const late = new Refusal(
    "request_timeout",
    `the body did not arrive within ${options.timeoutMs / 1000} s (BODY_TIMEOUT)`,
  );
  const stopped = new Refusal("shutting_down", "the service is shutting down");
  const gone = new Refusal("malformed_request", "the body ended early");
  const overloaded = new Refusal(
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
      // An empty header says as little as none.
      const encoding = headers.get("content-encoding")?.trim().toLowerCase() || "identity";
      if (encoding !== "identity" && encoding !== "gzip" && encoding !== "zstd") {
        return new Refusal("unsupported_encoding", `Content-Encoding must be gzip or zstd, not ${encoding}`);
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
        return encoding === "identity" ? raw : await unpack(raw, encoding);
      } finally {
        inFlightBytes -= reserved;
      }
    },
  };

  async function unpack(raw: Uint8Array, encoding: keyof typeof decompressors): Promise<Uint8Array | Refusal> {
    if (encoding === "zstd" && !isWholeZstd(raw)) return notWhole.zstd;
    const leave = await decompressing.enter();
    try {
      return await decompressors[encoding](raw, { maxOutputLength: options.maxBodyBytes });
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") return tooLarge;
      return notWhole[encoding];
    } finally {
      leave();
    }
  }
}

const notWhole = {
  gzip: new Refusal("malformed_encoding", "the body is not gzip, whole and with nothing after it"),
  zstd: new Refusal("malformed_encoding", "the body is not zstd, whole and with nothing after it"),
};

interface Gunzipped {
  readonly buffer: Uint8Array;
  /** `bytesWritten`: how much of the input was gzip. */
  readonly engine: { readonly bytesWritten: number };
}

/** Refuses the padding of zeros after the last member, which gunzip alone lets pass. */
function gunzipWhole(raw: Uint8Array, options: { readonly maxOutputLength: number }): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    gunzip(raw, { ...options, info: true }, (error, result) => {
      const { buffer, engine } = (result ?? {}) as unknown as Gunzipped;
      if (error) reject(error);
      else if (engine.bytesWritten !== raw.length) reject(new Error("the gzip stream ends before the body does"));
      else resolve(buffer);
    });
  });
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
