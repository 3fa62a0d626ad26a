import { createSluice } from "../baselines/sluice.ts";
import { victoriaMetrics } from "../baselines/time-series.ts";
import type { Case, Contestant, RunContext } from "../case.ts";
import { curvePoint } from "../curves.ts";
import { plainFleet } from "../events.ts";
import { closedLoop, type LoadResult, openLoop } from "../load.ts";
import { loadProblems, prepare, sum, warmupSeconds } from "../measure.ts";
import type { Metrics, Run } from "../result.ts";
import { type RunningTarget, settle, type Target, type Totals, withTarget } from "../target.ts";

const workload = { fleet: plainFleet, size: 100, connections: 64, requests: 640 };
/** Of what the system itself was just seen to take in a closed loop. The last one is more than it can. */
const shares = [0.1, 0.25, 0.5, 0.7, 0.85, 1, 1.15];
const smokeShares = [0.1, 0.2];
const settleMs = 120_000;

/** What one cannot read off a single figure: how latency rises with the load, and who takes the processor. */
export const loadCurve: Case = {
  name: "load-curve",
  title: "Throughput, latency and CPU against offered load, batches of 100, open loop",
  seconds: 6,
  repeat: 1,
  headline: ["saturation_per_second", "p99_at_half_ms", "p99_at_most_ms"],
  contestants: [contestant(createSluice()), contestant(victoriaMetrics)],
  goals: [],
};

function contestant(target: Target): Contestant {
  return {
    name: target.name,
    missing: target.missing,
    run: (context) => withTarget(target, (running, begin) => sweep(running, begin, context)),
  };
}

async function sweep(
  running: RunningTarget,
  begin: () => () => Run["processes"],
  context: RunContext,
): Promise<Omit<Run, "processes">> {
  const requests = prepare(running, workload, context);
  const options = { port: running.port, requests, connections: workload.connections };
  context.progress("finding saturation");
  const saturated = await closedLoop({ ...options, seconds: 2 * warmupSeconds(context) });
  const problems = [...loadProblems(saturated), ...(await settle(running, saturated, settleMs))];
  const saturation = saturated.events / saturated.seconds;
  const metrics: Metrics = { saturation_per_second: saturation };
  let total: Totals = saturated;
  for (const share of context.scale === "smoke" ? smokeShares : shares) {
    const offered = share * saturation;
    context.progress(`${(offered / 1000).toFixed(0)} k events/s`);
    const read = begin();
    const requestsPerSecond = offered / workload.size;
    const load = await openLoop({ ...options, requestsPerSecond, pacing: "timer", seconds: context.seconds });
    Object.assign(metrics, pointsAt(offered, load, read()));
    const { p99_ms } = load.latency.summary();
    if (share === 0.5) metrics.p99_at_half_ms = p99_ms;
    metrics.p99_at_most_ms = p99_ms;
    total = sum(total, load);
    problems.push(...loadProblems(load), ...(await settle(running, total, settleMs)));
  }
  return { metrics, problems };
}

function pointsAt(offered: number, load: LoadResult, processes: Run["processes"]): Metrics {
  const { p50_ms, p99_ms, p999_ms } = load.latency.summary();
  return {
    [curvePoint("acknowledged_per_second", offered)]: load.events / load.seconds,
    [curvePoint("p50_ms", offered)]: p50_ms,
    [curvePoint("p99_ms", offered)]: p99_ms,
    [curvePoint("p999_ms", offered)]: p999_ms,
    [curvePoint("generator_lag_p99_ms", offered)]: load.lag.summary().p99_ms,
    ...Object.fromEntries(
      processes.map(({ name, cpuSeconds }) => [curvePoint(`${name} cpu_cores`, offered), cpuSeconds / load.seconds]),
    ),
  };
}
