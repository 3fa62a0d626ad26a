import { createSluice } from "../baselines/sluice.ts";
import { influxdb, victoriaMetrics } from "../baselines/time-series.ts";
import type { Case, Contestant } from "../case.ts";
import { plainFleet } from "../events.ts";
import { closedLoop, openLoop } from "../load.ts";
import { loadProblems, prepare, sum, usageMetrics, warmupSeconds } from "../measure.ts";
import { settle, type Target, withTarget } from "../target.ts";

/**
 * Ten times what can be stored, for as long as it is let. One machine cannot send ten times what Sluice stores with its own
 * settings, so for this case small batches make storing slow, and a small journal makes it full within seconds: what is looked
 * at is what happens then. Memory has a bound, refusals are quick, and what was accepted is stored once.
 */
const overloadFactor = 10;
const workload = { fleet: plainFleet, size: 100, connections: 512, requests: 640 };
/** What the generator can send of these; with more it would measure itself. */
const requestsPerSecondMax = 5_000;
const settleMs = 240_000;

const slowStore = { BATCH_SIZE: "5000", JOURNAL_MAX_BYTES: "16MiB" };

export const overload: Case = {
  name: "overload",
  title: "Ten times what can be stored, batches of 100, open loop",
  seconds: 30,
  repeat: 1,
  headline: [
    "offered_over_stored",
    "refused_share",
    "refused_p99_ms",
    "p99_ms",
    "max_ms",
    "peak_rss_bytes",
    "generator_cpu_cores",
  ],
  contestants: [contestant(createSluice({ settings: slowStore })), contestant(victoriaMetrics), contestant(influxdb)],
  goals: [
    { metric: "refused_p99_ms", of: "sluice", atMost: 50 },
    { metric: "peak_rss_bytes", of: "sluice", atMost: 3 * 2 ** 30 },
    { metric: "offered_over_stored", of: "sluice", atLeast: overloadFactor * 0.8 },
  ],
};

function contestant(target: Target): Contestant {
  return {
    name: target.name,
    missing: target.missing,
    run: (context) =>
      withTarget(target, async (running, begin) => {
        const requests = prepare(running, workload, context);
        const options = { port: running.port, requests, connections: workload.connections };
        context.progress("finding what can be stored");
        const startMs = performance.now();
        const first = await closedLoop({ ...options, seconds: 2 * warmupSeconds(context) });
        const problems = await settle(running, first, settleMs);
        const storedPerSecond = first.requests / ((performance.now() - startMs) / 1000);
        const requestsPerSecond = Math.min(requestsPerSecondMax, overloadFactor * storedPerSecond);

        context.progress(`${(requestsPerSecond * workload.size) / 1000} k events/s`);
        const read = begin();
        const loadStartMs = performance.now();
        const load = await openLoop({ ...options, requestsPerSecond, pacing: "timer", seconds: context.seconds });
        context.progress("waiting for the last row");
        const settleProblems = await settle(running, sum(first, load), settleMs);
        const seconds = (performance.now() - loadStartMs) / 1000;
        const storedRate = running.queryableOnAnswer ? load.requests / load.seconds : load.requests / seconds;
        return {
          metrics: {
            offered_over_stored: requestsPerSecond / Math.max(1, storedRate),
            refused_share: load.refused / Math.max(1, load.refused + load.requests),
            refused_p99_ms: load.refusedLatency.summary().p99_ms,
            refused_max_ms: load.refusedLatency.summary().max_ms,
            ...load.latency.summary(),
            ...usageMetrics(read(), load),
          },
          problems: [...problems, ...settleProblems, ...loadProblems(first), ...loadProblems(load)],
        };
      }),
  };
}
