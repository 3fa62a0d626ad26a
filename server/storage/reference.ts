import { RetentionReport, Storage } from "../../contract/storage.ts";
import { describeParameters } from "../query/parameters.ts";
import type { ApiDocument } from "../reference/document.ts";
import { errorAnswers, readingErrors } from "../reference/error-answers.ts";
import { retentionParameters } from "./routes.ts";

/** OpenAPI of the routes about what is kept. */
export const storagePaths: ApiDocument["paths"] = {
  "/api/storage": {
    get: {
      summary: "What is stored, what a day adds, and what each event type costs",
      tags: ["Operate"],
      responses: {
        "200": { description: "sizes on disk", content: { "application/json": { schema: Storage } } },
        ...errorAnswers(...readingErrors),
      },
    },
  },
  "/api/retention": {
    get: {
      summary: "How long raw events are kept, and how many are past their time",
      description: "With `rules` or `days` a dry run: how many events other settings would delete. Nothing is changed.",
      tags: ["Operate"],
      parameters: describeParameters(retentionParameters),
      responses: {
        "200": { description: "by rule", content: { "application/json": { schema: RetentionReport } } },
        ...errorAnswers(...readingErrors),
      },
    },
  },
};
