import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import { createSessionRoutes } from "../access/session-routes.ts";
import { createApp } from "../app.ts";
import type { ListenSettings } from "../config/listen.ts";
import type { ProtocolSettings } from "../config/protocols.ts";
import { compressed } from "../http/compression.ts";
import { errorResponse } from "../http/errors.ts";
import { withHead } from "../http/head.ts";
import { createListener, type Handler, type Listener } from "../http/listener.ts";
import { observeRoute } from "../http/observed-route.ts";
import { revalidated } from "../http/revalidation.ts";
import { createInfluxRoutes } from "../ingest/influx/routes.ts";
import { createOtlpRoutes } from "../ingest/otlp/routes.ts";
import { createMetricsRoutes } from "../ops/metrics.ts";
import { createHealthRoutes, createPipelineRoutes } from "../ops/routes.ts";
import { createQueryRoutes } from "../query/routes.ts";
import { createReferenceRoutes } from "../reference/routes.ts";
import type { Doors } from "./open-access.ts";
import type { Parts } from "./parts.ts";

/** Our own limits answer in the one error shape; Bun's comes far behind them. */
const bunMaxBodyBytes = 2 ** 40;
const idleTimeoutSeconds = 60;

export interface FrontDeps {
  readonly log: Log;
  readonly parts: Parts;
  readonly doors: Doors;
  readonly reader: ClickHouseClient;
  readonly version: string;
  readonly protocols: ProtocolSettings;
}

/** The routes of other protocols than our own; an instance that takes no events has none of them. */
function protocolRoutes({ parts, doors, protocols }: FrontDeps, { role }: ListenSettings): Record<string, Handler> {
  if (role === "writer") return {};
  const refusing = () => parts.pipeline.readiness().refusing;
  const routes = {
    ...createInfluxRoutes({ ingest: parts.ingest, refusing }, { deviceTags: protocols.influxDeviceTags }),
    ...createOtlpRoutes(parts.ingest, { deviceAttributes: protocols.otlpDeviceAttributes }),
  };
  return Object.fromEntries(Object.entries(routes).map(([path, handle]) => [path, doors.web.protocolRoute(handle)]));
}

/** Every route, and the socket that they are reached by. */
export async function openFront(deps: FrontDeps, settings: ListenSettings): Promise<Listener> {
  const { log, parts } = deps;
  const { access, web, tls } = deps.doors;
  const app = await createApp({
    controllers: [
      createPipelineRoutes(parts),
      createQueryRoutes({ clickhouse: deps.reader, log, now: Date.now }),
      createMetricsRoutes(parts),
      createReferenceRoutes({ version: deps.version }),
    ],
    editingControllers: [],
    publicControllers: [
      createHealthRoutes(parts),
      createSessionRoutes({ access, addressOf: (request) => listener.addressOf(request) }),
    ],
    access,
    clientDirectory: join(import.meta.dir, "../../client/dist"),
    log,
  });
  const route = (handle: Handler): Handler =>
    observeRoute({ log, requests: parts.requests, now: () => performance.now() }, web.route(handle));
  const listener = createListener(
    { log },
    {
      hostname: settings.host,
      port: settings.port,
      tls,
      idleTimeoutSeconds,
      maxRequestBodySize: bunMaxBodyBytes,
      // The hot routes stand in front of Elysia.
      routes: {
        ...protocolRoutes(deps, settings),
        "/ingest": web.ingestRoute(async (request) =>
          settings.role === "writer"
            ? errorResponse("not_found", "this instance takes no events (ROLE=writer)")
            : parts.ingest.handle(request),
        ),
        "/dashboard-stream": route((request, serving) => {
          const viewer = access.viewer(request);
          return viewer instanceof Response ? viewer : parts.hub.handle(request, serving, viewer.name);
        }),
      },
      fetch: route(withHead(async (request) => compressed(request, revalidated(request, await app.fetch(request))))),
      error: (error) => parts.failed(error),
    },
  );
  return listener;
}
