import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { basename } from "node:path";
import { createRandom } from "../../base/random.ts";
import { until, updateWhere } from "../../testing/test-service.ts";
import { type Fleet, redisProgram, startFleet } from "./rig.ts";
import { faults, post, verify } from "./rounds.ts";

setDefaultTimeout(120_000);

const seed = Number(process.env.REDIS_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const quick = { FLUSH_INTERVAL: "0.2", AGGREGATION_INTERVAL: "0.5", LOG_LEVEL: "warn" };

interface Update {
  readonly totals: { readonly event_count: number };
}

test("without REDIS_URL nothing of it is loaded: what the entries import at once has no Redis in it", async () => {
  const built = await Bun.build({
    entrypoints: ["server/main.ts", "workers/main.ts"],
    root: ".",
    target: "bun",
    splitting: true,
    packages: "external",
  });
  const texts = new Map<string, string>();
  for (const output of built.outputs) texts.set(basename(output.path), await output.text());
  const entries = built.outputs
    .filter((output) => output.kind === "entry-point")
    .map((output) => basename(output.path));
  expect(entries.length).toBe(2);
  // Else this would be true of anything.
  expect([...texts.values()].some((text) => text.includes("new RedisClient"))).toBe(true);
  const loaded = new Set<string>();
  const load = (name: string): void => {
    if (loaded.has(name)) return;
    loaded.add(name);
    for (const [, next] of (texts.get(name) ?? "").matchAll(/^(?:import|\} from)[^;]*?"\.\/([^"]+)";/gm))
      load(next as string);
  };
  for (const output of built.outputs.filter((each) => each.kind === "entry-point")) {
    const text = await output.text();
    expect(text).toContain("import(");
    for (const [, next] of text.matchAll(/"(?:\.\.?\/)+(chunk-[^"]+)";/g)) load(next as string);
    expect(text).not.toContain("new RedisClient");
  }
  for (const name of loaded) expect(texts.get(name) ?? "").not.toContain("new RedisClient");
});

describe.skipIf(redisProgram === null)(`three instances over Redis (seed ${seed})`, () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet(3, quick);
  });
  afterAll(async () => {
    await fleet.dispose();
  });

  const round = async (type: string, fault?: string): Promise<void> => {
    const load = post(fleet, { type, posters: 6, eventsPerPost: 200, posts: 30 });
    const [ledger] = await Promise.all([
      load,
      fault === undefined ? undefined : faults[fault]?.(fleet, createRandom(seed)),
    ]);
    expect((await verify(fleet, type, ledger)).events).toBeGreaterThanOrEqual(ledger.events);
  };

  test("what is posted to one is on the streams of all before it is stored, and in the table once", async () => {
    const [first] = fleet.instances;
    const events = Array.from({ length: 500 }, (_, index) => ({
      device_id: `d${index}`,
      event_type: "live",
      value_float: index,
    }));
    expect((await first?.ingest({ events }))?.status).toBe(202);
    await Promise.all(
      fleet.instances.map((service) =>
        updateWhere<Update>(`${service?.url}/dashboard-stream`, (update) => update.totals.event_count >= 500),
      ),
    );
    await round("quiet");
  });

  test("a round is looked at once what was acknowledged last is stored, whatever nobody answered for was before", async () => {
    const type = "late";
    const unanswered = await fleet.instances[0]?.ingest(
      { events: [{ device_id: "a", event_type: type, value_float: 1, metadata: { batch: "unanswered" } }] },
      { query: "?wait=stored" },
    );
    expect(unanswered?.status).toBe(200);
    // Instances that know of it as stored have as many rows as the round below acknowledges.
    await until("all to know of it", async () => {
      const durable = (await fleet.redis.counts())?.durable;
      const counts = await Promise.all(
        fleet.instances.map(async (each) => (await fetch(`${each?.url}/api/pipeline`)).json()),
      );
      return (counts as { durable: number; pending: number }[]).every(
        (each) => each.durable === durable && each.pending === 0,
      );
    });
    const ledger = await post(fleet, { type, posters: 1, eventsPerPost: 1, posts: 1 });
    ledger.unknown.set("unanswered", 1);
    expect((await verify(fleet, type, ledger)).events).toBe(2);
  });

  test("an Idempotency-Key holds across instances", async () => {
    const headers = { "Idempotency-Key": "once" };
    const body = { events: [{ device_id: "a", event_type: "keyed" }] };
    const answers = await Promise.all(fleet.instances.map((service) => service?.ingest(body, { headers })));
    expect(answers.map((answer) => answer?.status)).toEqual([202, 202, 202]);
    const rows = () =>
      fleet.engine.rows<{ n: number }>("SELECT count() AS n FROM telemetry_events WHERE event_type = 'keyed'");
    await until("the event in the table", async () => ((await rows())[0]?.n ?? 0) > 0);
    expect(await rows()).toEqual([{ n: 1 }]);
  });

  for (const fault of ["an instance killed", "Redis killed and started", "an instance frozen past its lease"]) {
    test(`${fault}: nothing lost, nothing doubled, all streams agree`, () => round(fault.replaceAll(" ", "-"), fault));
  }

  test("while Redis is away requests get 503 at once, /readyz says why, and it recovers by itself", async () => {
    const [service] = fleet.instances;
    await fleet.redis.kill();
    const events = [{ device_id: "a", event_type: "away" }];
    await until("503", async () => (await service?.ingest({ events }))?.status === 503);
    const startedMs = performance.now();
    const refused = await service?.ingest({ events });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(refused?.status).toBe(503);
    expect(refused?.headers.get("retry-after")).toBeTruthy();
    const ready = await fetch(`${service?.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain("Redis is away");
    await fleet.redis.start();
    await until("202", async () => (await service?.ingest({ events }))?.status === 202);
  });

  test("one that only takes events in and one that only writes do together what one does", async () => {
    await Promise.all([0, 1, 2].map((index) => fleet.kill(index)));
    const taker = await fleet.start(0, { ROLE: "ingest" });
    const writer = await fleet.start(1, { ROLE: "writer" });
    const events = Array.from({ length: 100 }, (_, index) => ({ device_id: `d${index}`, event_type: "roles" }));
    expect((await writer.ingest({ events })).status).toBe(404);
    const stored = await taker.ingest({ events }, { query: "?wait=stored" });
    expect(stored.status).toBe(200);
    expect(await fleet.engine.rows("SELECT count() AS n FROM telemetry_events WHERE event_type = 'roles'")).toEqual([
      { n: 100 },
    ]);
    // Both have just started: what they read of the table and of each other may be a moment apart, and must meet.
    for (const service of [taker, writer])
      await until(`the table's total on the stream of ${service.url}`, async () => {
        const update = await updateWhere<Update>(`${service.url}/dashboard-stream`, () => true);
        const [total] = await fleet.engine.rows<{ n: number }>("SELECT count() AS n FROM telemetry_events");
        return update.totals.event_count === total?.n;
      });
  });
});
