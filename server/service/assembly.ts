import type { ClickHouseClient } from "@clickhouse/client";
import { diskSpace } from "../../base/disk-space.ts";
import type { Log } from "../../base/log.ts";
import type { Update } from "../../contract/stream.ts";
import { longestDays } from "../../ddl/retention.ts";
import { startWriter, type WriterClient } from "../../workers/client.ts";
import type { EmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import type { WriterOptions } from "../../workers/protocol.ts";
import { createRingMemory } from "../../workers/ring/ring.ts";
import type { AccessControl } from "../access/access.ts";
import { addAlertMetrics } from "../alerts/metrics.ts";
import type { Config } from "../config/groups.ts";
import { errorResponse } from "../http/errors.ts";
import { RequestFigures } from "../http/request-metrics.ts";
import { createIngest, type Ingest } from "../ingest/ingest.ts";
import { addMqttMetrics } from "../ingest/mqtt/metrics.ts";
import { createMqtt, type Mqtt } from "../ingest/mqtt/mqtt.ts";
import { type Aggregator, createAggregator } from "../live-view/aggregator.ts";
import { createDeviceReader } from "../live-view/device-reader.ts";
import { shardEpochs } from "../live-view/epoch.ts";
import { createRecoveredFold } from "../live-view/recovered-rows.ts";
import { buildRollupQuery } from "../live-view/stored-window.ts";
import { createPartsReader } from "../ops/engine-parts.ts";
import { createMetrics } from "../ops/metrics.ts";
import { createPipelineState } from "../ops/pipeline.ts";
import type { Store } from "../store/store.ts";
import { createStreamHub } from "../stream/hub.ts";
import type { DataDirectory } from "./data-directory.ts";
import { createEpochClock } from "./epoch-clock.ts";
import { createLiveTicker } from "./live-ticker.ts";
import { type LiveFleet, openFleet } from "./open-fleet.ts";
import { openLiveAlerts } from "./open-live-alerts.ts";
import { openRetention, retentionOf } from "./open-retention.ts";
import type { Instances, Parts } from "./parts.ts";
import { createStoredClock } from "./stored-clock.ts";
import { createWriterReports } from "./writer-reports.ts";

/** Devices of other instances come from ClickHouse only. */
const sharedDevicesRefreshMs = 3_000;

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

/** Makes the parts and connects them. They need each other in circles: the closures below are called later than this turn. */
export function assembleParts(deps: AssemblyDeps, config: Config): Parts {
  const { log, access, reader, version } = deps;
  const failed = createFailure(log);
  const requests = new RequestFigures();
  const instances: Instances = { share: null, lead: null, counts: null };
  const reports = createWriterReports({ ...deps, parts: () => parts });
  const writer = startWriter(writerOptions(config, deps.directory, deps.instance), reports);
  const fleet = openFleet(
    {
      log,
      client: reader,
      receipts: () => aggregator.receipts,
      hub: () => hub,
      accepting: () => pipeline.readiness().refusing.length === 0,
      storeLagMs: config.redis.url === null ? null : () => 1000 * pipeline.current().store_lag_seconds,
      leads: () => config.redis.url === null || instances.lead?.leads() === true,
    },
    config.clickHouse,
  );
  const aggregator = createLiveAggregator({ log, reader, writer, instances, fleet }, config);
  const foldRecovered = createRecoveredFold({
    foldRows: (epoch, rows) => aggregator.foldRows(epoch, rows),
    taken: () => writer.recoveredTaken(),
  });
  const counts = () => ingest.counts;
  const ring = () => writer.ring;
  const pipeline = createPipelineState(
    {
      counts,
      ring,
      fleet: () => instances.counts,
      streams: () => hub.stats.streams,
      closing: deps.closing,
      mqtt: () => mqtt,
      parts: createPartsReader(reader, config.clickHouse.database),
      now: Date.now,
    },
    { ...config.storage, deadLetterDirectory: deps.directory.deadLetters, version },
  );
  const storedClock = createStoredClock({
    now: Date.now,
    pending() {
      const { accepted, durable, pending } = pipeline.current();
      return pending + accepted - durable;
    },
    lagMs: () => 1000 * pipeline.current().store_lag_seconds,
  });
  const sweep = openRetention({ log, reader }, config);
  const metrics = createMetrics(
    {
      pipeline,
      sweep,
      counts,
      ring,
      streams: () => hub.stats,
      diskSpace: () => diskSpace(deps.directory.path),
      requests,
      refusals: access.refusals,
    },
    { version },
  );
  const hub = createStreamHub(
    {
      now: Date.now,
      random: Math.random,
      buildUpdate: (limit) => withFleet(aggregator.buildUpdate(limit, pipeline.current()), { aggregator, fleet }),
      buildAlerts: () => alerts.update(),
    },
    config.liveView,
  );
  const ticker = createLiveTicker(
    { aggregator, fleet, hub, share: () => instances.share },
    config.liveView.streamIntervalMs,
  );
  const epochs = createEpochClock(
    {
      closeEpoch: () => aggregator.closeEpoch(),
      onClosed(epoch) {
        storedClock.closed(epoch);
        writer.ring.closeEpoch(epoch);
      },
    },
    { ...config.liveView, ...config.batching },
  );
  const alerts = openLiveAlerts({ ...deps, fleet, pipeline, counts, onChange: () => hub.alertsChanged() }, config);
  addAlertMetrics(metrics.registry, alerts);
  const ingest = createIngest(
    {
      access,
      writer,
      aggregator,
      watch: hub,
      tap: alerts.tap,
      now: Date.now,
      onAccepted: (rows) => epochs.written(rows),
      sharedKeys: () => instances.share,
    },
    { ...config.limits, journalMaxBytes: config.storage.journalMaxBytes, retention: retentionOf(config) },
  );
  const mqtt = openMqtt({ log, ingest }, config, deps.directory.deadLetters);
  if (mqtt !== null) addMqttMetrics(metrics.registry, mqtt);
  const live = { aggregator, fleet, storedClock, foldRecovered, hub, ticker, epochs };
  const parts: Parts = {
    sweep,
    diskSpace: () => (deps.embedded === undefined ? null : diskSpace(deps.directory.path)),
    ...live,
    alerts,
    writer,
    ingest,
    mqtt,
    pipeline,
    metrics,
    requests,
    instances,
    failed,
  };
  return parts;
}

function openMqtt(
  deps: { readonly log: Log; readonly ingest: Ingest },
  { protocols, storage, limits, access, listen }: Config,
  deadLetterDirectory: string,
): Mqtt | null {
  if (protocols.mqttUrl === null || listen.role === "writer") return null;
  return createMqtt(
    { ...deps, now: Date.now, monotonicNow: () => performance.now(), random: Math.random },
    {
      url: protocols.mqttUrl,
      templates: protocols.mqttTemplates,
      qos: protocols.mqttQos,
      clientId: protocols.mqttClientId,
      group: protocols.mqttGroup,
      deadLetterDirectory,
      deadLetterMaxBytes: storage.deadLetterMaxBytes,
      maxBodyBytes: limits.maxBodyBytes,
      rateLimitEvents: access.rateLimitEvents,
    },
  );
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

function createLiveAggregator(
  deps: Pick<AssemblyDeps, "log" | "reader"> & {
    readonly writer: WriterClient;
    readonly instances: Instances;
    readonly fleet: LiveFleet;
  },
  { clickHouse, liveView, redis }: Config,
): Aggregator {
  return createAggregator(
    {
      now: Date.now,
      monotonicNow: () => performance.now(),
      async queryStored(ranges) {
        const table = `\`${clickHouse.database}\`.telemetry_1s`;
        const answer = await deps.writer.query(buildRollupQuery(ranges, table));
        return answer.ok ? { ...answer, storedEpochs: shardEpochs(answer.storedEpochs) } : answer;
      },
      ...createDeviceReader(deps.reader),
      deviceListener: deps.fleet.fleet.listener,
      onError: (error) => deps.log("error", "a rollup answer was not understood", { error: String(error) }),
      onPending: (shard, epoch, cells) => deps.instances.share?.pending(shard, epoch, cells),
    },
    { ...liveView, ...(redis.url === null ? {} : { devicesRefreshMs: sharedDevicesRefreshMs }) },
  );
}

/** The stream's figures of events and of devices come from two parts. */
function withFleet(
  update: Update,
  { aggregator, fleet }: { readonly aggregator: Aggregator; readonly fleet: LiveFleet },
): Update {
  const { totals } = fleet.fleet;
  const devices = totals ?? { online: 0, silent: 0, became_silent: 0, new_devices: 0 };
  return { ...update, totals: { ...update.totals, ...devices, complete: aggregator.complete && totals !== null } };
}

function createFailure(log: Log): Parts["failed"] {
  return (error) => {
    log("error", "a request failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return errorResponse("internal", "this is our fault; the log has the details");
  };
}
