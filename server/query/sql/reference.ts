import { SqlAnswer, SqlQuestion } from "../../../contract/sql.ts";
import type { ApiDocument } from "../../reference/document.ts";
import { errorAnswers } from "../../reference/error-answers.ts";

/** OpenAPI of POST /api/sql. */
export const sqlPaths: ApiDocument["paths"] = {
  "/api/sql": {
    post: {
      summary: "Run a SELECT over Sluice's tables",
      description: "Read-only: no SETTINGS, FORMAT or INTO; ten seconds; at most 10,000 rows.",
      tags: ["Read"],
      requestBody: { required: true, content: { "application/json": { schema: SqlQuestion } } },
      responses: {
        "200": {
          description: "rows, as ClickHouse's JSONCompact",
          content: { "application/json": { schema: SqlAnswer } },
        },
        ...errorAnswers(
          "invalid_parameter",
          "invalid_body",
          "malformed_json",
          "malformed_encoding",
          "unsupported_media_type",
          "body_too_large",
          "query_refused",
          "unauthenticated",
          "forbidden",
          "overloaded",
          "clickhouse_unavailable",
          "query_timeout",
        ),
      },
    },
  },
};
