import type { ClickHouseClient } from "@clickhouse/client";
import { Elysia } from "elysia";
import type { Log } from "../../base/log.ts";
import { createChangeRoutes } from "./changes.ts";
import { createDeviceRoutes, type DeviceRoutesDeps } from "./devices.ts";
import { createEventRoutes } from "./events.ts";
import { createHistoryRoutes } from "./history.ts";
import { createLivePartRoutes } from "./live-part.ts";
import { createReader, type ReaderDeps, type ReaderOptions } from "./reader.ts";

export interface QueryRoutesDeps {
  /** Its default database holds Sluice's tables. */
  clickhouse: ClickHouseClient;
  /** Epoch milliseconds. */
  now: () => number;
  log: Log;
  /** Default: never. */
  starting?: NonNullable<ReaderDeps["starting"]>;
  /** Default: now. */
  completeTo?: DeviceRoutesDeps["completeTo"];
  /** Default: nothing is known beside what ClickHouse has. */
  fleet?: DeviceRoutesDeps["fleet"];
}

const noFleet: DeviceRoutesDeps["fleet"] = { find: () => null, volatileKeys: new Set(), roll: null };

/**
 * The reading routes of INTERFACE, "Reading back": history, event types, devices, events. They only read, under limits of
 * time, memory, rows and number; every value of a request is bound, never spliced.
 *
 * @example
 * const app = new Elysia().use(createQueryRoutes({ clickhouse, now: Date.now, log }));
 */
export function createQueryRoutes(deps: QueryRoutesDeps, options: ReaderOptions = {}) {
  const reader = createReader(deps, options);
  const { completeTo = deps.now, fleet = noFleet } = deps;
  return new Elysia({ name: "query" })
    .use(createHistoryRoutes({ reader, now: deps.now, completeTo }))
    .use(createDeviceRoutes({ reader, completeTo, fleet }))
    .use(createEventRoutes({ reader }))
    .use(createLivePartRoutes({ reader, completeTo, fleet }))
    .use(createChangeRoutes({ reader, now: deps.now }));
}
