import type { TSchema } from "typebox";
import type { ErrorCode } from "../../contract/error.ts";
import { Changes, changeKinds, Facets } from "../../contract/fleet.ts";
import { limits } from "../../contract/limits.ts";
import { PartUpdate } from "../../contract/stream.ts";
import type { ApiDocument, Operation, Parameter } from "../reference/document.ts";
import { errorAnswers } from "../reference/error-answers.ts";

/** OpenAPI of the fleet's routes. */

const query = (name: string, description: string, schema: object = { type: "string" }): Parameter => ({
  name,
  in: "query",
  required: false,
  description,
  schema,
});
const whole = (minimum: number, maximum: number, fallback: number): object => ({
  type: "integer",
  minimum,
  maximum,
  default: fallback,
});
const range = [query("from", "start, included"), query("to", "end, excluded; now when not given")];

const reading: readonly ErrorCode[] = [
  "invalid_parameter",
  "unauthenticated",
  "forbidden",
  "query_failed",
  "overloaded",
  "clickhouse_unavailable",
  "query_timeout",
];

function read(summary: string, parameters: readonly Parameter[], schema: TSchema): { get: Operation } {
  return {
    get: {
      summary,
      tags: ["Fleet"],
      parameters: [...parameters],
      responses: {
        "200": { description: summary, content: { "application/json": { schema } } },
        ...errorAnswers(...reading),
      },
    },
  };
}

/** For every route that filters devices by their newest metadata. */
export const metadataParameter = query(
  "meta.*",
  "meta.KEY=VALUE: the newest metadata of the device has this value; the same key again: or this one; an empty value: without the key",
);

export const fleetPaths: ApiDocument["paths"] = {
  "/api/changes": read(
    "What happened to devices, newest first",
    [
      ...range,
      query("kind", "may repeat; without it, what happened to devices one by one", { enum: changeKinds }),
      query("device_id", "of one device"),
      query("fold", "1: a group's change stands for the devices that it is about", { enum: ["0", "1"] }),
      metadataParameter,
      query("limit", "changes of a page", whole(1, limits.pageMax, limits.pageDefault)),
      query("cursor", "from the page before"),
    ],
    Changes,
  ),
  "/api/live": read(
    "The last ten minutes of a part of the fleet, as the stream tells them of the whole",
    [query("limit", "types", whole(1, limits.streamTypesMax, limits.streamTypesDefault)), metadataParameter],
    PartUpdate,
  ),
  "/api/facets": read(
    "What devices have in common: keys of their metadata with the commonest values",
    [
      query("keys", "these keys, separated by commas; without it, those that group devices"),
      query("search", "of devices with this in their id"),
      query("status", "online or silent", { enum: ["online", "silent"] }),
      metadataParameter,
    ],
    Facets,
  ),
};
