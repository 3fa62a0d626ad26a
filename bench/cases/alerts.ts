import { createSluice } from "../baselines/sluice.ts";
import type { Case } from "../case.ts";
import { throughput } from "../measure.ts";
import { batchesOf1000, headline } from "./ingest.ts";

/** Ten rules by device on the newest value, over 10,000 devices and eight types: 100,000 series. */
const settings = { ALERTS_FILE: "bench/cases/alert-rules.json" };

export const alerts: Case = {
  name: "alerts",
  title: "Throughput, batches of 1,000 events, ten alert rules by device over 10,000 devices",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [
    throughput(createSluice({ settings }), batchesOf1000),
    throughput(createSluice(), batchesOf1000, "ingest-1000"),
  ],
  goals: [{ metric: "events_per_second", of: "sluice", against: "ingest-1000", atLeast: 0.9 }],
};
