import { createLatency, type Latency } from "../../base/latency.ts";
import { createSluice } from "../baselines/sluice.ts";
import type { Case, Contestant } from "../case.ts";
import { createBatches, type Fleet, plainFleet } from "../events.ts";
import { type LoadResult, openLoop } from "../load.ts";
import { loadProblems, refusals, sum, usageMetrics, warmupSeconds } from "../measure.ts";
import { openStreams } from "../streams.ts";
import { createRequest, settle, withTarget } from "../target.ts";

const probeType = "bench-probe";
/** Not a divisor of the stream's tick, so that probes fall into every phase of it. */
const probesPerSecond = 97;
const eventsPerRequest = 10;
const arrivalTimeoutMs = 5000;

/**
 * Nine event types, so that the probe's is always among the ten that a viewer gets. Probe k is in an update as soon as
 * the type's count reaches k: the view is exact, so its count says which events it holds.
 */
const fleet: Fleet = { ...plainFleet, devices: 1000 };

export const liveLatency: Case = {
  name: "live-latency",
  title: "POST to the update that contains the event: 10,000 events/s, 1,000 streams",
  seconds: 15,
  repeat: 3,
  headline: ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "updates_per_second", "generator_cpu_cores"],
  contestants: [createContestant()],
  goals: [
    { metric: "p50_ms", of: "sluice", atMost: 60 },
    { metric: "p99_ms", of: "sluice", atMost: 120 },
  ],
};

function createContestant(): Contestant {
  const target = createSluice();
  return {
    name: target.name,
    missing: target.missing,
    run: (context) =>
      withTarget(target, async (running, begin) => {
        const small = context.scale === "smoke";
        const probes = createProbes();
        const batches = createBatches(fleet, { seed: 7, batches: 512, size: eventsPerRequest });
        const background = {
          port: running.port,
          requests: batches.map((batch) => running.encode(batch)),
          connections: 32,
          requestsPerSecond: small ? 100 : 1000,
          pacing: "timer",
        } as const;
        context.progress("opening streams");
        const streams = await openStreams({
          port: running.port,
          path: "/dashboard-stream",
          count: small ? 20 : 1000,
          onUpdate: (data) => probes.see(data),
        });
        try {
          const warm = await openLoop({ ...background, seconds: warmupSeconds(context) });
          streams.reset();
          context.progress("measuring");
          const read = begin();
          const [load, probeLoad] = await Promise.all([
            openLoop({ ...background, seconds: context.seconds }),
            sendProbes(running.port, context.seconds, probes.sent),
          ]);
          await probes.allSeen(arrivalTimeoutMs);
          const usage = read();
          const problems = await settle(running, sum(warm, load, probeLoad), 30_000);
          const unseen = probes.unseen();
          if (unseen > 0) problems.push(`${unseen} probes were in no update`);
          if (streams.closed() > 0) problems.push(`${streams.closed()} streams were closed`);
          return {
            metrics: {
              ...probes.latency.summary(),
              probes: probes.latency.count(),
              updates_per_second: streams.updates() / load.seconds,
              stream_age_p99_ms: streams.age.summary().p99_ms,
              ...usageMetrics(usage, load),
            },
            problems: [
              ...problems,
              ...[warm, load, probeLoad].flatMap((part) => [...loadProblems(part), ...refusals(part)]),
            ],
          };
        } finally {
          streams.stop();
        }
      }),
  };
}

/** One connection, so that probes are accepted in the order in which they are sent. */
async function sendProbes(port: number, seconds: number, onSent: (dueNs: number) => void): Promise<LoadResult> {
  const batch = { events: [{ device_id: "bench-probe", event_type: probeType, value_float: 1 }], valueSum: 1 };
  const body = JSON.stringify({ events: batch.events });
  const request = createRequest({ port, path: "/ingest", contentType: "application/json", body, batch });
  return openLoop({
    port,
    requests: [request],
    connections: 1,
    seconds,
    requestsPerSecond: probesPerSecond,
    pacing: "timer",
    onSent,
  });
}

interface Probes {
  latency: Latency;
  sent(this: void, dueNs: number): void;
  see(data: string): void;
  unseen(): number;
  allSeen(timeoutMs: number): Promise<void>;
}

function createProbes(): Probes {
  const latency = createLatency();
  const dueNs: number[] = [];
  let seen = 0;
  return {
    latency,
    sent: (due) => dueNs.push(due),
    see(data) {
      const nowNs = Bun.nanoseconds();
      const update: { aggregations: { event_type: string; event_count: number }[] } = JSON.parse(data);
      const count = update.aggregations.find(({ event_type }) => event_type === probeType)?.event_count ?? 0;
      for (; seen < count && seen < dueNs.length; seen++) latency.record((nowNs - dueNs[seen]!) / 1000);
    },
    unseen: () => dueNs.length - seen,
    async allSeen(timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      while (seen < dueNs.length && Date.now() < deadline) await Bun.sleep(10);
    },
  };
}
