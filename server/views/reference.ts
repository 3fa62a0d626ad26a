import type { TSchema } from "typebox";
import type { ErrorCode } from "../../contract/error.ts";
import { LinkBody, SharedView, View, ViewBody, ViewLink, Views } from "../../contract/views.ts";
import type { Answer, ApiDocument, Operation, Parameter } from "../reference/document.ts";
import { errorAnswers } from "../reference/error-answers.ts";

/** OpenAPI of saved views and the links to them. */

const path = (name: string, description: string): Parameter => ({
  name,
  in: "path",
  required: true,
  description,
  schema: { type: "string" },
});
const view = path("id", "of the view");
const token = path("token", "of the link");

const json = (schema: TSchema) => ({ "application/json": { schema } });
const found = (status: number, description: string, schema: TSchema): Record<string, Answer> => ({
  [String(status)]: { description, content: json(schema) },
});
const nothing: Record<string, Answer> = { "204": { description: "done" } };
const changing: readonly ErrorCode[] = ["unauthenticated", "forbidden"];
const bodies: readonly ErrorCode[] = [
  "invalid_body",
  "malformed_json",
  "malformed_encoding",
  "unsupported_media_type",
  "body_too_large",
];
const open: Operation["security"] = [];

function operation(
  summary: string,
  parameters: readonly Parameter[],
  answers: Record<string, Answer>,
  codes: readonly ErrorCode[],
  body?: TSchema,
): Operation {
  return {
    summary,
    tags: ["Views"],
    parameters: [...parameters],
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body) } }),
    responses: { ...answers, ...errorAnswers(...codes) },
  };
}

export const viewPaths: ApiDocument["paths"] = {
  "/api/views": {
    get: operation("Saved views", [], found(200, "pinned ones first", Views), changing),
    post: operation("Save a view", [], found(201, "the view", View), [...changing, ...bodies, "conflict"], ViewBody),
  },
  "/api/views/{id}": {
    get: operation("One view", [view], found(200, "the view", View), [...changing, "not_found"]),
    put: operation(
      "Change a view",
      [view],
      found(200, "the view", View),
      [...changing, ...bodies, "not_found"],
      ViewBody,
    ),
    delete: operation("Delete a view, and its links", [view], nothing, [...changing, "not_found"]),
  },
  "/api/views/{id}/links": {
    post: operation(
      "Make a link that shows the view to whoever has it",
      [view],
      found(201, "the link", ViewLink),
      [...changing, ...bodies, "not_found", "conflict"],
      LinkBody,
    ),
  },
  "/api/links/{id}": {
    delete: operation("Revoke a link", [path("id", "of the link")], nothing, [...changing, "not_found"]),
  },
  "/shared/{token}/view": {
    get: {
      ...operation("The view that a link shows", [token], found(200, "the view", SharedView), ["not_found"]),
      description:
        "Below /shared/TOKEN, what the view's `requests` name is answered, with from, to, step, limit, cursor free.",
      security: open,
    },
  },
};
