import { type Service, until } from "../../testing/test-service.ts";
import type { Fleet } from "./rig.ts";

/** What was posted in a round, and what is known of each batch. */
export interface Ledger {
  readonly acknowledged: Map<string, number>;
  /** Neither acknowledged nor refused: the connection broke. Whole or not at all, once at most. */
  readonly unknown: Map<string, number>;
  refusals: number;
  slowestRefusalMs: number;
  events: number;
}

export interface LoadOptions {
  readonly type: string;
  readonly posters: number;
  readonly eventsPerPost: number;
  readonly posts: number;
  /** Called before a batch is offered for the first time. */
  readonly onOffer?: (batch: number) => void;
}

const postTimeoutMs = 15_000;
/** How long a batch is offered again and again before the round counts as failed. */
const offerTimeoutMs = 60_000;

/**
 * Posts to the living instances in turn. A refused batch is offered again as it is: were anything of it accepted all the
 * same, it would be in the table twice. A batch with an Idempotency-Key is offered again when its answer was lost, too.
 */
export async function post(fleet: Fleet, options: LoadOptions): Promise<Ledger> {
  const ledger: Ledger = {
    acknowledged: new Map(),
    unknown: new Map(),
    refusals: 0,
    slowestRefusalMs: 0,
    events: 0,
  };
  let next = 0;
  let turn = 0;
  const living = (): Service | null => {
    for (let tried = 0; tried < fleet.instances.length; tried++) {
      const service = fleet.instances[turn++ % fleet.instances.length];
      if (service) return service;
    }
    return null;
  };
  async function offer(batch: number): Promise<void> {
    const name = `${options.type}-${batch}`;
    const keyed = batch % 2 === 0;
    const body = JSON.stringify({
      events: Array.from({ length: options.eventsPerPost }, (_, index) => ({
        device_id: `device-${(batch * 7 + index) % 101}`,
        event_type: options.type,
        value_float: index / 4,
        metadata: { batch: name },
      })),
    });
    const deadline = performance.now() + offerTimeoutMs;
    for (;;) {
      if (performance.now() > deadline) throw new Error(`batch ${name} was not taken in ${offerTimeoutMs} ms`);
      const service = living();
      if (service === null) {
        await Bun.sleep(10);
        continue;
      }
      const startedMs = performance.now();
      const response = await fetch(`${service.url}/ingest`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...(keyed ? { "Idempotency-Key": name } : {}) },
        body,
        signal: AbortSignal.timeout(postTimeoutMs),
        keepalive: false,
      }).catch(() => null);
      const text = await response?.text().catch(() => null);
      if (response?.status === 202) {
        ledger.acknowledged.set(name, options.eventsPerPost);
        ledger.events += options.eventsPerPost;
        return;
      }
      if (response?.status === 503) {
        if (!response.headers.get("retry-after")) throw new Error("a 503 without Retry-After");
        ledger.refusals++;
        ledger.slowestRefusalMs = Math.max(ledger.slowestRefusalMs, performance.now() - startedMs);
        await Bun.sleep(10);
        continue;
      }
      if (response !== null) throw new Error(`${response.status}: ${text}`);
      if (keyed) continue;
      // Whether it was taken nobody can tell.
      ledger.unknown.set(name, options.eventsPerPost);
      return;
    }
  }
  await Promise.all(
    Array.from({ length: options.posters }, async () => {
      while (next < options.posts) {
        const batch = next++;
        options.onOffer?.(batch);
        await offer(batch);
      }
    }),
  );
  return ledger;
}

interface Counts {
  readonly pending: number;
  readonly durable: number;
}

interface Found {
  readonly batch: string;
  readonly events: number;
  readonly distinct: number;
}

export interface Verified {
  /** Events of the round that are in the table. */
  readonly events: number;
  /** From when all was stored and known to be until the last stream showed the table's totals. */
  readonly streamsMs: number;
}

/**
 * Everything of the round is stored, each acknowledged event once, the rollups agree, and so do the streams of all living
 * instances. Throws what is wrong.
 */
export async function verify(fleet: Fleet, type: string, ledger: Ledger): Promise<Verified> {
  const { engine, redis, database } = fleet;
  const read = () =>
    engine.rows<Found>(
      `SELECT metadata['batch'] AS batch, count() AS events, uniqExact(value_float) AS distinct
       FROM ${database}.telemetry_events WHERE event_type = '${type}' GROUP BY batch`,
    );
  const settled = async (): Promise<Found[] | false> => {
    // Asked of Redis, where an append counts before it is acknowledged. What an instance says is as of a moment ago, and a
    // batch that nobody answered for may stand in its count where the one that was acknowledged just now is missing.
    const counts = await redis.counts();
    if (counts?.pending !== 0) return false;
    const details = await Promise.all(
      fleet.instances
        .filter((service) => service !== null)
        .map(async (service) => (await fetch(`${service.url}/api/pipeline`)).json() as Promise<Counts>),
    );
    return details.every((each) => each.pending === 0 && each.durable === counts.durable) && (await read());
  };
  let found: Found[] = [];
  try {
    found = await until("nothing to be pending", settled, 60_000);
  } catch (error) {
    throw new Error(`${String(error)}; ${JSON.stringify(await pipelines(fleet))}`);
  }
  const faults: string[] = [];
  const seen = new Map(found.map((each) => [each.batch, each]));
  let total = 0;
  for (const [name, events] of ledger.acknowledged) {
    const got = seen.get(name);
    if (got?.events !== events || got.distinct !== events) faults.push(`${name}: ${got?.events ?? 0} of ${events}`);
  }
  for (const [name, events] of ledger.unknown) {
    const got = seen.get(name);
    if (got !== undefined && (got.events !== events || got.distinct !== events)) {
      faults.push(`${name}, not acknowledged: ${got.events} of ${events}`);
    }
  }
  for (const { batch, events } of found) {
    total += events;
    if (!ledger.acknowledged.has(batch) && !ledger.unknown.has(batch)) faults.push(`${batch} was never posted`);
  }
  const tables = ["telemetry_1s", "telemetry_1m", "telemetry_1h"];
  const [raw] = await engine.rows<{ sum: number }>(
    `SELECT sum(value_float) AS sum FROM ${database}.telemetry_events WHERE event_type = '${type}'`,
  );
  for (const table of tables) {
    const [row] = await engine.rows<{ events: number; sum: number }>(
      `SELECT sum(event_count) AS events, sum(value_sum) AS sum FROM ${database}.${table} WHERE event_type = '${type}'`,
    );
    if (row?.events !== total || row.sum !== raw?.sum) faults.push(`${table} has ${row?.events} of ${total} events`);
  }
  const startedMs = performance.now();
  await Promise.all(
    fleet.instances.map(async (service, index) => {
      if (!service) return;
      const shown = await showing(service, type, total, raw?.sum ?? 0);
      if (shown !== true) faults.push(`the stream of instance ${index} shows ${shown} of ${total} events`);
    }),
  );
  const streamsMs = performance.now() - startedMs;
  if (faults.length > 0) throw new Error(faults.slice(0, 10).join("\n"));
  return { events: total, streamsMs };
}

interface Update {
  readonly aggregations: readonly { event_type: string; event_count: number; avg_value: number | null }[];
}

/** True once the stream shows this type with these totals; else what it showed last, after a while. */
async function showing(service: Service, type: string, events: number, sum: number): Promise<true | string> {
  let last = "nothing";
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 15_000);
  try {
    const response = await fetch(`${service.url}/dashboard-stream?limit=200`, { signal: abort.signal });
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const messages = text.split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) {
        if (!message.includes("event: update")) continue;
        const data = message.split("\n").find((line) => line.startsWith("data: "));
        const update = JSON.parse(data?.slice("data: ".length) ?? "") as Update;
        const row = update.aggregations.find((each) => each.event_type === type);
        const shownSum = (row?.avg_value ?? 0) * (row?.event_count ?? 0);
        last = `${row?.event_count ?? 0}`;
        if (row?.event_count === events && Math.abs(shownSum - sum) <= 1e-9 * Math.abs(sum)) return true;
      }
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
  return last;
}

async function pipelines(fleet: Fleet): Promise<unknown[]> {
  return Promise.all(
    fleet.instances.map(async (service) => {
      if (!service) return null;
      const { pending, durable, stored, reasons } = (await (
        await fetch(`${service.url}/api/pipeline`)
      ).json()) as Record<string, unknown>;
      return { pending, durable, stored, reasons };
    }),
  );
}

/** A writer loses its shards after this long; see `leaseMs` in workers/redis/heartbeat.ts. */
const frozenMs = 4_000;

/** What goes wrong in a round, by name. Each leaves the fleet whole again. */
export const faults: Record<string, (fleet: Fleet, random: () => number) => Promise<void>> = {
  async "an instance killed"(fleet, random) {
    const index = Math.floor(random() * fleet.instances.length);
    await fleet.kill(index);
    await fleet.start(index);
  },
  async "two instances killed"(fleet, random) {
    const spared = Math.floor(random() * fleet.instances.length);
    const indexes = fleet.instances.flatMap((_, index) => (index === spared ? [] : [index]));
    await Promise.all(indexes.map((index) => fleet.kill(index)));
    await Promise.all(indexes.map((index) => fleet.start(index)));
  },
  async "Redis killed and started"(fleet) {
    await fleet.redis.kill();
    await fleet.redis.start();
  },
  async "Redis away for three seconds"(fleet) {
    await fleet.redis.kill();
    await Bun.sleep(3_000);
    await fleet.redis.start();
  },
  async "Redis frozen"(fleet, random) {
    process.kill(fleet.redis.pid, "SIGSTOP");
    await Bun.sleep(500 + 2_000 * random());
    process.kill(fleet.redis.pid, "SIGCONT");
  },
  async "an instance frozen past its lease"(fleet, random) {
    const service = fleet.instances[Math.floor(random() * fleet.instances.length)];
    if (!service) return;
    process.kill(service.pid, "SIGSTOP");
    await Bun.sleep(frozenMs);
    process.kill(service.pid, "SIGCONT");
  },
  async "an instance frozen, then killed while another is"(fleet, random) {
    const first = Math.floor(random() * fleet.instances.length);
    const second = (first + 1) % fleet.instances.length;
    const service = fleet.instances[first];
    if (!service) return;
    process.kill(service.pid, "SIGSTOP");
    await fleet.kill(second);
    await Bun.sleep(frozenMs);
    process.kill(service.pid, "SIGCONT");
    await fleet.start(second);
  },
};
