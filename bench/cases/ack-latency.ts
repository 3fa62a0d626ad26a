import { createBare } from "../baselines/bare.ts";
import { createBefore } from "../baselines/before.ts";
import { createSluice } from "../baselines/sluice.ts";
import type { Case } from "../case.ts";
import { plainFleet } from "../events.ts";
import { latency } from "../measure.ts";

const load = {
  fleet: plainFleet,
  size: 1,
  connections: 256,
  requests: 8192,
  requestsPerSecond: 10_000,
  pacing: "fine",
} as const;

export const ackLatency: Case = {
  name: "ack-latency",
  title: "POST to 202, 10,000 requests/s of one event, open loop",
  seconds: 10,
  repeat: 3,
  headline: ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "generator_lag_p99_ms", "generator_cpu_cores"],
  contestants: [latency(createSluice(), load), latency(createBefore(), load), latency(createBare("bare-elysia"), load)],
  goals: [
    { metric: "p50_ms", of: "sluice", atMost: 0.6 },
    { metric: "p99_ms", of: "sluice", atMost: 4 },
    { metric: "p999_ms", of: "sluice", atMost: 10 },
    { metric: "p99_ms", of: "sluice", against: "before", atMost: 0.33 },
    // What durability adds to the runtime's own answer.
    { metric: "p50_ms", of: "sluice", against: "bare-elysia" },
    { metric: "p99_ms", of: "sluice", against: "bare-elysia" },
    { metric: "p999_ms", of: "sluice", against: "bare-elysia" },
  ],
};
