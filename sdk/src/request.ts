/** One POST /ingest and what became of it. */

export interface RequestBatch {
  /** The same in every attempt, so that an attempt whose answer was lost is not stored twice. */
  readonly idempotencyKey: string;
  /** `{"events":[…]}`, or its gzip. */
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly eventCount: number;
}

/** An event that the service did not take. */
export interface EventFault {
  /** Its place in the request, from 0. */
  readonly index: number;
  readonly path: string;
  readonly message: string;
}

export type Outcome =
  /** Durable, but for the `refused` invalid ones; `faults` names at most 100 of them. */
  | { readonly kind: "acknowledged"; readonly refused: number; readonly faults: readonly EventFault[] }
  /** Nothing was accepted; the same request may be accepted later. */
  | { readonly kind: "refused"; readonly status: number; readonly retryAfterMs: number; readonly message: string }
  /** Accepted or not: nobody knows. */
  | { readonly kind: "unreachable"; readonly message: string }
  /** The same request is not accepted here. `bySluice`: the service itself said so, not something in between. */
  | { readonly kind: "rejected"; readonly status: number; readonly message: string; readonly bySluice: boolean };

export type Post = (batch: RequestBatch, abort?: AbortSignal) => Promise<Outcome>;

export interface PostOptions {
  /** Without a slash at its end. */
  readonly url: string;
  /** Empty: no Authorization header. */
  readonly key: string;
  readonly timeoutMs: number;
  /** Invalid events are left out and named, instead of refusing the whole request. */
  readonly skipInvalid?: boolean;
  /** Epoch milliseconds, for a `Retry-After` that is a date. */
  readonly now: () => number;
  readonly fetch?: typeof fetch | undefined;
}

/** Longest `Retry-After` that is believed. */
const longestRetryAfterMs = 600_000;
const messageCharacters = 300;
const passingStatuses = new Set([408, 425, 429, 500, 502, 503, 504]);

export function createPost(options: PostOptions): Post {
  const { fetch: send = (...request) => fetch(...request) } = options;
  const address = `${options.url}/ingest${options.skipInvalid ? "?on_error=skip" : ""}`;
  return async (batch, abort) => {
    const timeout = new AbortController();
    const give = () => timeout.abort();
    const timer = setTimeout(give, options.timeoutMs);
    abort?.addEventListener("abort", give);
    if (abort?.aborted) give();
    try {
      const response = await send(address, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "Idempotency-Key": batch.idempotencyKey,
          ...(options.key === "" ? {} : { Authorization: `Bearer ${options.key}` }),
          ...(typeof batch.body === "string" ? {} : { "Content-Encoding": "gzip" }),
        },
        body: batch.body,
        signal: timeout.signal,
      });
      return outcomeOf(response, await response.text(), batch.eventCount, options.now());
    } catch (error) {
      const late = timeout.signal.aborted && abort?.aborted !== true;
      return { kind: "unreachable", message: late ? `no answer within ${options.timeoutMs / 1000} s` : textOf(error) };
    } finally {
      clearTimeout(timer);
      abort?.removeEventListener("abort", give);
    }
  };
}

function outcomeOf(response: Response, text: string, eventCount: number, nowMs: number): Outcome {
  const { status } = response;
  const answer = parseObject(text);
  if (response.ok) {
    const { event_count: taken, rejected_count: refused = 0, rejected: faults = [] } = answer;
    // More than were sent: the answer to an earlier attempt, before the spool was damaged.
    if (typeof taken === "number" && typeof refused === "number" && taken + refused >= eventCount) {
      return { kind: "acknowledged", refused: Math.min(refused, eventCount), faults: faults as EventFault[] };
    }
    return { kind: "rejected", status, message: `not an answer of Sluice: ${cut(text)}`, bySluice: false };
  }
  const error =
    typeof answer.error === "object" && answer.error !== null ? (answer.error as Record<string, unknown>) : {};
  const bySluice = typeof error.code === "string";
  const message = cut(bySluice ? `${error.code}: ${error.message}` : text);
  if (!passingStatuses.has(status)) return { kind: "rejected", status, message, bySluice };
  return {
    kind: "refused",
    status,
    retryAfterMs: parseRetryAfter(response.headers.get("Retry-After"), nowMs),
    message,
  };
}

/** Milliseconds to wait; 0 without the header or when it cannot be read. Source: RFC 9110, 10.2.3. */
export function parseRetryAfter(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  const waitMs = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return waitMs > 0 ? Math.min(waitMs, longestRetryAfterMs) : 0;
}

/**
 * Full jitter on an exponential ceiling, on top of what the server asked for. Source: Brooker, "Exponential Backoff And
 * Jitter", AWS Architecture Blog, 2015.
 */
export function backoffMs(attempt: number, retryAfterMs: number, longestMs: number, random: () => number): number {
  // The exponent is bounded before the power, which would otherwise overflow after a day of attempts.
  return retryAfterMs + random() * Math.min(longestMs, 100 * 2 ** Math.min(attempt, 16));
}

const cut = (text: string): string => text.slice(0, messageCharacters);

/** Node's fetch hides what went wrong in the cause. */
function textOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}

/** An empty object for anything else: a proxy in between answers in HTML. */
function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
