import type { Update } from "../../contract/stream.ts";
import { findMissingNchan, startNchan } from "../baselines/nchan.ts";
import { createSluice } from "../baselines/sluice.ts";
import type { Case, Contestant, RunContext } from "../case.ts";
import { createBatches, type Fleet, plainFleet } from "../events.ts";
import { openLoop } from "../load.ts";
import { loadProblems, refusals, warmupSeconds } from "../measure.ts";
import { residentBytes, startUsage } from "../processes.ts";
import type { Run } from "../result.ts";
import { openStreams, type Streams } from "../streams.ts";
import { withTarget } from "../target.ts";

const updatesPerSecond = 4;
const streamPath = "/dashboard-stream";
/** What stalls asks for the largest update, so that the kernel's buffers are full within seconds, not minutes. */
const stalledPath = "/dashboard-stream?limit=200";
/** Enough types to make that update large; a plain viewer gets the ten largest. */
const fleet: Fleet = {
  ...plainFleet,
  eventTypes: Array.from({ length: 150 }, (_, index) => `sensor.channel-${index}`),
};

export const fanOut: Case = {
  name: "fan-out",
  title: "10,000 streams at 4 Hz, one in ten stalled",
  seconds: 20,
  repeat: 3,
  headline: [
    "p50_ms",
    "p99_ms",
    "max_ms",
    "updates_per_stream_per_second",
    "rss_per_stream_bytes",
    "growth_bytes",
    "cpu_cores",
    "generator_cpu_cores",
  ],
  contestants: [createSluiceContestant(), createNchanContestant()],
  goals: [
    { metric: "p99_ms", of: "sluice", atMost: 250 },
    { metric: "rss_per_stream_bytes", of: "sluice", atMost: 14 * 1024 },
    { metric: "p99_ms", of: "sluice", against: "nchan", atMost: 1.5 },
    { metric: "growth_share", of: "sluice", atMost: 0.05 },
  ],
};

function createSluiceContestant(): Contestant {
  const target = createSluice({ settings: { STREAM_INTERVAL: String(1 / updatesPerSecond) } });
  return {
    name: target.name,
    missing: target.missing,
    run: (context) =>
      withTarget(target, async (running, begin) => {
        const trickle = {
          port: running.port,
          requests: createBatches(fleet, { seed: 11, batches: 100, size: 10 }).map((batch) => running.encode(batch)),
          connections: 4,
          requestsPerSecond: 20,
          pacing: "timer",
        } as const;
        await openLoop({ ...trickle, seconds: warmupSeconds(context) });
        return broadcast({
          context,
          port: running.port,
          begin,
          // The streams belong to the service's own process; its engine only answers queries.
          rss: () => residentBytes(running.processes)[target.name] ?? 0,
          stalledPath,
          async feed(seconds) {
            const load = await openLoop({ ...trickle, seconds });
            return [...loadProblems(load), ...refusals(load)];
          },
        });
      }),
  };
}

function createNchanContestant(): Contestant {
  return {
    name: "nchan",
    missing: findMissingNchan,
    async run(context) {
      const nchan = await startNchan();
      try {
        await nchan.publish(sampleUpdate());
        const run = await broadcast({
          context,
          port: nchan.port,
          begin: () => startUsage([nchan.process]),
          rss: () => Object.values(residentBytes([nchan.process])).reduce((total, bytes) => total + bytes, 0),
          stalledPath: streamPath,
          async feed(seconds) {
            const endMs = Date.now() + seconds * 1000;
            for (let dueMs = Date.now(); dueMs < endMs; dueMs += 1000 / updatesPerSecond) {
              await Bun.sleep(Math.max(0, dueMs - Date.now()));
              await nchan.publish(sampleUpdate());
            }
            return [];
          },
        });
        return run;
      } finally {
        await nchan.stop();
      }
    },
  };
}

/** Opens the streams, feeds the source, and measures what reaches them. */
async function broadcast(options: {
  context: RunContext;
  port: number;
  begin: () => () => Run["processes"];
  rss: () => number;
  stalledPath: string;
  feed: (seconds: number) => Promise<string[]>;
}): Promise<Run> {
  const { context, port, rss } = options;
  const total = context.scale === "smoke" ? 200 : 10_000;
  const stalled = total / 10;
  const rssBefore = rss();
  context.progress(`opening ${total} streams`);
  const streams: Streams = await openStreams({
    port,
    path: streamPath,
    count: total - stalled,
    stalled: { count: stalled, path: options.stalledPath },
  });
  try {
    context.progress("warm-up");
    const warmProblems = await options.feed(warmupSeconds(context));
    const rssOpen = rss();
    streams.reset();
    context.progress(`${total} streams, ${updatesPerSecond} updates/s`);
    const read = options.begin();
    const cpu = process.cpuUsage();
    const startNs = Bun.nanoseconds();
    const problems = await options.feed(context.seconds);
    const seconds = (Bun.nanoseconds() - startNs) / 1e9;
    const own = process.cpuUsage(cpu);
    const processes = read();
    const growth = rss() - rssOpen;
    if (streams.closed() > 0) problems.push(`${streams.closed()} streams were closed`);
    if (streams.fewest() === 0) problems.push("a stream that reads got no update");
    return {
      metrics: {
        ...streams.age.summary(),
        updates_per_stream_per_second: streams.updates() / (total - stalled) / seconds,
        fewest_updates: streams.fewest(),
        distinct_updates: streams.distinct(),
        rss_per_stream_bytes: (rssOpen - rssBefore) / total,
        growth_bytes: growth,
        growth_share: growth / rssOpen,
        cpu_cores: processes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) / seconds,
        generator_cpu_cores: (own.user + own.system) / 1e6 / seconds,
      },
      processes,
      problems: [...warmProblems, ...problems],
    };
  } finally {
    streams.stop();
  }
}

/** An update as large as Sluice's with ten event types, made now. */
function sampleUpdate(): string {
  const value = () => Number((Math.random() * 100).toFixed(4));
  const update: Update = {
    timestamp: new Date().toISOString(),
    window_seconds: 600,
    aggregations: Array.from({ length: 10 }, (_, index) => ({
      event_type: fleet.eventTypes[index + 10]!,
      event_count: 12_345 + index,
      avg_value: value(),
      min_value: value(),
      max_value: value(),
      p50: value(),
      p95: value(),
      p99: value(),
      rate: value(),
    })),
    totals: { event_count: 123_456, rate: value(), active_devices: 1000, event_types: 150 },
    pipeline: {
      accepted: 123_456,
      durable: 123_456,
      stored: 123_400,
      pending: 56,
      dead_lettered: 0,
      store_lag_seconds: value(),
      clickhouse: "ok",
    },
  };
  return JSON.stringify(update);
}
