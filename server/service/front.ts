import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import type { AnyElysia } from "elysia";
import type { Log } from "../../base/log.ts";
import { createSessionRoutes } from "../access/session-routes.ts";
import { createApp } from "../app.ts";
import type { Config } from "../config/groups.ts";
import { createFront } from "../http/front.ts";
import type { Listener } from "../http/handler.ts";
import { createListener } from "../http/listener.ts";
import { createIngestRoutes } from "../ingest/ingest-routes.ts";
import { protocols } from "../ingest/protocols.ts";
import { createMetricsRoutes } from "../ops/metrics.ts";
import { createHealthRoutes, createPipelineRoutes } from "../ops/routes.ts";
import { createReader } from "../query/reader.ts";
import { createQueryRoutes } from "../query/routes.ts";
import { createSqlRoutes } from "../query/sql/routes.ts";
import type { SqlRunner } from "../query/sql/sql-runner.ts";
import { createReferenceRoutes } from "../reference/routes.ts";
import { createStorageRoutes } from "../storage/routes.ts";
import type { Store } from "../store/store.ts";
import { createStreamRoutes } from "../stream/stream-routes.ts";
import { createSharedRoutes, viewerOfLink } from "../views/shared-routes.ts";
import { createViewRoutes } from "../views/view-routes.ts";
import { createViewStore } from "../views/view-store.ts";
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
  readonly sql: SqlRunner;
  readonly store: Store;
  readonly version: string;
}

/** The routes of other protocols than our own; an instance that takes no events has none of them. */
function protocolControllers({ parts }: FrontDeps, config: Config): AnyElysia[] {
  if (config.listen.role === "writer") return [];
  const deps = { ingest: parts.ingest, refusing: () => parts.pipeline.readiness().refusing };
  return protocols.map((protocol) => protocol.createRoutes(deps, config.protocols));
}

const pathsOf = (controllers: readonly AnyElysia[]): ReadonlySet<string> =>
  new Set(controllers.flatMap(({ routes }) => routes.map(({ path }) => path)));

/** Saved views, and the links to them. */
function openSharing(
  { parts, doors, store, log }: FrontDeps,
  options: {
    readonly read: (request: Request) => Promise<Response>;
    readonly timeout: Listener["timeout"];
    readonly clientDirectory: string;
  },
) {
  const { hub } = parts;
  const views = createViewStore({ store, now: Date.now });
  const onRevoked = (links: readonly string[]): void => {
    for (const link of links) hub.dismiss(viewerOfLink(link));
  };
  const { read, timeout } = options;
  return {
    views: createViewRoutes({ views, access: doors.access, log, onRevoked }),
    shared: createSharedRoutes({
      views,
      now: Date.now,
      read,
      hub,
      timeout,
      page: join(options.clientDirectory, "index.html"),
    }),
  };
}

/** Every route, and the socket that they are reached by. */
export async function openFront(deps: FrontDeps, config: Config): Promise<Listener> {
  const { listen, logging } = config;
  const { log, parts } = deps;
  const { access, web, tls } = deps.doors;
  // Routes ask the listener about a connection, and it serves them: it is there once the first request is.
  let listener: Listener;
  const timeout: Listener["timeout"] = (request, seconds) => listener.timeout(request, seconds);
  const ingest = createIngestRoutes(parts, listen.role !== "writer");
  const otherProtocols = protocolControllers(deps, config);
  const query = createQueryRoutes({
    clickhouse: deps.reader,
    log,
    now: Date.now,
    starting: () => parts.pipeline.current().starting === true,
    completeTo: parts.storedClock.completeTo,
    fleet: parts.fleet.fleet,
  });
  const clientDirectory = join(import.meta.dir, "../../client/dist");
  const sharing = openSharing(deps, { read: (request) => query.handle(request), timeout, clientDirectory });
  const app = await createApp({
    controllers: [
      createPipelineRoutes(parts),
      createStreamRoutes({ hub: parts.hub, access, timeout }),
      query,
      createSqlRoutes({ runner: deps.sql }),
      createMetricsRoutes(parts),
      createStorageRoutes(
        { reader: createReader({ clickhouse: deps.reader, log }, { queriesMax: 2 }), ...parts },
        { database: config.clickHouse.database, rulesText: config.batching.retentionRules.text },
      ),
      ...parts.alerts.controllers,
      createReferenceRoutes({ version: deps.version }),
    ],
    editingControllers: [...parts.alerts.editingControllers, sharing.views],
    publicControllers: [
      ingest,
      ...otherProtocols,
      sharing.shared,
      createHealthRoutes(parts),
      createSessionRoutes({ access, addressOf: (request) => listener.addressOf(request) }),
    ],
    access,
    clientDirectory,
    log,
  });
  const front = createFront({
    app,
    web,
    devicePaths: pathsOf([ingest]),
    protocolPaths: pathsOf(otherProtocols),
    log,
    requests: parts.requests,
    monotonicNow: () => performance.now(),
    logsRequests: logging.level === "debug",
  });
  listener = createListener(
    { log },
    {
      hostname: listen.host,
      port: listen.port,
      tls,
      idleTimeoutSeconds,
      maxRequestBodySize: bunMaxBodyBytes,
      connectionsMax: listen.connectionsMax,
      fetch: front,
      error: (error) => parts.failed(error),
    },
  );
  return listener;
}
