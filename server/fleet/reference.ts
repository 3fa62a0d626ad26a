import type { TSchema } from "typebox";
import { Changes, Facets } from "../../contract/fleet.ts";
import { PartUpdate } from "../../contract/stream.ts";
import { changesParameters } from "../query/changes.ts";
import { facetParameters } from "../query/devices.ts";
import { livePartParameters } from "../query/live-part.ts";
import { describeParameters, type ParameterTable } from "../query/parameters.ts";
import type { ApiDocument, Operation } from "../reference/document.ts";
import { errorAnswers, readingErrors } from "../reference/error-answers.ts";

/** OpenAPI of the fleet's routes. */

function read(summary: string, parameters: ParameterTable, schema: TSchema): { get: Operation } {
  return {
    get: {
      summary,
      tags: ["Fleet"],
      parameters: describeParameters(parameters),
      responses: {
        "200": { description: summary, content: { "application/json": { schema } } },
        ...errorAnswers(...readingErrors),
      },
    },
  };
}

export const fleetPaths: ApiDocument["paths"] = {
  "/api/changes": read("What happened to devices, newest first", changesParameters, Changes),
  "/api/live": read(
    "The last ten minutes of a part of the fleet, as the stream tells them of the whole",
    livePartParameters,
    PartUpdate,
  ),
  "/api/facets": read(
    "What devices have in common: keys of their metadata with the commonest values",
    facetParameters,
    Facets,
  ),
};
