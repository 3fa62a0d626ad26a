/** One POST /ingest and what became of it. Source of the answers: INTERFACE, "POST /ingest". */
import { Value } from "typebox/value";
import { ErrorAnswer } from "../../contract/error.ts";
import type { Event } from "../../contract/event.ts";
import { IngestAnswer } from "../../contract/ingest.ts";

/** Events that are sent, retried and accounted for together. */
export interface Batch {
  /** The same in every attempt, so that an attempt whose answer was lost is not stored twice. */
  readonly idempotencyKey: string;
  /** `{"events":[…]}`. */
  readonly body: string;
  readonly eventCount: number;
}

export type Outcome =
  | { readonly kind: "acknowledged" }
  /** Nothing was accepted; the same request may be accepted later. */
  | { readonly kind: "refused"; readonly status: number; readonly retryAfterMs: number; readonly message: string }
  /** Accepted or not: nobody knows. */
  | { readonly kind: "unreachable"; readonly message: string }
  /** The same request can never be accepted. */
  | { readonly kind: "rejected"; readonly status: number; readonly message: string };

export type Post = (batch: Batch) => Promise<Outcome>;

interface PostOptions {
  /** Without a slash at its end. */
  readonly url: string;
  /** Empty: no Authorization header. */
  readonly key: string;
  readonly timeoutMs: number;
  /** Epoch milliseconds, for a `Retry-After` that is a date. */
  readonly now: () => number;
}

/** Longest `Retry-After` that is believed. */
const longestRetryAfterMs = 600_000;
const messageCharacters = 300;
const passingStatuses = new Set([408, 425, 429, 500, 502, 503, 504]);

export function encodeBatch(idempotencyKey: string, events: readonly Event[]): Batch {
  return { idempotencyKey, body: JSON.stringify({ events }), eventCount: events.length };
}

export function createPost(options: PostOptions): Post {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (options.key !== "") headers.Authorization = `Bearer ${options.key}`;
  const address = `${options.url}/ingest`;
  return async (batch) => {
    let response: Response;
    let text: string;
    try {
      response = await fetch(address, {
        method: "POST",
        headers: { ...headers, "Idempotency-Key": batch.idempotencyKey },
        body: batch.body,
        signal: AbortSignal.timeout(options.timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      return { kind: "unreachable", message: transportMessage(error, options.timeoutMs) };
    }
    const { status } = response;
    const answer = parseJson(text);
    if (response.ok) {
      if (Value.Check(IngestAnswer, answer) && answer.event_count === batch.eventCount) return { kind: "acknowledged" };
      return { kind: "rejected", status, message: `not an answer of Sluice: ${text.slice(0, messageCharacters)}` };
    }
    const message = Value.Check(ErrorAnswer, answer) ? `${answer.error.code}: ${answer.error.message}` : text;
    const shown = message.slice(0, messageCharacters);
    if (!passingStatuses.has(status)) return { kind: "rejected", status, message: shown };
    const retryAfterMs = parseRetryAfter(response.headers.get("Retry-After"), options.now());
    return { kind: "refused", status, retryAfterMs, message: shown };
  };
}

/** Milliseconds to wait; 0 without the header or when it cannot be read. Source: RFC 9110, 10.2.3. */
export function parseRetryAfter(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  const waitMs = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return waitMs > 0 ? Math.min(waitMs, longestRetryAfterMs) : 0;
}

function transportMessage(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`;
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy in between answers in HTML; the caller shows the text instead.
    return undefined;
  }
}
