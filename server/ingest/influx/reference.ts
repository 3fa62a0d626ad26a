import Type from "typebox";
import type { ApiDocument, Operation, Parameter } from "../../reference/document.ts";
import { contentEncoding, idempotencyKey, json, refused, tags } from "../reference.ts";

/** OpenAPI of the routes of Influx line protocol. */

const lineError = Type.Object({
  code: Type.String({ description: "InfluxDB's own word, such as `invalid`" }),
  message: Type.String(),
  error: Type.Union([Type.String(), Type.Object({ code: Type.String(), message: Type.String() })], {
    description: "the message again where lines are bad, as InfluxDB 1.x has it; else this service's error",
  }),
});
const results = Type.Object({ results: Type.Array(Type.Object({ statement_id: Type.Integer() })) });

const query = (name: string, description: string, schema: object = { type: "string" }): Parameter => ({
  name,
  in: "query",
  required: false,
  description,
  schema,
});
const write: NonNullable<Operation["security"]> = [
  { ingestKey: [] },
  { ingestKeyHeader: [] },
  { influxToken: [] },
  { basicKey: [] },
];
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
      tags,
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

export const influxPaths: ApiDocument["paths"] = {
  "/write": lines("Write lines, as InfluxDB 1.x", [
    query("db", "names the device of lines without a device tag"),
    query("rp", "says nothing"),
    query("consistency", "says nothing"),
  ]),
  "/api/v2/write": lines("Write lines, as InfluxDB 2", [
    query("bucket", "names the device of lines without a device tag"),
    query("org", "says nothing"),
    query("orgID", "says nothing"),
    query("bucketID", "says nothing"),
  ]),
  "/api/v3/write_lp": lines("Write lines, as InfluxDB 3", [
    query("db", "names the device of lines without a device tag"),
    query("accept_partial", "`false`: a bad line refuses all of them", { enum: ["true", "false"] }),
    query("no_sync", "says nothing: an answer always means durable"),
  ]),
  "/query": {
    post: {
      summary: "CREATE DATABASE, which clients of InfluxDB 1.x send first",
      tags,
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
      tags,
      security: [],
      responses: { "204": { description: "with `X-Influxdb-Version`" } },
    },
  },
  "/settings": {
    get: {
      summary: "Which line protocol it speaks, as QuestDB answers",
      tags,
      security: [],
      responses: { "200": { description: "version 1", content: json(Type.Object({ config: Type.Object({}) })) } },
    },
  },
  "/health": {
    get: {
      summary: "Whether it takes events, as InfluxDB answers",
      tags,
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
};

export const influxSecurity = {
  influxToken: { type: "apiKey", in: "header", name: "Authorization", description: "`Token` and one of INGEST_KEYS" },
  basicKey: { type: "http", scheme: "basic", description: "the password is one of INGEST_KEYS" },
};
