import { createBare } from "../baselines/bare.ts";
import { createBefore } from "../baselines/before.ts";
import { createClickHouseLimit } from "../baselines/clickhouse-limit.ts";
import { createPython } from "../baselines/python.ts";
import { createSluice } from "../baselines/sluice.ts";
import { influxdb, victoriaMetrics } from "../baselines/time-series.ts";
import type { Case } from "../case.ts";
import { plainFleet } from "../events.ts";
import { throughput, type Workload } from "../measure.ts";

export const headline = [
  "events_per_second",
  "acknowledged_per_second",
  "tail_seconds",
  "cpu_seconds_per_million",
  "peak_rss_bytes",
  "generator_cpu_cores",
];

export const batchesOf1000: Workload = { fleet: plainFleet, size: 1000, connections: 32, requests: 64 };
const batchesOf100: Workload = { fleet: plainFleet, size: 100, connections: 64, requests: 640 };
export const single: Workload = { fleet: plainFleet, size: 1, connections: 64, requests: 8192 };
const singleAt256: Workload = { ...single, connections: 256 };
/** What a writer sends to ClickHouse under load. */
const inserts: Workload = { fleet: plainFleet, size: 200_000, connections: 2, requests: 4 };

export const ingest1000: Case = {
  name: "ingest-1000",
  title: "Throughput, batches of 1,000 events of 120 bytes",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [
    throughput(createSluice(), batchesOf1000),
    throughput(createBefore(), batchesOf1000),
    throughput(createBare("bare-bun"), batchesOf1000),
    throughput(createPython("predecessor"), batchesOf1000),
    throughput(influxdb, batchesOf1000),
    throughput(victoriaMetrics, batchesOf1000),
    throughput(createClickHouseLimit(), inserts),
  ],
  goals: [
    { metric: "events_per_second", of: "sluice", against: "bare-bun", atLeast: 0.4 },
    { metric: "events_per_second", of: "sluice", against: "predecessor", atLeast: 25 },
    { metric: "events_per_second", of: "sluice", against: "influxdb", atLeast: 1.2 },
    { metric: "events_per_second", of: "sluice", against: "victoria-metrics", atLeast: 1 },
    { metric: "events_per_second", of: "sluice", against: "before" },
    { metric: "cpu_seconds_per_million", of: "sluice", against: "before", atMost: 0.55 },
  ],
};

export const ingest100: Case = {
  name: "ingest-100",
  title: "Throughput, batches of 100 events of 120 bytes",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [
    throughput(createSluice(), batchesOf100),
    throughput(createBefore(), batchesOf100),
    throughput(createBare("bare-bun"), batchesOf100),
    throughput(createPython("predecessor"), batchesOf100),
  ],
  goals: [
    { metric: "events_per_second", of: "sluice", against: "bare-bun", atLeast: 0.4 },
    { metric: "events_per_second", of: "sluice", against: "before" },
    { metric: "events_per_second", of: "sluice", against: "predecessor", atLeast: 15 },
  ],
};

export const ingest1: Case = {
  name: "ingest-1",
  title: "Throughput, one event of 120 bytes a request, 64 connections",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [
    throughput(createSluice(), single),
    throughput(createBefore(), single),
    throughput(createBare("bare-bun"), single),
    throughput(createBare("bare-elysia"), single),
    throughput(victoriaMetrics, single),
    throughput(createPython("predecessor"), single),
    throughput(createPython("naive"), single),
  ],
  goals: [
    { metric: "events_per_second", of: "sluice", against: "bare-elysia", atLeast: 0.8 },
    { metric: "events_per_second", of: "sluice", against: "victoria-metrics", atLeast: 1 },
    { metric: "events_per_second", of: "sluice", against: "predecessor", atLeast: 8 },
    { metric: "events_per_second", of: "sluice", against: "naive", atLeast: 50 },
    { metric: "events_per_second", of: "sluice", against: "before" },
  ],
};

/** With more requests waiting for each flush, it is the work on them that counts and not the flush. */
export const ingest1At256: Case = {
  name: "ingest-1-256",
  title: "Throughput, one event of 120 bytes a request, 256 connections",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [
    throughput(createSluice(), singleAt256),
    throughput(createBefore(), singleAt256),
    throughput(createBare("bare-elysia"), singleAt256),
    throughput(victoriaMetrics, singleAt256),
  ],
  goals: [
    { metric: "events_per_second", of: "sluice", against: "bare-elysia" },
    { metric: "events_per_second", of: "sluice", against: "victoria-metrics" },
    { metric: "events_per_second", of: "sluice", against: "before" },
  ],
};
