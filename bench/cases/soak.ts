import { createSluice } from "../baselines/sluice.ts";
import type { Case, Contestant } from "../case.ts";
import { plainFleet } from "../events.ts";
import { closedLoop, openLoop } from "../load.ts";
import { loadProblems, prepare, refusals, sum, usageMetrics, warmupSeconds } from "../measure.ts";
import { residentBytes } from "../processes.ts";
import { queryCells } from "../scratch-clickhouse.ts";
import { median, slope } from "../stats.ts";
import { settle, withTarget } from "../target.ts";

const eventsPerRequest = 100;
const workload = { fleet: plainFleet, size: eventsPerRequest, connections: 64, requests: 640 };
const sampleMs = 1000;
const windowsPerRun = 20;
/** Memory settles in the first part of a run; the slope is taken over the rest. */
const settledShare = 0.25;

export const soak: Case = {
  name: "soak",
  title: "Ten minutes at half of saturation, batches of 100",
  seconds: 600,
  repeat: 1,
  headline: [
    "requests_per_second",
    "p99_ms",
    "p99_drift_ratio",
    "rss_bytes_per_hour",
    "rss_slope_in_errors",
    "most_parts",
    "last_parts",
    "generator_cpu_cores",
  ],
  contestants: [createContestant()],
  goals: [
    { metric: "rss_growth_share", of: "sluice", atMost: 0.05 },
    { metric: "most_parts", of: "sluice", atMost: 300 },
    { metric: "p99_drift_ratio", of: "sluice", atMost: 1.5 },
  ],
};

function createContestant(): Contestant {
  const target = createSluice();
  return {
    name: target.name,
    missing: target.missing,
    run: (context) =>
      withTarget(target, async (running, begin) => {
        const requests = prepare(running, workload, context);
        const options = { port: running.port, requests, connections: workload.connections };
        context.progress("finding saturation");
        const saturated = await closedLoop({ ...options, seconds: 2 * warmupSeconds(context) });
        const saturatedProblems = await settle(running, saturated, 60_000);
        const requestsPerSecond = Math.max(1, saturated.requests / saturated.seconds / 2);

        const rss: [x: number, y: number][] = [];
        const parts: number[] = [];
        const startMs = Date.now();
        let failedSample: unknown = null;
        const sample = async () => {
          const seconds = (Date.now() - startMs) / 1000;
          rss.push([seconds, residentBytes(running.processes)[target.name] ?? 0]);
          const [row] = await queryCells(
            running.clickHouse,
            "SELECT max(parts) FROM (SELECT count() AS parts FROM system.parts WHERE active GROUP BY table, partition)",
          );
          parts.push(Number(row?.[0] ?? 0));
          context.progress(`${seconds.toFixed(0)} s, ${parts.at(-1)} parts`);
        };
        const sampling = setInterval(() => {
          sample().catch((error: unknown) => {
            failedSample ??= error;
          });
        }, sampleMs);
        const read = begin();
        const load = await openLoop({
          ...options,
          requestsPerSecond,
          pacing: "timer",
          seconds: context.seconds,
          windowSeconds: context.seconds / windowsPerRun,
        });
        clearInterval(sampling);
        const problems = await settle(running, sum(saturated, load), 60_000);
        if (failedSample) problems.push(`a sample failed: ${String(failedSample)}`);

        const settled = rss.slice(Math.floor(rss.length * settledShare));
        const line = slope(settled);
        const windows = load.windows.slice(0, windowsPerRun).map((window) => window.summary().p99_ms);
        const third = Math.ceil(windows.length / 3);
        return {
          metrics: {
            requests_per_second: requestsPerSecond,
            ...load.latency.summary(),
            p99_drift_ratio: median(windows.slice(-third)) / median(windows.slice(0, third)),
            rss_bytes_per_hour: line.slope * 3600,
            rss_slope_in_errors: Number.isFinite(line.error) && line.error > 0 ? line.slope / line.error : 0,
            rss_growth_share: (line.slope * context.seconds) / Math.max(1, median(settled.map(([, bytes]) => bytes))),
            most_parts: Math.max(0, ...parts),
            last_parts: parts.at(-1) ?? 0,
            ...usageMetrics(read(), load),
          },
          problems: [
            ...saturatedProblems,
            ...problems,
            ...loadProblems(saturated),
            ...loadProblems(load),
            ...refusals(load),
          ],
        };
      }),
  };
}
