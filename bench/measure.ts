import type { Contestant, RunContext } from "./case.ts";
import { createBatches, type EventBatch, type Fleet } from "./events.ts";
import { closedLoop, type LoadResult, openLoop, type Pacing, type Request } from "./load.ts";
import type { Metrics, Run } from "./result.ts";
import { type RunningTarget, settle, type Target, type Totals, withTarget } from "./target.ts";

export interface Workload {
  fleet: Fleet;
  /** Events a request. */
  size: number;
  connections: number;
  /** Different requests; they are sent round and round. */
  requests: number;
  /** Longer than this after the last answer, and what has not come is lost. */
  settleSeconds?: number;
}

const seed = 20_260_101;
const settleDefaultSeconds = 60;

/** Warm-up by time, for compilers, caches and page tables; the same for every contestant. */
export const warmupSeconds = ({ scale, seconds }: RunContext) => (scale === "smoke" ? 0.3 : Math.min(3, seconds / 2));

/** The same workload gives every contestant the same events. */
const batchesOf = new Map<string, EventBatch[]>();

export function prepare(target: RunningTarget, workload: Workload, context: RunContext): Request[] {
  const requests = context.scale === "smoke" ? Math.min(workload.requests, 64) : workload.requests;
  const key = JSON.stringify([workload.fleet.devices, workload.size, requests]);
  const batches = batchesOf.get(key) ?? createBatches(workload.fleet, { seed, batches: requests, size: workload.size });
  batchesOf.set(key, batches);
  return batches.map((batch) => target.encode(batch));
}

/**
 * Closed loop until the time is up, then the wait for the last row. `events_per_second` is what is durable and can be
 * queried, by the time that all of it can be; `acknowledged_per_second` is what was answered while the load lasted.
 */
export function throughput(target: Target, workload: Workload, name = target.name): Contestant {
  return {
    name,
    missing: target.missing,
    run: (context) =>
      withTarget(target, async (running, begin) => {
        const requests = prepare(running, workload, context);
        const progress = (phase: string) => (events: number, elapsed: number) =>
          context.progress(`${phase} ${(events / elapsed / 1000).toFixed(0)} k events/s`);
        const { port, ports = [port] } = running;
        const options = { port, ports, requests, connections: workload.connections };
        const settleMs = (workload.settleSeconds ?? settleDefaultSeconds) * 1000;
        const warm = await closedLoop({ ...options, seconds: warmupSeconds(context), onProgress: progress("warm-up") });
        const warmProblems = await settle(running, warm, settleMs);

        const read = begin();
        const startNs = Bun.nanoseconds();
        const load = await closedLoop({ ...options, seconds: context.seconds, onProgress: progress("load") });
        context.progress("waiting for the last row");
        const problems = await settle(running, sum(warm, load), settleMs);
        const seconds = running.queryableOnAnswer ? load.seconds : (Bun.nanoseconds() - startNs) / 1e9;
        const processes = read();
        return {
          metrics: {
            events_per_second: load.events / seconds,
            acknowledged_per_second: load.events / load.seconds,
            body_bytes_per_second: load.bodyBytes / seconds,
            tail_seconds: seconds - load.seconds,
            refused: load.refused,
            ...usageMetrics(processes, load),
          },
          problems: [...warmProblems, ...problems, ...loadProblems(warm), ...loadProblems(load)],
        };
      }),
  };
}

/** Open loop at a fixed rate; latency from when each request was due. All of it must be stored in the end, too. */
export function latency(
  target: Target,
  workload: Workload & { requestsPerSecond: number; pacing: Pacing },
  name = target.name,
): Contestant {
  return {
    name,
    missing: target.missing,
    run: (context) =>
      withTarget(target, async (running, begin) => {
        const requests = prepare(running, workload, context);
        const options = {
          port: running.port,
          requests,
          connections: workload.connections,
          requestsPerSecond: context.scale === "smoke" ? workload.requestsPerSecond / 10 : workload.requestsPerSecond,
          pacing: workload.pacing,
        };
        context.progress("warm-up");
        // Twice as long as for throughput: what compilers still do after three seconds is seen in the slowest percent alone.
        const warm = await openLoop({ ...options, seconds: 2 * warmupSeconds(context) });
        context.progress(`${options.requestsPerSecond} requests/s`);
        const read = begin();
        const load = await openLoop({ ...options, seconds: context.seconds });
        const problems = await settle(running, sum(warm, load), settleDefaultSeconds * 1000);
        return {
          metrics: {
            ...load.latency.summary(),
            requests_per_second: load.requests / load.seconds,
            generator_lag_p99_ms: load.lag.summary().p99_ms,
            generator_lag_max_ms: load.lag.summary().max_ms,
            ...usageMetrics(read(), load),
          },
          problems: [...problems, ...loadProblems(warm), ...loadProblems(load), ...refusals(load)],
        };
      }),
  };
}

export function usageMetrics(processes: Run["processes"], load: LoadResult): Metrics {
  const cpuSeconds = processes.reduce((total, process) => total + process.cpuSeconds, 0);
  return {
    cpu_seconds_per_million: load.events === 0 ? 0 : (cpuSeconds / load.events) * 1e6,
    peak_rss_bytes: processes.reduce((total, process) => total + process.peakRssBytes, 0),
    generator_cpu_cores: load.generatorCpu,
  };
}

export function sum(...parts: Totals[]): Totals {
  return {
    events: parts.reduce((total, part) => total + part.events, 0),
    valueSum: parts.reduce((total, part) => total + part.valueSum, 0),
  };
}

export function loadProblems(load: LoadResult): string[] {
  if (load.failed > 0) return [`${load.failed} requests failed, the first: ${load.firstFailure}`];
  return load.requests === 0 ? ["not one request was accepted"] : [];
}

/** At a rate that a service is meant to bear, a refusal is a failure. */
export function refusals(load: LoadResult): string[] {
  return load.refused > 0 ? [`${load.refused} requests refused`] : [];
}
