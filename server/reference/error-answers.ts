import { type ErrorCode, errorStatus } from "../../contract/error.ts";
import type { Answer } from "./document.ts";

const content = { "application/json": { schema: { $ref: "#/components/schemas/ErrorAnswer" } } };
const retryAfter = { "Retry-After": { description: "seconds", schema: { type: "integer" } } };
const rateHeaders = Object.fromEntries(
  ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"].map((name) => [name, { schema: { type: "integer" } }]),
);

/** Error answers, one a status, with the codes that come under it. */
export function errorAnswers(...codes: readonly ErrorCode[]): Record<string, Answer> {
  const byStatus = Map.groupBy(codes, (code) => errorStatus[code]);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      String(status),
      {
        description: group.map((code) => `\`${code}\``).join(", "),
        content,
        ...(status === 503 ? { headers: retryAfter } : {}),
        ...(status === 429 ? { headers: { ...retryAfter, ...rateHeaders } } : {}),
      },
    ]),
  );
}

/** What every route that asks ClickHouse may answer. */
export const readingErrors: readonly ErrorCode[] = [
  "invalid_parameter",
  "unauthenticated",
  "forbidden",
  "query_failed",
  "overloaded",
  "clickhouse_unavailable",
  "query_timeout",
];
