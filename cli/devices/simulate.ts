/**
 * `sluice simulate`: a fleet at a constant rate.
 *
 * It shares the device client's requests and backoff, and not its delivery: a device sends one batch after another, in
 * order; a fleet has many under way at once, and measures each from the time when it was due.
 */
import { createLatency } from "../../base/latency.ts";
import { createPost, type Outcome, type RequestBatch } from "../../sdk/src/request.ts";
import { destinationOptions, integerBetween, numberBetween, parseArguments, parseOutage } from "./arguments.ts";
import { createDelivery, type DeliveryCounts, pause } from "./delivery.ts";
import { createFleet } from "./fleet.ts";
import { createSchedule, paceBatches, usualBatchSize } from "./schedule.ts";
import { createStatusLine } from "./status-line.ts";
import { addTotals, type Totals, totalsOf, totalsRecord } from "./totals.ts";

const maxInFlight = 64;
/** About 100 MB of requests; past it the oldest are given up, and the exit code says so. */
const maxWaitingEvents = 500_000;
/** Of the service, unless it was told otherwise. */
const largestBatch = 10_000;
const requestTimeoutMs = 30_000;
const drainMs = 60_000;
const quietMs = 10_000;
const progressMs = 500;
/** Different refusals that are told. */
const maxTold = 20;

const program = {
  usage: "sluice simulate [options]",
  about: `A fleet of devices at a constant rate, whatever the answers (open loop). Refused requests are sent again; latency counts
from when a request was due. Ends with what was acknowledged, for each type, and the query that must give the same.
Exit code 1 when events were given up: ${maxWaitingEvents} waited already, the service rejected them, or ${drainMs / 1000} s after the
end they were still not accepted.`,
  options: {
    ...destinationOptions(process.env.SLUICE_KEY),
    devices: {
      value: "N",
      help: "devices in the fleet",
      fallback: 10_000,
      parse: integerBetween(1, 1_000_000),
      allowed: "1 to 1000000",
    },
    rate: {
      value: "N",
      help: "events per second",
      fallback: 5_000,
      parse: numberBetween(0.1, 1_000_000),
      allowed: "0.1 to 1000000",
    },
    seconds: {
      value: "N",
      help: "how long",
      fallback: 60,
      parse: numberBetween(0.1, 1e7),
      allowed: "a number of seconds from 0.1",
    },
    batch: {
      value: "N",
      help: "events in a request",
      fallback: 0,
      fallbackText: "what makes 50 requests a second",
      parse: integerBetween(1, largestBatch),
      allowed: `1 to ${largestBatch}`,
    },
    sites: {
      value: "N",
      help: "sites that the devices are spread over: metadata.site is site-1 to site-N",
      fallback: 5,
      parse: integerBetween(1, 100_000),
      allowed: "1 to 100000",
    },
    silence: {
      value: "FRACTION@SECONDS+SECONDS",
      help: "so many devices stop then, for so long: 0.1@30+60. Without it one device in ten is flaky",
      fallback: undefined,
      fallbackText: "",
      parse: parseOutage,
      allowed: "a fraction from 0 to 1, the second at which it starts and the seconds it lasts, as in 0.1@30+60",
    },
    seed: {
      value: "N",
      help: "of all values and devices",
      fallback: 1,
      parse: integerBetween(0, 2 ** 32 - 1),
      allowed: "0 to 4294967295",
    },
    json: { help: "print the result as JSON on standard output; progress goes to standard error either way" },
  },
};

type Settings = Extract<ReturnType<typeof parse>, { kind: "run" }>["values"];

const parse = (argv: readonly string[]) => parseArguments(argv, program);

interface FleetBatch extends RequestBatch {
  readonly dueMs: number;
  readonly totals: Totals;
}

export async function simulate(argv: readonly string[]): Promise<number> {
  const parsed = parse(argv);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  if (parsed.kind === "wrong") {
    console.error(parsed.message);
    return 2;
  }
  return run(parsed.values);
}

async function run(settings: Settings): Promise<number> {
  const { url, key, devices, rate, seconds, sites, silence, seed, json } = settings;
  const batchSize = settings.batch || usualBatchSize(rate, largestBatch);
  /** Not the seed: a second run with one seed within the hour would be taken for a repetition of the first. */
  const run = crypto.randomUUID();
  const startEpochMs = Date.now();
  const fleet = createFleet({ devices, seed, run, sites, outage: silence && { ...silence, startEpochMs } });
  const schedule = createSchedule({ rate, seconds, batchSize });
  const line = createStatusLine(process.stderr, { quietMs, now: () => performance.now() });
  const stopping = new AbortController();
  const latency = createLatency();
  const acknowledged: Totals = new Map();
  const delivery = createDelivery<FleetBatch>(
    {
      post: createPost({ url, key, timeoutMs: requestTimeoutMs, now: Date.now }),
      pause,
      random: Math.random,
      onAcknowledged(batch) {
        latency.record((performance.now() - batch.dueMs) * 1000);
        addTotals(acknowledged, batch.totals);
      },
      onOutcome: createTeller(line, () => stopping.abort()),
    },
    { maxInFlight, maxWaitingEvents },
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
  line.say(`${devices} devices, ${rate} events/s in requests of ${batchSize}, ${seconds} s → ${url}; seed ${seed}`);
  const startMs = performance.now();
  const describe = createProgress(startMs, delivery.counts, latency);
  const progress = setInterval(() => line.status(describe()), progressMs);
  const requests = await paceBatches(
    schedule,
    (batch, dueMs) => {
      const events = Array.from({ length: batch.size }, (_, index) =>
        fleet.next(startEpochMs + schedule.eventMs(batch.firstEvent + index)),
      ).filter((event) => event !== null);
      if (events.length === 0) return;
      delivery.offer({
        idempotencyKey: `${run}-${batch.firstEvent}`,
        body: JSON.stringify({ events }),
        eventCount: events.length,
        dueMs,
        totals: totalsOf(events),
      });
    },
    { now: () => performance.now(), pause, stop: stopping.signal },
  );
  const sentSeconds = (performance.now() - startMs) / 1000;
  await delivery.drain(drainMs);
  delivery.stop();
  clearInterval(progress);
  line.close();
  const result = {
    run,
    seed,
    devices,
    seconds: sentSeconds,
    requests,
    ...resultOf(delivery.counts, latency),
    types: totalsRecord(acknowledged),
    query: `SELECT event_type, count() AS count, sum(value_float) AS sum FROM telemetry_events WHERE metadata['run'] = '${run}' GROUP BY event_type ORDER BY event_type`,
  };
  process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : resultText(result));
  return result.given_up > 0 ? 1 : 0;
}

/** Tells each refusal once; a refused key ends the program. */
function createTeller(line: ReturnType<typeof createStatusLine>, stop: () => void): (outcome: Outcome) => void {
  const told = new Set<string>();
  return (outcome) => {
    if (outcome.kind === "acknowledged") return;
    const text = outcome.kind === "unreachable" ? outcome.message : `${outcome.status} ${outcome.message}`;
    if (!told.has(text) && told.size < maxTold) {
      told.add(text);
      line.say(`${outcome.kind}: ${text}`);
    }
    if (outcome.kind === "rejected" && (outcome.status === 401 || outcome.status === 403)) stop();
  };
}

type Latency = ReturnType<typeof createLatency>;

/** The progress line; its rate is that since it was last asked for. */
function createProgress(startMs: number, counts: DeliveryCounts, latency: Latency): () => string {
  let shownMs = startMs;
  let shownAcknowledged = 0;
  return () => {
    const nowMs = performance.now();
    const { offered, acknowledged, pending, refusedRequests, unreachableRequests } = counts;
    const perSecond = Math.round(((acknowledged - shownAcknowledged) * 1000) / Math.max(1, nowMs - shownMs));
    shownMs = nowMs;
    shownAcknowledged = acknowledged;
    const { p50_ms, p99_ms } = latency.summary();
    return [
      `${((nowMs - startMs) / 1000).toFixed(0)} s`,
      `sent ${offered}`,
      `acknowledged ${acknowledged}`,
      `${perSecond}/s`,
      `waiting ${pending}`,
      `refused ${refusedRequests + unreachableRequests}`,
      `p50 ${p50_ms.toFixed(1)} ms`,
      `p99 ${p99_ms.toFixed(1)} ms`,
    ].join("  ");
  };
}

function resultOf(counts: DeliveryCounts, latency: Latency) {
  const { p50_ms, p99_ms, max_ms } = latency.summary();
  return {
    offered: counts.offered,
    acknowledged: counts.acknowledged,
    given_up: counts.dropped + counts.rejected + counts.pending,
    refused_requests: counts.refusedRequests,
    unreachable_requests: counts.unreachableRequests,
    latency_ms: { p50: p50_ms, p99: p99_ms, max: max_ms },
  };
}

function resultText(
  result: ReturnType<typeof resultOf> & { types: ReturnType<typeof totalsRecord>; query: string },
): string {
  const { p50, p99, max } = result.latency_ms;
  const rows = Object.entries(result.types).map(
    ([type, { count, sum }]) => `  ${type.padEnd(18)}${String(count).padStart(12)}${String(sum ?? "–").padStart(20)}`,
  );
  return [
    `${result.acknowledged} of ${result.offered} events acknowledged, ${result.given_up} given up`,
    `${result.refused_requests} requests refused, ${result.unreachable_requests} unanswered; all were sent again`,
    `latency from due to acknowledged: p50 ${p50} ms, p99 ${p99} ms, longest ${max} ms`,
    `  ${"acknowledged".padEnd(18)}${"count".padStart(12)}${"sum of values".padStart(20)}`,
    ...rows,
    "ClickHouse must say the same:",
    result.query,
    "",
  ].join("\n");
}
