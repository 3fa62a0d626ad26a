import Type, { type TSchema } from "typebox";
import { type ErrorCode, errorStatus } from "../../contract/error.ts";
import type { Answer, ApiDocument, Content, Operation, Parameter } from "../reference/document.ts";

/** OpenAPI of the routes of other protocols. */

const lineError = Type.Object({
  code: Type.String({ description: "InfluxDB's own word, such as `invalid`" }),
  message: Type.String(),
  error: Type.Union([Type.String(), Type.Object({ code: Type.String(), message: Type.String() })], {
    description: "the message again where lines are bad, as InfluxDB 1.x has it; else this service's error",
  }),
});
const statusSchema = Type.Object(
  { code: Type.Integer(), message: Type.String(), error: Type.Object({ code: Type.String(), message: Type.String() }) },
  { description: "google.rpc.Status, and this service's error" },
);
const results = Type.Object({ results: Type.Array(Type.Object({ statement_id: Type.Integer() })) });

const json = (schema: TSchema): Content => ({ "application/json": { schema } });
const query = (name: string, description: string, schema: object = { type: "string" }): Parameter => ({
  name,
  in: "query",
  required: false,
  description,
  schema,
});
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

function refused(content: Content, ...codes: ErrorCode[]): Record<string, Answer> {
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

const write: NonNullable<Operation["security"]> = [
  { ingestKey: [] },
  { ingestKeyHeader: [] },
  { influxToken: [] },
  { basicKey: [] },
];
const contentEncoding: Parameter = {
  name: "Content-Encoding",
  in: "header",
  required: false,
  description: "of the body",
  schema: { enum: ["gzip", "zstd", "identity"] },
};
const idempotencyKey: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "as on /ingest; without one, a body whose lines or points all have times is its own key",
  schema: { type: "string", minLength: 1, maxLength: 128 },
};
const precision = query("precision", "unit of the times", {
  enum: ["n", "ns", "u", "us", "ms", "s", "m", "h", "auto"],
});
const credentials = [query("u", "says nothing"), query("p", "an ingest key")];

function lines(summary: string, parameters: readonly Parameter[]): { post: Operation } {
  return {
    post: {
      summary,
      description:
        "Influx line protocol. Each field is an event. Good lines are stored whatever the others are; bad ones are named by number.",
      tags: ["Write: other protocols"],
      security: write,
      parameters: [...parameters, precision, ...credentials, contentEncoding, idempotencyKey],
      requestBody: { required: true, content: { "text/plain": { schema: { type: "string" } } } },
      responses: {
        "204": { description: "every line is durable" },
        ...refused(json(lineError), "malformed_request", "malformed_encoding", "invalid_parameter"),
        "400": {
          description: "lines are bad: `partial write: …` with the good ones durable, or none was good",
          content: json(lineError),
        },
      },
    },
  };
}

function otlp(summary: string, message: string): { post: Operation } {
  const content: Content = {
    "application/x-protobuf": { schema: { type: "string", format: "binary", description: message } },
    "application/json": { schema: { type: "object", description: `${message} in OTLP's JSON` } },
  };
  return {
    post: {
      summary,
      description: "OTLP over HTTP. The answer has the request's encoding; refused points are in `partial_success`.",
      tags: ["Write: other protocols"],
      security: [{ ingestKey: [] }, { ingestKeyHeader: [] }],
      parameters: [contentEncoding, idempotencyKey],
      requestBody: { required: true, content },
      responses: {
        "200": { description: "every point that `partial_success` does not refuse is durable", content },
        ...refused(
          json(statusSchema),
          "malformed_request",
          "malformed_encoding",
          "invalid_parameter",
          "unsupported_media_type",
        ),
      },
    },
  };
}

const named = (name: string, description: string): Parameter => query(name, description);

export const protocolPaths: ApiDocument["paths"] = {
  "/write": lines("Write lines, as InfluxDB 1.x", [
    named("db", "names the device of lines without a device tag"),
    named("rp", "says nothing"),
    named("consistency", "says nothing"),
  ]),
  "/api/v2/write": lines("Write lines, as InfluxDB 2", [
    named("bucket", "names the device of lines without a device tag"),
    named("org", "says nothing"),
    named("orgID", "says nothing"),
    named("bucketID", "says nothing"),
  ]),
  "/api/v3/write_lp": lines("Write lines, as InfluxDB 3", [
    named("db", "names the device of lines without a device tag"),
    query("accept_partial", "`false`: a bad line refuses all of them", { enum: ["true", "false"] }),
    named("no_sync", "says nothing: an answer always means durable"),
  ]),
  "/query": {
    post: {
      summary: "CREATE DATABASE, which clients of InfluxDB 1.x send first",
      tags: ["Write: other protocols"],
      security: write,
      parameters: [query("q", "the query; or in a form body")],
      responses: {
        "200": { description: "there is nothing to create", content: json(results) },
        ...refused(json(lineError), "malformed_request"),
      },
    },
  },
  "/ping": {
    get: {
      summary: "Whether it is alive, as InfluxDB answers",
      tags: ["Write: other protocols"],
      security: [],
      responses: { "204": { description: "with `X-Influxdb-Version`" } },
    },
  },
  "/settings": {
    get: {
      summary: "Which line protocol it speaks, as QuestDB answers",
      tags: ["Write: other protocols"],
      security: [],
      responses: { "200": { description: "version 1", content: json(Type.Object({ config: Type.Object({}) })) } },
    },
  },
  "/health": {
    get: {
      summary: "Whether it takes events, as InfluxDB answers",
      tags: ["Write: other protocols"],
      security: [],
      responses: {
        "200": { description: "it does", content: json(Type.Object({ status: Type.Literal("pass") })) },
        "503": {
          description: "it does not, and why",
          content: json(Type.Object({ status: Type.Literal("fail"), message: Type.String() })),
        },
      },
    },
  },
  "/v1/metrics": otlp("Write metrics of OpenTelemetry", "ExportMetricsServiceRequest"),
  "/v1/logs": otlp("Write logs of OpenTelemetry", "ExportLogsServiceRequest"),
};

export const protocolSecurity = {
  influxToken: { type: "apiKey", in: "header", name: "Authorization", description: "`Token` and one of INGEST_KEYS" },
  basicKey: { type: "http", scheme: "basic", description: "the password is one of INGEST_KEYS" },
};
