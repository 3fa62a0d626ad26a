import { Elysia } from "elysia";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { StoredBatch } from "../../workers/protocol.ts";
import type { AccessRefusals } from "../access/access.ts";
import { refuseParametersBut } from "../http/parameters.ts";
import { durationBucketsSeconds, type RequestFigures } from "../http/request-metrics.ts";
import type { IngestCounts } from "../ingest/counts.ts";
import { protocolNames } from "../ingest/protocols.ts";
import type { StreamHubStats } from "../stream/hub.ts";
import type { PipelineState } from "./pipeline.ts";
import { ReadMetrics } from "./read-metrics.ts";

export interface MetricsDeps {
  readonly pipeline: Pick<PipelineState, "current" | "figures" | "readiness">;
  readonly counts: () => IngestCounts;
  readonly ring: () => { usedBytes: number; capacityBytes: number };
  readonly streams: () => StreamHubStats;
  readonly diskSpace: () => { freeBytes: number; totalBytes: number };
  readonly sweep: { readonly deletedEvents: number };
  readonly requests: RequestFigures;
  readonly refusals: Readonly<AccessRefusals>;
}

export interface Metrics {
  /** One batch has been stored. */
  stored(batch: StoredBatch): void;
  readonly registry: Registry;
}

const clickhouseStates = ["ok", "unavailable", "denied"] as const;
const insertBucketsSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const rowBuckets = [1, 10, 100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];
/** Of the client library's own, those that mean nothing under this runtime. */
const meaningless = [
  "process_heap_bytes",
  "nodejs_active_resources",
  "nodejs_active_resources_total",
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
  "nodejs_heap_space_size_total_bytes",
  "nodejs_heap_space_size_used_bytes",
  "nodejs_heap_space_size_available_bytes",
  "nodejs_gc_duration_seconds",
];

/**
 * What /metrics says. Everything is read when it is asked for: the paths that count only bump plain numbers, and a registry of
 * its own keeps two services in one process, as in tests, apart.
 */
export function createMetrics(deps: MetricsDeps, options: { readonly version: string }): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of meaningless) registry.removeSingleMetric(name);
  const metrics = new ReadMetrics(registry);
  addIntake(metrics, deps);
  addStorage(metrics, deps);
  addClickHouseState(registry, deps);
  addStreams(metrics, deps);
  new Gauge({
    name: "sluice_build_info",
    help: "Version, as a label.",
    labelNames: ["version"],
    registers: [registry],
  }).set({ version: options.version }, 1);
  registry.registerMetric(new RequestHistogram(deps.requests));
  return { registry, stored: addInserts(registry) };
}

/** From the request to the journal. */
function addIntake(metrics: ReadMetrics, deps: MetricsDeps): void {
  metrics.counter(
    "sluice_events_accepted_total",
    "Events accepted, by whatever protocol.",
    () => deps.counts().accepted,
  );
  metrics.counters(
    "sluice_events_accepted_by_protocol_total",
    "Events handed over to the journal, by the protocol that they came by.",
    "protocol",
    () => protocolNames.map((name) => [name, deps.counts().acceptedBy.get(name) ?? 0]),
  );
  metrics.counter(
    "sluice_unprotected_requests_total",
    "Line protocol and OTLP requests whose repetition would be stored again (IDEMPOTENCY_MAX_KEYS).",
    () => deps.counts().unprotected,
  );
  metrics.counter(
    "sluice_otlp_exemplars_dropped_total",
    "Exemplars of OTLP metrics, which are not kept.",
    () => deps.counts().exemplarsDropped,
  );
  metrics.counter("sluice_events_durable_total", "Events flushed to the journal's disk.", () => deps.counts().durable);
  metrics.counters(
    "sluice_events_rejected_total",
    "Events refused at the door, as far as they could be counted.",
    "reason",
    () => deps.counts().rejectedEvents,
  );
  metrics.counters(
    "sluice_ingest_requests_rejected_total",
    "Requests with events that were refused.",
    "reason",
    () => deps.counts().rejected,
  );
  metrics.counters(
    "sluice_access_refused_total",
    "Requests without a key, with a wrong one, or over its limit.",
    "reason",
    () => [
      ["unauthenticated", deps.refusals.unauthenticated],
      ["forbidden", deps.refusals.forbidden],
      ["rate_limited", deps.refusals.rateLimited],
      ["sign_in_throttled", deps.refusals.signInThrottled],
    ],
  );
  metrics.gauge(
    "sluice_ring_bytes",
    "Bytes in the ring between the HTTP thread and the writer.",
    () => deps.ring().usedBytes,
  );
  metrics.gauge("sluice_ring_max_bytes", "RING_BYTES.", () => deps.ring().capacityBytes);
}

/** From the journal to ClickHouse, and the disk below. */
function addStorage(metrics: ReadMetrics, deps: MetricsDeps): void {
  metrics.counter(
    "sluice_events_stored_total",
    "Events confirmed by ClickHouse, what an earlier run left included.",
    () => deps.pipeline.current().stored,
  );
  metrics.counter(
    "sluice_events_dead_lettered_total",
    "Events that ClickHouse refused and that were set aside.",
    () => deps.pipeline.current().dead_lettered,
  );
  metrics.gauge(
    "sluice_events_pending",
    "Events that are durable and not yet stored.",
    () => deps.pipeline.current().pending,
  );
  metrics.gauge(
    "sluice_store_lag_seconds",
    "Age of the oldest event that is durable and not yet stored.",
    () => deps.pipeline.current().store_lag_seconds,
  );
  metrics.gauge("sluice_journal_bytes", "Bytes of the journal on disk.", () => deps.pipeline.figures().journalBytes);
  metrics.gauge("sluice_journal_max_bytes", "JOURNAL_MAX_BYTES.", () => deps.pipeline.figures().journalMaxBytes);
  metrics.gauge("sluice_journal_segments", "Segments in the journal.", () => deps.pipeline.figures().segments);
  metrics.gauge("sluice_dead_letters", "Dead letters on disk, of all runs.", () => deps.pipeline.figures().deadLetters);
  metrics.counter(
    "sluice_insert_retries_total",
    "Inserts that were tried again.",
    () => deps.pipeline.figures().retries,
  );
  metrics.counter(
    "sluice_retention_deleted_total",
    "Events deleted because they were past the retention of their type (RETENTION).",
    () => deps.sweep.deletedEvents,
  );
  metrics.gauge("sluice_inserts_paused", "1 while inserts wait because the disk is nearly full (DISK_RESERVE).", () =>
    deps.pipeline.figures().insertsPaused ? 1 : 0,
  );
  metrics.gauge("sluice_disk_free_bytes", "Free on the disk of DATA_DIR.", () => deps.diskSpace().freeBytes);
  metrics.gauge("sluice_disk_bytes", "Size of the disk of DATA_DIR.", () => deps.diskSpace().totalBytes);
  metrics.gauge("sluice_ready", "1 while events can be accepted.", () =>
    deps.pipeline.readiness().refusing.length === 0 ? 1 : 0,
  );
}

function addClickHouseState(registry: Registry, deps: MetricsDeps): void {
  new Gauge({
    name: "sluice_clickhouse_state",
    help: "1 for the state that ClickHouse is in.",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const { clickhouse } = deps.pipeline.current();
      for (const state of clickhouseStates) this.set({ state }, state === clickhouse ? 1 : 0);
    },
  });
}

function addStreams(metrics: ReadMetrics, deps: MetricsDeps): void {
  metrics.gauge("sluice_streams", "Open live streams.", () => deps.streams().streams);
  metrics.counter("sluice_stream_updates_published_total", "Updates of the live view.", () => deps.streams().published);
  metrics.counter(
    "sluice_stream_updates_conflated_total",
    "Updates that a slow reader did not get because a newer one took their place.",
    () => deps.streams().conflated,
  );
}

/** Gives what has to be told of each stored batch. */
function addInserts(registry: Registry): Metrics["stored"] {
  const registers = [registry];
  const insertSeconds = new Histogram({
    name: "sluice_insert_duration_seconds",
    help: "Time of one insert, tries that failed included.",
    buckets: insertBucketsSeconds,
    registers,
  });
  const batchRows = new Histogram({
    name: "sluice_batch_rows",
    help: "Rows of one insert.",
    buckets: rowBuckets,
    registers,
  });
  const batchBytes = new Counter({
    name: "sluice_batch_bytes_total",
    help: "Bytes inserted, as RowBinary.",
    registers,
  });
  return (batch) => {
    insertSeconds.observe(batch.insertMs / 1000);
    batchRows.observe(batch.rows);
    batchBytes.inc(batch.bytes);
  };
}

/** A histogram whose buckets somebody else counts. */
class RequestHistogram extends Histogram<"route" | "status"> {
  readonly #figures: RequestFigures;
  readonly #description = {
    name: "sluice_http_request_duration_seconds",
    help: "Time from the request's headers to the answer's, by route and class of status.",
  };

  constructor(figures: RequestFigures) {
    super({
      name: "sluice_http_request_duration_seconds",
      help: "Time from the request's headers to the answer's, by route and class of status.",
      labelNames: ["route", "status"],
      buckets: durationBucketsSeconds,
      registers: [],
    });
    this.#figures = figures;
  }

  /** What the registry asks for. */
  async getForPromString() {
    const { name, help } = this.#description;
    const values = this.#figures.series().flatMap(({ route, status, buckets, sumSeconds }) => {
      const labels = { route, status };
      let count = 0;
      const cumulative = buckets.map((each, index) => {
        count += each;
        const le = durationBucketsSeconds[index] ?? "+Inf";
        return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
      });
      return [
        ...cumulative,
        { metricName: `${name}_sum`, labels, value: sumSeconds },
        { metricName: `${name}_count`, labels, value: count },
      ];
    });
    return { name, help, type: "histogram", values, aggregator: "sum" };
  }
}

/** GET /metrics, in Prometheus' text form. */
export function createMetricsRoutes(deps: { readonly metrics: Pick<Metrics, "registry"> }) {
  const { registry } = deps.metrics;
  return new Elysia({ name: "metrics" }).onBeforeHandle(refuseParametersBut([])).get(
    "/metrics",
    async () =>
      new Response(await registry.metrics(), {
        headers: { "Content-Type": registry.contentType, "Cache-Control": "no-store" },
      }),
  );
}
