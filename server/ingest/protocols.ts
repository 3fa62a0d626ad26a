import type { AnyElysia } from "elysia";
import type { Config } from "../config/groups.ts";
import type { ApiDocument } from "../reference/document.ts";
import { influxPaths, influxSecurity } from "./influx/reference.ts";
import { createInfluxRoutes } from "./influx/routes.ts";
import type { Ingest } from "./ingest.ts";
import { otlpPaths } from "./otlp/reference.ts";
import { createOtlpRoutes } from "./otlp/routes.ts";

export interface ProtocolDeps {
  readonly ingest: Pick<Ingest, "handlerOf" | "dropExemplars">;
  /** Why nothing can be accepted now; empty when it can. */
  readonly refusing: () => readonly string[];
}

/** A protocol over HTTP beside our own: a folder here, and a row of `protocols`. */
interface ProtocolRow {
  /** As its formats have it, and /metrics. */
  readonly name: string;
  createRoutes(deps: ProtocolDeps, settings: Config["protocols"]): AnyElysia;
  /** OpenAPI of its routes. */
  readonly paths: ApiDocument["paths"];
  readonly security?: ApiDocument["components"]["securitySchemes"];
}

export const protocols: readonly ProtocolRow[] = [
  {
    name: "influx",
    createRoutes: (deps, { influxDeviceTags: deviceTags }) => createInfluxRoutes(deps, { deviceTags }),
    paths: influxPaths,
    security: influxSecurity,
  },
  {
    name: "otlp",
    createRoutes: ({ ingest }, { otlpDeviceAttributes: deviceAttributes }) =>
      createOtlpRoutes(ingest, { deviceAttributes }),
    paths: otlpPaths,
  },
];

/** The ways in, as /metrics tells them apart. */
export const protocolNames: readonly string[] = ["json", ...protocols.map(({ name }) => name), "mqtt"];
