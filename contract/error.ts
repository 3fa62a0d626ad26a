import Type, { type Static } from "typebox";
import { EventError } from "./ingest.ts";

export interface ErrorRow {
  readonly status: number;
  /** What has happened: a sentence of docs/errors.md. */
  readonly meaning: string;
  /** What a client, or the operator, does about it. */
  readonly action: string;
}

/** Every code that an error answer can carry. */
export const errors = {
  malformed_json: {
    status: 400,
    meaning: "The body is not JSON, or a line of it is not; `position` is where reading stopped.",
    action: "Correct the body. Sending it again as it is gives the same answer.",
  },
  malformed_encoding: {
    status: 400,
    meaning: "The body is not what `Content-Encoding` says (damaged or cut off), or it is not UTF-8.",
    action: "Compress the whole body again, and end the stream properly.",
  },
  malformed_request: {
    status: 400,
    meaning: "A header or the body lacks something that the route needs, or the URL cannot be read.",
    action: "Correct what the message names.",
  },
  invalid_parameter: {
    status: 400,
    meaning: "A query parameter is unknown, or its value is not allowed.",
    action: "Correct the parameter that the message names.",
  },
  unauthenticated: {
    status: 401,
    meaning: "The request carries no key, or a session that has ended.",
    action: "Send `Authorization: Bearer KEY`, or sign in again.",
  },
  forbidden: {
    status: 403,
    meaning:
      "The key is wrong or not for this, a device is outside the key's prefix, or the request came from another site's page.",
    action: "Use a key of the right kind. A key that worked until now has been revoked.",
  },
  not_found: {
    status: 404,
    meaning: "There is no such route, or no such thing.",
    action: "Check the path; `/openapi` lists every route.",
  },
  method_not_allowed: {
    status: 405,
    meaning: "The route exists and does not take this method.",
    action: "Use one of the methods in the `Allow` header.",
  },
  conflict: {
    status: 409,
    meaning: "The change does not go together with what exists: a name is taken or in use, a limit is reached.",
    action: "Change or remove what the message names first.",
  },
  request_timeout: {
    status: 408,
    meaning: "The body did not arrive within `BODY_TIMEOUT`. Nothing was accepted.",
    action: "Send it again; over a slow link send smaller batches.",
  },
  body_too_large: {
    status: 413,
    meaning: "The decompressed body is over `MAX_BODY_BYTES`, or over the limit of this route.",
    action: "Split the batch, or raise the limit.",
  },
  too_many_events: {
    status: 413,
    meaning: "The request has more events than `MAX_EVENTS_PER_REQUEST`.",
    action: "Split the batch, or raise the limit.",
  },
  unsupported_media_type: {
    status: 415,
    meaning: "`Content-Type` is not one that the route reads.",
    action: "Send one of the types that the message names.",
  },
  unsupported_encoding: {
    status: 415,
    meaning: "`Content-Encoding` is neither gzip nor zstd.",
    action: "Send one of these, or an uncompressed body.",
  },
  invalid_body: {
    status: 422,
    meaning: "A field of the body is missing, unknown or not allowed; `details` names each by a JSON pointer.",
    action: "Correct the fields named. Nothing was changed.",
  },
  invalid_events: {
    status: 422,
    meaning:
      "One or more events are invalid and nothing of the request was accepted. `details` has the index, the path and the reason of up to 100, `total` how many there are.",
    action: "Correct the events, or send `?on_error=skip` to have the valid ones accepted.",
  },
  rate_limited: {
    status: 429,
    meaning: "The key sends more than `RATE_LIMIT_EVENTS`, or an address tries to sign in too often.",
    action: "Wait for `Retry-After`, then send the same request again.",
  },
  headers_too_large: {
    status: 431,
    meaning: "The request's target and headers are over 16 KiB together, or there are more than 100 headers.",
    action: "Send fewer or shorter headers; a long list belongs into the body.",
  },
  idempotency_full: {
    status: 503,
    meaning: "No more idempotency keys can be remembered (`IDEMPOTENCY_MAX_KEYS`). Nothing was accepted.",
    action: "Retry later. Use one key for each batch, not one for each event, or raise the limit.",
  },
  internal: {
    status: 500,
    meaning: "A bug. The log has its stack under the `X-Request-Id` of the answer.",
    action:
      "Report it with the request id. Repeat a POST only with an `Idempotency-Key`: the events may have been accepted.",
  },
  query_refused: {
    status: 400,
    meaning: "`POST /api/sql`: the query is not one that may be run here, or ClickHouse cannot read it.",
    action: "Correct what the message names; only SELECT over Sluice's own tables, without SETTINGS, is run.",
  },
  query_failed: {
    status: 502,
    meaning: "ClickHouse refused the query of a reading route.",
    action: "Ask for a shorter range or fewer rows; the log has ClickHouse's reason.",
  },
  not_ready: {
    status: 503,
    meaning: "`/readyz`: the service runs and cannot accept events; `reasons` says why.",
    action: "Send events elsewhere or later; see the reasons in docs/operations.md.",
  },
  journal_full: {
    status: 503,
    meaning:
      "The journal has reached `JOURNAL_MAX_BYTES`: ClickHouse has been taking less than arrives. Nothing was accepted.",
    action: "Keep the events and retry after `Retry-After`.",
  },
  journal_failed: {
    status: 503,
    meaning:
      "The journal cannot be written: the disk is full, read-only or failing, or Redis does not answer. Nothing was accepted.",
    action: "Keep the events and retry after `Retry-After`; the operator sees the reason in `/readyz`.",
  },
  ring_full: {
    status: 503,
    meaning: "More is arriving than the writer takes over at this moment. Nothing was accepted.",
    action: "Retry after `Retry-After`.",
  },
  overloaded: {
    status: 503,
    meaning: "Too many bodies or queries are under way at once. Nothing was accepted.",
    action: "Retry after `Retry-After`.",
  },
  shutting_down: {
    status: 503,
    meaning: "The service is stopping. Nothing was accepted.",
    action: "Retry after `Retry-After`; the next start, or another instance, takes it.",
  },
  too_many_streams: {
    status: 503,
    meaning: "`MAX_STREAMS`, or `MAX_STREAMS_PER_VIEWER`, live streams are open.",
    action: "Close some, or raise the limit.",
  },
  alerts_unavailable: {
    status: 503,
    meaning: "With several instances one decides on alerts: none does at this moment, or it has not answered in time.",
    action: "Retry after `Retry-After`; a takeover lasts a few seconds.",
  },
  clickhouse_unavailable: {
    status: 503,
    meaning: "A reading route needs ClickHouse, which does not answer. Ingestion and the live view go on.",
    action: "Retry after `Retry-After`.",
  },
  query_timeout: {
    status: 504,
    meaning: "The query took longer than reading routes allow.",
    action: "Ask for a shorter range.",
  },
  version_not_supported: {
    status: 505,
    meaning: "The request line names another version than HTTP/1.1 or HTTP/1.0.",
    action: "Speak HTTP/1.1. HTTP/2 is offered over TLS (`TLS_CERT`).",
  },
} as const satisfies Readonly<Record<string, ErrorRow>>;
export type ErrorCode = keyof typeof errors;

/** The HTTP status of each code. */
export const errorStatus = Object.fromEntries(Object.entries(errors).map(([code, { status }]) => [code, status])) as {
  readonly [C in ErrorCode]: (typeof errors)[C]["status"];
};

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
