import Type, { type Static } from "typebox";
import { EventError } from "./ingest.ts";

/** Every code that an error answer can carry, with its HTTP status. */
export const errorStatus = {
  malformed_json: 400,
  malformed_encoding: 400,
  malformed_request: 400,
  invalid_parameter: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  too_many_events: 413,
  unsupported_media_type: 415,
  unsupported_encoding: 415,
  invalid_events: 422,
  rate_limited: 429,
  idempotency_full: 503,
  internal: 500,
  query_failed: 502,
  not_ready: 503,
  journal_full: 503,
  journal_failed: 503,
  ring_full: 503,
  overloaded: 503,
  shutting_down: 503,
  too_many_streams: 503,
  clickhouse_unavailable: 503,
  query_timeout: 504,
} as const;
export type ErrorCode = keyof typeof errorStatus;

/** The one shape of every error, on every route. */
export const ErrorAnswer = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    position: Type.Optional(Type.Integer({ description: "offset in the body, in characters" })),
    details: Type.Optional(Type.Array(EventError)),
    reasons: Type.Optional(Type.Array(Type.String())),
    total: Type.Optional(Type.Integer({ description: "how many events were invalid; details hold at most 100" })),
  }),
});
export type ErrorAnswer = Static<typeof ErrorAnswer>;
