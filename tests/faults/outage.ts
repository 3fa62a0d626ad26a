/**
 * `bun tests/faults/outage.ts [--minutes 60] [--rate 5000] [--speed 20]`: ClickHouse is away for that long at that rate, in
 * `minutes / speed` by posting `speed` times as fast; then it is back, and new traffic goes on. Nothing is left out: every event is
 * posted and looked for. Exit code 1 when one is missing or double, or the service grows by more than a tenth.
 */
import { parseArgs } from "node:util";
import { updateWhere } from "../../testing/test-service.ts";
import { until } from "../../testing/until.ts";
import { residentBytes } from "./processes.ts";
import { createRig, type Rig, stopOpenRigs } from "./rig.ts";

export interface OutageOptions {
  readonly minutes: number;
  readonly eventsPerSecond: number;
  readonly speed: number;
  readonly progress: (line: string) => void;
}

export interface OutageResult {
  readonly awayEvents: number;
  readonly events: number;
  /** Events a second, stored, with nothing wrong; of the backlog, with new traffic beside it. */
  readonly normalRate: number;
  readonly catchUpRate: number;
  /** Median resident set of the service in each tenth of the outage, bytes. */
  readonly rssByTenth: readonly number[];
  readonly problems: readonly string[];
}

interface Update {
  readonly totals: { readonly event_count: number };
}

const batchEvents = 1_000;
const devices = 500;
const postersMax = 8;
const normalBatches = 1_000;
const growthMax = 1.1;
const settleTimeoutMs = 300_000;
const rollupTimeoutMs = 10_000;
const streamTimeoutMs = 60_000;
const settings = {
  JOURNAL_MAX_BYTES: "8GiB",
  MAX_BODY_BYTES: "16MiB",
  RING_BYTES: "64MiB",
  FLUSH_INTERVAL: "1",
  SEGMENT_MAX_AGE: "60",
  AGGREGATION_INTERVAL: "2",
  STREAM_INTERVAL: "0.1",
  INSERT_TIMEOUT: "60",
};

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

export async function runOutage(options: OutageOptions): Promise<OutageResult> {
  const rig = await createRig({ mode: "external", env: settings });
  try {
    return await breakAndMend(rig, options);
  } finally {
    await rig.stop();
    rig.remove();
  }
}

async function breakAndMend(
  rig: Rig,
  { minutes, eventsPerSecond, speed, progress }: OutageOptions,
): Promise<OutageResult> {
  const problems: string[] = [];
  let events = 0;
  let valueSum = 0;
  /** Values are quarters, so sums are exact; below the one that the rig makes ClickHouse refuse. */
  async function post(): Promise<void> {
    const first = events;
    events += batchEvents;
    const body = Array.from({ length: batchEvents }, (_, index) => {
      const value = ((first + index) % 2000) / 4;
      valueSum += value;
      return { device_id: `device-${(first + index) % devices}`, event_type: `type-${index % 8}`, value_float: value };
    });
    const response = await fetch(`${rig.url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.status !== 202) problems.push(`${response.status} ${await response.text()}`);
    else await response.arrayBuffer();
  }

  /** At a fixed rate; never more than `postersMax` requests at once. */
  async function postAt(rate: number, wanted: () => boolean, each: () => void = () => undefined): Promise<void> {
    const startedMs = performance.now();
    const underWay = new Set<Promise<void>>();
    for (let batch = 0; wanted() && problems.length === 0; batch++) {
      const dueMs = startedMs + ((batch * batchEvents) / rate) * 1000;
      if (dueMs > performance.now()) await Bun.sleep(dueMs - performance.now());
      if (underWay.size >= postersMax) await Promise.race(underWay);
      const posting: Promise<void> = post().finally(() => underWay.delete(posting));
      underWay.add(posting);
      each();
    }
    await Promise.all(underWay);
  }

  const stored = async (): Promise<number> => Number((await rig.rows("SELECT count() FROM telemetry_events"))[0]?.[0]);
  const allStored = () => until("every event to be stored", async () => (await stored()) >= events, settleTimeoutMs);
  async function streamAgrees(when: string): Promise<void> {
    try {
      const url = `${rig.url}/dashboard-stream`;
      await updateWhere<Update>(url, ({ totals }) => totals.event_count === events, streamTimeoutMs);
    } catch (error) {
      problems.push(`the stream does not show all ${events} events ${when}: ${String(error)}`);
    }
  }

  let startedMs = performance.now();
  await postAt(Number.POSITIVE_INFINITY, () => events < normalBatches * batchEvents);
  await allStored();
  const normalRate = events / ((performance.now() - startedMs) / 1000);
  progress(`normal: ${Math.round(normalRate)} events/s stored`);

  rig.proxy?.refuse(true);
  const before = events;
  const awayEvents = Math.ceil((minutes * 60 * eventsPerSecond) / batchEvents) * batchEvents;
  const samples: { done: number; rss: number }[] = [];
  let sampledMs = 0;
  await postAt(
    eventsPerSecond * speed,
    () => events < before + awayEvents,
    () => {
      if (performance.now() - sampledMs < 250) return;
      sampledMs = performance.now();
      samples.push({ done: (events - before) / awayEvents, rss: residentBytes(rig.service.pid ?? 0) });
      if (samples.length % 40 === 0) progress(`away: ${events - before} of ${awayEvents} events`);
    },
  );
  await streamAgrees("while ClickHouse is away");
  const ready = JSON.stringify(await rig.get("/readyz"));
  if (!/clickhouse/i.test(ready)) problems.push(`/readyz does not name what is wrong: ${ready}`);

  rig.proxy?.refuse(false);
  startedMs = performance.now();
  let caughtUpMs = 0;
  const backlog = events;
  const watching = until("the backlog to be stored", async () => (await stored()) >= backlog, settleTimeoutMs).finally(
    () => {
      caughtUpMs = performance.now();
    },
  );
  await postAt(eventsPerSecond, () => caughtUpMs === 0);
  await watching;
  const catchUpRate = awayEvents / ((caughtUpMs - startedMs) / 1000);
  progress(`back: ${Math.round(catchUpRate)} events/s of the backlog, beside ${eventsPerSecond} new ones`);
  await allStored();
  await streamAgrees("after it");

  for (const [table, columns] of [
    ["telemetry_events", "count(), sum(value_float)"],
    ["telemetry_1s", "sum(event_count), sum(value_sum)"],
    ["telemetry_1m", "sum(event_count), sum(value_sum)"],
    ["telemetry_1h", "sum(event_count), sum(value_sum)"],
  ]) {
    // A rollup has a batch some moments after the table of events does.
    let found: unknown[] = [];
    const isWhole = async (): Promise<boolean> => {
      found = (await rig.rows(`SELECT ${columns} FROM ${table}`))[0] ?? [];
      return Number(found[0]) >= events;
    };
    await until(`all events in ${table}`, isWhole, rollupTimeoutMs).catch(() => undefined);
    if (Number(found[0]) !== events || Number(found[1]) !== valueSum) {
      problems.push(`${table} has ${found[0]} of ${events} events, their values sum to ${found[1]} of ${valueSum}`);
    }
  }
  if (catchUpRate < normalRate / 2)
    problems.push(`the backlog went in at ${catchUpRate}, less than half of ${normalRate}`);
  const rssByTenth = Array.from({ length: 10 }, (_, tenth) =>
    median(samples.filter(({ done }) => Math.min(9, Math.floor(done * 10)) === tenth).map(({ rss }) => rss)),
  );
  // The first tenth is where buffers grow to what the load needs.
  const settled = rssByTenth.slice(1).filter((rss) => rss > 0);
  if (Math.max(...settled) > (settled[0] ?? 0) * growthMax) problems.push(`memory grew: ${rssByTenth.join(", ")}`);
  return { awayEvents, events, normalRate, catchUpRate, rssByTenth, problems };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "60" },
      rate: { type: "string", default: "5000" },
      speed: { type: "string", default: "20" },
    },
  });
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => void stopOpenRigs().then(() => process.exit(130)));
  const result = await runOutage({
    minutes: Number(values.minutes),
    eventsPerSecond: Number(values.rate),
    speed: Number(values.speed),
    progress: say,
  });
  say(`${result.events} events, ${result.awayEvents} of them while ClickHouse was away`);
  say(`RSS by tenths of the outage, MiB: ${result.rssByTenth.map((rss) => Math.round(rss / 2 ** 20)).join(" ")}`);
  for (const problem of result.problems) say(`PROBLEM ${problem}`);
  process.exit(result.problems.length === 0 ? 0 : 1);
}
