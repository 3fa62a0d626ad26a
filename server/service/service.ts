import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { lockDirectory } from "../../base/directory-lock.ts";
import type { Log } from "../../base/log.ts";
import packageJson from "../../package.json" with { type: "json" };
import { connectClickHouse } from "../../workers/clickhouse-client.ts";
import { startWriter } from "../../workers/client.ts";
import { createRingMemory } from "../../workers/ring/ring.ts";
import { createAccess } from "../access/access.ts";
import { createSessionRoutes } from "../access/session-routes.ts";
import { openSessions } from "../access/sessions.ts";
import { createWeb } from "../access/web.ts";
import { createApp } from "../app.ts";
import { type Config, ConfigError, isLoopback, withoutCredentials } from "../config/config.ts";
import { compressed } from "../http/compression.ts";
import { errorResponse } from "../http/errors.ts";
import { withHead } from "../http/head.ts";
import { checkCertificate, createListener, type Handler } from "../http/listener.ts";
import { observeRoute } from "../http/observed-route.ts";
import { requestIdOf } from "../http/request-id.ts";
import { RequestFigures } from "../http/request-metrics.ts";
import { revalidated } from "../http/revalidation.ts";
import { createIngest } from "../ingest/ingest.ts";
import { createAggregator } from "../live-view/aggregator.ts";
import { createDeviceReader } from "../live-view/device-reader.ts";
import { createRecoveredFold } from "../live-view/recovered-rows.ts";
import type { Share } from "../live-view/shared/share.ts";
import { buildRollupQuery } from "../live-view/stored-window.ts";
import { otherTypeName } from "../live-view/type-table.ts";
import { createPartsReader } from "../ops/engine-parts.ts";
import { createMetrics, createMetricsRoutes } from "../ops/metrics.ts";
import { createPipelineState, type FleetCounts } from "../ops/pipeline.ts";
import { createHealthRoutes, createPipelineRoutes } from "../ops/routes.ts";
import { createQueryRoutes } from "../query/routes.ts";
import { createReferenceRoutes } from "../reference/routes.ts";
import { createStreamHub } from "../stream/hub.ts";
import { createTicker } from "../stream/ticker.ts";
import { openClickHouse } from "./open-clickhouse.ts";

/** An epoch is closed at least this often, however long the stream's interval: batches end between epochs. */
const epochMaxMs = 100;
/** Rows after which an epoch is closed at once; keeps batches close to BATCH_SIZE. */
const epochMaxRows = 65_536;
const queryTimeoutMs = 20_000;
/** Devices of other instances come from ClickHouse only. */
const sharedDevicesRefreshMs = 3_000;
/** Our own limits answer in the one error shape; Bun's comes far behind them. */
const bunMaxBodyBytes = 2 ** 40;
const idleTimeoutSeconds = 60;
/** The embedded engine gets this long to end, even when flushing took all of SHUTDOWN_TIMEOUT. */
const engineStopMinMs = 1_000;

export interface Service {
  /** Takes no more events, flushes within SHUTDOWN_TIMEOUT, ends everything. Later calls change nothing. */
  stop(why: string): Promise<void>;
  /** Reads the files of keys and the certificate again. */
  reload(): void;
}

export interface ServiceDeps {
  readonly log: Log;
  /** It cannot go on: a restart recovers from the journal. */
  readonly onFailed: () => void;
  /** A setting turned out to be unusable after the start. */
  readonly onUnusable: (reason: string) => void;
}

/**
 * The composition root: starts the parts, connects them, recovers what an earlier run left, listens. Resolves once events are
 * taken; throws `ConfigError` where a setting cannot be used.
 */
export async function startService(deps: ServiceDeps, config: Config): Promise<Service> {
  const { log } = deps;
  const dataDirectory = resolve(config.DATA_DIR);
  try {
    mkdirSync(dataDirectory, { recursive: true });
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ConfigError(`DATA_DIR=${config.DATA_DIR}: cannot be made (${why}); allowed is a directory`);
  }
  const lock = lockDirectory(dataDirectory);
  if (!lock.ok) throw new ConfigError(`DATA_DIR=${config.DATA_DIR}: ${lock.reason}`);
  const { release } = lock;
  const tls = config.TLS_CERT === "" ? null : { certFile: config.TLS_CERT, keyFile: config.TLS_KEY };
  checkCertificate(tls);
  const access = createAccess(
    {
      log,
      sessions: openSessions(
        { now: Date.now },
        { directory: join(dataDirectory, "access"), lifetimeMs: config.SESSION_LIFETIME },
      ),
      monotonicMs: () => performance.now(),
    },
    {
      ingestKeys: config.INGEST_KEYS,
      viewerKeys: config.VIEWER_KEYS,
      editorKeys: config.EDITOR_KEYS,
      rateLimitEvents: config.RATE_LIMIT_EVENTS,
      secure: tls !== null,
    },
  );
  const isPrivate = isLoopback(config.HOST) && !config.ALLOW_ANONYMOUS;
  const web = createWeb({
    corsOrigins: config.CORS_ORIGINS,
    secure: tls !== null,
    loopbackOnly: isPrivate && !access.viewersNeeded,
    ingestLoopbackOnly: isPrivate && config.INGEST_KEYS === "",
  });
  const { address, embedded } = await openClickHouse(deps, config, dataDirectory);
  const reader = connectClickHouse(address, {
    url: address.urls[0] as string,
    database: config.CLICKHOUSE_DB,
    requestTimeoutMs: queryTimeoutMs,
  });
  const deadLetterDirectory = join(dataDirectory, "dead-letter");
  let closing = false;
  let pipelineChanged = true;
  /** This process among those that share a journal. */
  const instance = crypto.randomUUID();
  let fleet: FleetCounts | null = null;
  let share: Share | null = null;

  // The parts are made first and connected through closures: the writer thread reports nothing before this turn ends.
  const writer = startWriter(
    {
      ring: createRingMemory(config.RING_BYTES),
      journalDirectory: join(dataDirectory, "journal"),
      journalMaxBytes: config.JOURNAL_MAX_BYTES,
      deadLetterDirectory,
      deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
      batchRows: config.BATCH_SIZE,
      segmentMaxBytes: config.SEGMENT_MAX_BYTES,
      flushIntervalMs: config.FLUSH_INTERVAL,
      segmentMaxAgeMs: config.SEGMENT_MAX_AGE,
      insertTimeoutMs: config.INSERT_TIMEOUT,
      retentionDays: config.RETENTION_DAYS,
      redis:
        config.REDIS_URL === null
          ? null
          : { url: config.REDIS_URL, instance, shards: config.REDIS_SHARDS, inserts: config.ROLE !== "ingest" },
    },
    {
      failed(message) {
        log("error", "the writer thread failed; stopping, so that a restart recovers the journal", {
          error: message.message,
        });
        deps.onFailed();
      },
      durable(message) {
        ingest.durable(message.rows, message.cuts);
        ticker.touch();
      },
      refused: (message) => ingest.refused(message.rows, message.reason, message.message),
      sealed: (message) => writer.sealedGroups(aggregator.sealed(message.epoch)),
      backlog: (message) => embedded?.setBacklog(message.batches),
      stored(message) {
        pipeline.stored(message.batch);
        metrics.stored(message.batch);
        // With Redis `fleet` tells what is stored, by whomever.
        if (message.epoch > 0) {
          aggregator.stored(message.epoch);
          ingest.stored(message.epoch, message.batch.deadLettered === 0);
        }
        pipelineChanged = true;
        ticker.touch();
      },
      away: (message) => ingest.away(message.reason),
      fleet(message) {
        const { durable, stored, deadLettered } = message;
        const before = fleet;
        fleet = { durable, stored, deadLettered };
        aggregator.stored(message.storedCuts);
        share?.stored(message.storedCuts);
        ingest.stored(message.settledEpoch, before?.deadLettered === deadLettered);
        if (before?.durable === durable && before.stored === stored) return;
        pipelineChanged = true;
        ticker.touch();
      },
      recovered_rows: (message) => foldRecovered(message),
      status(message) {
        pipeline.status(message.status);
        pipelineChanged = true;
        ticker.touch();
      },
      log: (message) => log(message.level, message.message, message.fields),
    },
  );

  const aggregator = createAggregator(
    {
      now: Date.now,
      monotonicNow: () => performance.now(),
      queryStored: (ranges) => writer.query(buildRollupQuery(ranges, `\`${config.CLICKHOUSE_DB}\`.telemetry_1s`)),
      ...createDeviceReader(reader),
      onError: (error) => log("error", "a rollup answer was not understood", { error: String(error) }),
      onPending: (lane, epoch, cells) => share?.pending(lane, epoch, cells),
    },
    {
      eventTypesMax: config.MAX_EVENT_TYPES,
      aggregationIntervalMs: config.AGGREGATION_INTERVAL,
      ...(config.REDIS_URL === null ? {} : { devicesRefreshMs: sharedDevicesRefreshMs }),
    },
  );

  const foldRecovered = createRecoveredFold({
    foldRows: (epoch, rows) => aggregator.foldRows(epoch, rows),
    taken: () => writer.recoveredTaken(),
  });

  const pipeline = createPipelineState(
    {
      counts: () => ingest.counts,
      fleet: () => fleet,
      ring: () => writer.ring,
      streams: () => hub.stats.streams,
      closing: () => closing,
      parts: createPartsReader(reader, config.CLICKHOUSE_DB),
      now: Date.now,
    },
    { journalMaxBytes: config.JOURNAL_MAX_BYTES, deadLetterDirectory, version: packageJson.version },
  );

  const requests = new RequestFigures();
  const metrics = createMetrics(
    {
      pipeline,
      counts: () => ingest.counts,
      ring: () => writer.ring,
      streams: () => hub.stats,
      requests,
      refusals: access.refusals,
    },
    { version: packageJson.version },
  );

  const hub = createStreamHub(
    { now: Date.now, random: Math.random, buildUpdate: (limit) => aggregator.buildUpdate(limit, pipeline.current()) },
    { streamsMax: config.MAX_STREAMS, streamsPerViewerMax: config.MAX_STREAMS_PER_VIEWER },
  );

  const ticker = createTicker(
    {
      now: () => performance.now(),
      setTimer: setTimeout,
      clearTimer: (timer) => clearTimeout(timer as Timer),
      beat: () => hub.beat(),
      tick() {
        const changed = aggregator.tick() || pipelineChanged;
        share?.tick();
        pipelineChanged = false;
        if (changed) hub.publish();
        return changed;
      },
      fanOutMs: () => hub.stats.fanOutMs,
    },
    { intervalMs: config.STREAM_INTERVAL },
  );

  const failed = (error: unknown, request?: Request): Response => {
    const id = request === undefined ? undefined : requestIdOf(request);
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log("error", "a request failed", { error: what, request_id: id });
    return errorResponse(
      "internal",
      "this is our fault; the log has the details",
      undefined,
      id === undefined ? {} : { "X-Request-Id": id },
    );
  };
  let epochRows = 0;
  const closeEpoch = (): void => {
    epochRows = 0;
    const closed = aggregator.closeEpoch();
    if (closed !== null) writer.ring.closeEpoch(closed);
  };
  const epochTimer = setInterval(closeEpoch, Math.min(epochMaxMs, config.STREAM_INTERVAL, config.FLUSH_INTERVAL / 2));

  const ingest = createIngest(
    {
      access,
      writer,
      aggregator,
      watch: hub,
      now: Date.now,
      onAccepted(rows) {
        epochRows += rows;
        if (epochRows >= Math.min(epochMaxRows, config.BATCH_SIZE)) closeEpoch();
      },
      sharedKeys: () => share,
      onAnswered: (status, durationMs) => requests.record("/ingest", status, durationMs),
      onError: failed,
    },
    {
      maxBodyBytes: config.MAX_BODY_BYTES,
      maxEvents: config.MAX_EVENTS_PER_REQUEST,
      bodyTimeoutMs: config.BODY_TIMEOUT,
      inFlightMaxBytes: config.MAX_INFLIGHT_BYTES,
      maxClockSkewFutureMs: config.MAX_CLOCK_SKEW_FUTURE,
      maxEventAgeMs: config.MAX_EVENT_AGE,
      journalMaxBytes: config.JOURNAL_MAX_BYTES,
      idempotencyMaxKeys: config.IDEMPOTENCY_MAX_KEYS,
    },
  );

  const recovery = await writer.ready;
  aggregator.startAt(recovery.recovered.length + 1, recovery.shards);
  if (config.REDIS_URL !== null) {
    // Without REDIS_URL nothing of it is loaded.
    const { createShare } = await import("../live-view/shared/share.ts");
    share = createShare(
      {
        now: Date.now,
        log,
        nameOf: (type) => aggregator.types.nameOf(type) ?? otherTypeName,
        onForeign(from, { lane, epoch, cells }) {
          aggregator.replaceForeign(from, lane, epoch, cells);
          ticker.touch();
        },
      },
      { url: config.REDIS_URL, instance },
    );
  }
  ingest.recover(recovery.keys, recovery.recovered.length);
  pipeline.recovered(
    recovery.recovered.reduce((sum, rows) => sum + rows, 0),
    recovery.deadLetters,
  );
  aggregator.sealed(recovery.recovered.length);
  writer.connect(address);

  const app = await createApp({
    controllers: [
      createPipelineRoutes({ pipeline }),
      createQueryRoutes({ clickhouse: reader, log, now: Date.now }),
      createMetricsRoutes({ metrics }),
      createReferenceRoutes({ version: packageJson.version }),
    ],
    editingControllers: [],
    publicControllers: [
      createHealthRoutes({ pipeline }),
      createSessionRoutes({ access, addressOf: (request) => listener.addressOf(request) }),
    ],
    access,
    clientDirectory: join(import.meta.dir, "../../client/dist"),
    log,
  });

  const route = (handle: Handler): Handler =>
    observeRoute({ log, requests, now: () => performance.now() }, web.route(handle));
  const listener = createListener(
    { log },
    {
      hostname: config.HOST,
      port: config.PORT,
      tls,
      idleTimeoutSeconds,
      maxRequestBodySize: bunMaxBodyBytes,
      // The two hot routes stand in front of Elysia.
      routes: {
        "/ingest": web.ingestRoute(async (request) =>
          config.ROLE === "writer"
            ? errorResponse("not_found", "this instance takes no events (ROLE=writer)")
            : ingest.handle(request),
        ),
        "/dashboard-stream": route((request, serving) => {
          const viewer = access.viewer(request);
          return viewer instanceof Response ? viewer : hub.handle(request, serving, viewer.name);
        }),
      },
      fetch: route(withHead(async (request) => compressed(request, revalidated(request, await app.fetch(request))))),
      error: (error) => failed(error),
    },
  );
  log("info", `Sluice is listening on ${listener.url.origin}`, {
    recovered: recovery.recovered.length,
    clickhouse: String(withoutCredentials(address.urls)),
  });

  async function stop(why: string): Promise<void> {
    closing = true;
    log("info", `${why}: no more events are taken; flushing`, { timeout_seconds: config.SHUTDOWN_TIMEOUT / 1000 });
    const deadline = performance.now() + config.SHUTDOWN_TIMEOUT;
    hub.stop();
    ticker.stop();
    clearInterval(epochTimer);
    await Promise.race([ingest.close(), Bun.sleep(config.SHUTDOWN_TIMEOUT)]);
    closeEpoch();
    const left = await writer.stop(Math.max(0, deadline - performance.now()));
    await ingest.giveUp();
    aggregator.stop();
    share?.stop();
    if (left > 0)
      log("warn", "not everything was flushed; the journal has the rest for the next start", { rows: left });
    // An engine that does not end in time is left to the end of its input, or to the next start.
    const engineMs = Math.max(engineStopMinMs, deadline - performance.now());
    await Promise.race([embedded?.stop(), Bun.sleep(engineMs)]);
    await listener.stop();
    access.stop();
    release();
    log("info", "stopped");
  }
  let stopped: Promise<void> | undefined;
  return {
    stop(why) {
      stopped ??= stop(why);
      return stopped;
    },
    reload() {
      access.reload();
      listener.reload();
    },
  };
}
