import type { ClickHouseClient } from "@clickhouse/client";
import { diskSpace } from "../../base/disk-space.ts";
import type { Log } from "../../base/log.ts";
import { longestDays } from "../../ddl/retention.ts";
import { startWriter } from "../../workers/client.ts";
import type { EmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import type { WriterOptions } from "../../workers/protocol.ts";
import { createRingMemory } from "../../workers/ring/ring.ts";
import type { AccessControl } from "../access/access.ts";
import { addAlertMetrics } from "../alerts/metrics.ts";
import type { Config } from "../config/groups.ts";
import { internalError } from "../http/errors.ts";
import { RequestFigures } from "../http/request-metrics.ts";
import { addMqttMetrics } from "../ingest/mqtt/metrics.ts";
import type { Store } from "../store/store.ts";
import type { DataDirectory } from "./data-directory.ts";
import { openFleet } from "./open-fleet.ts";
import { openIntake } from "./open-intake.ts";
import { openLiveAlerts } from "./open-live-alerts.ts";
import { openLiveView } from "./open-live-view.ts";
import { openOperations } from "./open-operations.ts";
import type { Instances, Parts } from "./parts.ts";
import { createWriterReports } from "./writer-reports.ts";

export interface AssemblyDeps {
  readonly log: Log;
  readonly onFailed: () => void;
  readonly access: AccessControl;
  readonly reader: ClickHouseClient;
  /** Undefined with an external ClickHouse. */
  readonly embedded: EmbeddedClickHouse | undefined;
  readonly directory: DataDirectory;
  readonly store: Store;
  /** No more events are taken. */
  readonly closing: () => boolean;
  /** This process among those that share a journal. */
  readonly instance: string;
  readonly version: string;
}

/**
 * Makes the parts and connects them. They need each other in circles: whoever is made before what it needs gets `parts`,
 * which is called later than this turn.
 */
export function assembleParts(deps: AssemblyDeps, config: Config): Parts {
  const { log, reader, directory } = deps;
  const parts = (): Parts => made;
  const requests = new RequestFigures();
  const instances: Instances = { share: null, lead: null, counts: null };
  const writer = startWriter(writerOptions(config, directory, deps.instance), createWriterReports({ ...deps, parts }));
  const isAlone = config.redis.url === null;
  const fleet = openFleet(
    {
      log,
      client: reader,
      receipts: () => parts().aggregator.receipts,
      hub: () => parts().hub,
      accepting: () => parts().pipeline.readiness().refusing.length === 0,
      storeLagMs: isAlone ? null : () => 1000 * parts().pipeline.current().store_lag_seconds,
      leads: () => isAlone || instances.lead?.leads() === true,
    },
    config.clickHouse,
  );
  const live = openLiveView({ ...deps, writer, instances, fleet, parts }, config);
  const operations = openOperations({ ...deps, requests, instances, parts }, config);
  const { pipeline, metrics } = operations;
  const counts = () => parts().ingest.counts;
  const onChange = () => live.hub.alertsChanged();
  const alerts = openLiveAlerts({ ...deps, fleet, pipeline, counts, onChange }, config);
  addAlertMetrics(metrics.registry, alerts);
  const { deadLetters: deadLetterDirectory } = directory;
  const intake = openIntake({ ...deps, ...live, writer, alerts, instances, deadLetterDirectory }, config);
  if (intake.mqtt !== null) addMqttMetrics(metrics.registry, intake.mqtt);
  const made: Parts = {
    ...live,
    ...operations,
    ...intake,
    writer,
    fleet,
    alerts,
    requests,
    instances,
    diskSpace: () => (deps.embedded === undefined ? null : diskSpace(directory.path)),
    failed: createFailure(log),
  };
  return made;
}

function writerOptions(
  { storage, limits, batching, clickHouse, redis, listen }: Config,
  directory: DataDirectory,
  instance: string,
) {
  return {
    ...batching,
    retentionDays: longestDays({ days: batching.retentionDays, rules: batching.retentionRules.rules }),
    ring: createRingMemory(limits.ringBytes),
    dataDirectory: directory.path,
    diskReserveBytes: clickHouse.urls === null ? storage.diskReserveBytes : null,
    journalDirectory: directory.journal,
    journalMaxBytes: storage.journalMaxBytes,
    deadLetterDirectory: directory.deadLetters,
    deadLetterMaxBytes: storage.deadLetterMaxBytes,
    redis:
      redis.url === null ? null : { url: redis.url, instance, shards: redis.shards, inserts: listen.role !== "ingest" },
  } satisfies WriterOptions;
}

function createFailure(log: Log): Parts["failed"] {
  return (error) => {
    log("error", "a request failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return internalError();
  };
}
