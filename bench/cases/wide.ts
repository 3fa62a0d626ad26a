import { createBare } from "../baselines/bare.ts";
import { createSluice } from "../baselines/sluice.ts";
import type { Case } from "../case.ts";
import { wideFleet } from "../events.ts";
import { throughput, type Workload } from "../measure.ts";
import { batchesOf1000 } from "./ingest.ts";

const wideBatches: Workload = { fleet: wideFleet, size: 1000, connections: 32, requests: 100 };

export const wide: Case = {
  name: "wide",
  title: "Throughput, 100,000 devices, 500 event types, 8 metadata keys, the device's own time",
  seconds: 10,
  repeat: 3,
  headline: ["body_bytes_per_second", "events_per_second", "cpu_seconds_per_million", "peak_rss_bytes"],
  contestants: [
    throughput(createSluice(), wideBatches),
    throughput(createSluice(), batchesOf1000, "ingest-1000"),
    throughput(createBare("bare-bun"), wideBatches),
  ],
  goals: [{ metric: "body_bytes_per_second", of: "sluice", against: "ingest-1000", atLeast: 0.5 }],
};
