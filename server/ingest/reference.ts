import type { TSchema } from "typebox";
import { type ErrorCode, errorStatus } from "../../contract/error.ts";
import type { Answer, Content, Parameter } from "../reference/document.ts";

/** What the OpenAPI of every other protocol is written with. */

export const tags = ["Write: other protocols"];
export const json = (schema: TSchema): Content => ({ "application/json": { schema } });
const retryAfter = { "Retry-After": { description: "seconds", schema: { type: "integer" } } };

const refusals = [
  "unauthenticated",
  "forbidden",
  "request_timeout",
  "body_too_large",
  "too_many_events",
  "unsupported_encoding",
  "rate_limited",
  "journal_full",
  "journal_failed",
  "ring_full",
  "overloaded",
  "shutting_down",
] as const satisfies readonly ErrorCode[];

/** What the shared way into the journal refuses, in the protocol's own shape. */
export function refused(content: Content, ...codes: ErrorCode[]): Record<string, Answer> {
  const byStatus = Map.groupBy([...codes, ...refusals], (code) => errorStatus[code]);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      String(status),
      {
        description: group.map((code) => `\`${code}\``).join(", "),
        content,
        ...(status === 503 || status === 429 ? { headers: retryAfter } : {}),
      },
    ]),
  );
}

export const contentEncoding: Parameter = {
  name: "Content-Encoding",
  in: "header",
  required: false,
  description: "of the body",
  schema: { enum: ["gzip", "zstd", "identity"] },
};
export const idempotencyKey: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "as on /ingest; without one, a body whose lines or points all have times is its own key",
  schema: { type: "string", minLength: 1, maxLength: 128 },
};
