import { createSluice } from "../baselines/sluice.ts";
import { influxdb, victoriaMetrics } from "../baselines/time-series.ts";
import type { Case } from "../case.ts";
import { throughput } from "../measure.ts";
import { batchesOf1000, headline } from "./ingest.ts";

/** The very same bodies to all that take line protocol, and the same events as JSON. */
export const influx1000: Case = {
  name: "influx-1000",
  title: "Throughput, line protocol, batches of 1,000 lines of one field and three tags",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [
    throughput(createSluice({ lines: true }), batchesOf1000),
    throughput(createSluice({ name: "sluice-json" }), batchesOf1000),
    throughput(influxdb, batchesOf1000),
    throughput(victoriaMetrics, batchesOf1000),
  ],
  goals: [
    { metric: "events_per_second", of: "sluice", against: "sluice-json", atLeast: 1 },
    { metric: "events_per_second", of: "sluice", against: "influxdb", atLeast: 1.2 },
    { metric: "events_per_second", of: "sluice", against: "victoria-metrics", atLeast: 0.5 },
  ],
};
