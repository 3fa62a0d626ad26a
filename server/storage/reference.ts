import { RetentionReport, Storage } from "../../contract/storage.ts";
import type { ApiDocument, Parameter } from "../reference/document.ts";

const error = { "application/json": { schema: { $ref: "#/components/schemas/ErrorAnswer" } } };
const refused = {
  "400": { description: "`invalid_parameter`", content: error },
  "401": { description: "`unauthenticated`", content: error },
  "403": { description: "`forbidden`", content: error },
  "502": { description: "`query_failed`", content: error },
  "503": { description: "`overloaded`, `clickhouse_unavailable`", content: error },
  "504": { description: "`query_timeout`", content: error },
};
const parameter = (name: string, description: string, schema: object): Parameter => ({
  name,
  in: "query",
  required: false,
  description,
  schema,
});

/** OpenAPI of the routes about what is kept. */
export const storagePaths: ApiDocument["paths"] = {
  "/api/storage": {
    get: {
      summary: "What is stored, what a day adds, and what each event type costs",
      tags: ["Operate"],
      responses: {
        "200": { description: "sizes on disk", content: { "application/json": { schema: Storage } } },
        ...refused,
      },
    },
  },
  "/api/retention": {
    get: {
      summary: "How long raw events are kept, and how many are past their time",
      description: "With `rules` or `days` a dry run: how many events other settings would delete. Nothing is changed.",
      tags: ["Operate"],
      parameters: [
        parameter("rules", "as RETENTION: `debug*=3,meta.site:lab=7,temperature=365`", { type: "string" }),
        parameter("days", "as RETENTION_DAYS", { type: "integer", minimum: 1 }),
      ],
      responses: {
        "200": { description: "by rule", content: { "application/json": { schema: RetentionReport } } },
        ...refused,
      },
    },
  },
};
