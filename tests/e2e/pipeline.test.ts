import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Event } from "../../contract/event.ts";
import type { Update } from "../../contract/stream.ts";
import { type Service, startService, until, updateWhere } from "../../testing/test-service.ts";

/** Ten kinds of events; values are multiples of 1/4, so that sums are exact in any order. */
const shapes: ((index: number, nowMs: number) => Omit<Event, "device_id">)[] = [
  (index) => ({ event_type: "plain", value_float: (index % 400) / 4 }),
  (index) => ({ event_type: "unicode 🌡", value_float: index % 7, value_string: "naïve ünïcödé 漢字 👍" }),
  (index) => ({ event_type: "it's", value_float: -(index % 9), value_string: "O'Brien's \\ \"quoted\"" }),
  () => ({ event_type: "nulls", value_float: null, value_string: null }),
  (index) => ({ event_type: "empty", value_float: index % 2, value_string: "", metadata: { "": "" } }),
  (index) => ({
    event_type: "metadata",
    value_float: index % 5,
    metadata: Object.fromEntries(Array.from({ length: 64 }, (_, key) => [`key ${key}`, `v${index % 10}`])),
  }),
  (index, nowMs) => ({ event_type: "clock, ms", value_float: index % 3, timestamp: nowMs - (index % 480) * 1000 }),
  (index, nowMs) => ({
    event_type: "clock, ISO",
    value_float: index % 3,
    timestamp: new Date(nowMs - (index % 480) * 1000).toISOString(),
  }),
  (index) => ({ event_type: "text only", value_string: `state ${index % 4}` }),
  (index) => ({ event_type: "negative", value_float: -index / 4, metadata: { firmware: "1.2.3", site: "Łódź" } }),
];

const batchEvents = 1000;

interface Tally {
  count: number;
  sum: number;
}

/** Posts `requests` batches over `connections`; every request has a device of its own. Retries what gets no answer, under a new device. */
async function post(
  service: () => Service,
  requests: number,
  connections: number,
  onAnswer: (answered: number) => void = () => undefined,
): Promise<{ acknowledged: Map<string, number>; tally: Map<string, Tally>; refusals: number; broken: number }> {
  const acknowledged = new Map<string, number>();
  const tally = new Map<string, Tally>();
  let next = 0;
  let answered = 0;
  let refusals = 0;
  let broken = 0;
  const nowMs = Date.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      for (let request = next++; request < requests; request = next++) {
        const shape = shapes[request % shapes.length] as (typeof shapes)[number];
        const events = Array.from({ length: batchEvents }, (_, index) => ({
          device_id: `request-${request}`,
          ...shape(request * 7 + index, nowMs),
        }));
        const response = await service()
          .ingest({ events })
          .catch(() => undefined);
        if (response === undefined) {
          broken++;
          await Bun.sleep(5);
          continue;
        }
        await response.arrayBuffer();
        if (response.status !== 202) {
          refusals++;
          continue;
        }
        acknowledged.set(`request-${request}`, batchEvents);
        for (const event of events) {
          const entry = tally.get(event.event_type) ?? { count: 0, sum: 0 };
          entry.count++;
          entry.sum += event.value_float ?? 0;
          tally.set(event.event_type, entry);
        }
        onAnswer(++answered);
      }
    }),
  );
  return { acknowledged, tally, refusals, broken };
}

/** A batch becomes visible table by table: waits until the table, the last rollup of the chain and the devices have all. */
async function stored(service: Service, events: number): Promise<void> {
  await until(
    `${events} events to be stored`,
    async () => {
      const [row] = await service
        .sql<{ n: number }>(
          `SELECT least((SELECT count() FROM telemetry_events), (SELECT sum(event_count) FROM telemetry_1h),
                        (SELECT sum(event_count) FROM devices)) AS n`,
        )
        .catch(() => []);
      return (row?.n ?? 0) >= events;
    },
    60_000,
  );
}

const tallyOf = (rows: { event_type: string; count: number; sum: number | null }[]): Map<string, Tally> =>
  new Map(rows.map((row) => [row.event_type, { count: row.count, sum: row.sum ?? 0 }]));

describe("the whole way", () => {
  let service: Service;
  afterEach(() => service.dispose());

  test("a posted event is on the stream at once and in ClickHouse soon after", async () => {
    service = await startService();
    const seen = updateWhere<Update>(`${service.url}/dashboard-stream`, (update) => update.totals.event_count === 1);
    await service.ingest({ device_id: "one", event_type: "temperature", value_float: 21.5 });
    const update = await seen;
    expect(update.window_seconds).toBe(600);
    expect(update.aggregations[0]).toMatchObject({ event_type: "temperature", event_count: 1, avg_value: 21.5 });
    await stored(service, 1);
  }, 60_000);

  test("1,000,000 events of ten shapes: posted, table, rollups and stream agree", async () => {
    service = await startService();
    const { acknowledged, tally, refusals } = await post(() => service, 1000, 8);
    expect(refusals).toBe(0);
    expect(acknowledged.size).toBe(1000);
    await stored(service, 1_000_000);

    const raw = await service.sql<{ event_type: string; count: number; sum: number | null }>(
      "SELECT event_type, count() AS count, sum(value_float) AS sum FROM telemetry_events GROUP BY event_type",
    );
    expect(tallyOf(raw)).toEqual(tally);
    for (const rollup of ["telemetry_1s", "telemetry_1m", "telemetry_1h"]) {
      const rolled = await service.sql<{ event_type: string; count: number; sum: number | null }>(
        `SELECT event_type, sum(event_count) AS count, sum(value_sum) AS sum FROM ${rollup} GROUP BY event_type`,
      );
      expect(tallyOf(rolled)).toEqual(tally);
    }
    const devices = await service.sql<{ device_id: string; n: number }>(
      "SELECT device_id, sum(event_count) AS n FROM devices GROUP BY device_id",
    );
    expect(new Map(devices.map((row) => [row.device_id, row.n]))).toEqual(acknowledged);

    const update = await updateWhere<Update>(
      `${service.url}/dashboard-stream?limit=200`,
      (candidate) => candidate.pipeline.pending === 0 && candidate.totals.event_count === 1_000_000,
    );
    expect(update.pipeline).toMatchObject({ accepted: 1_000_000, durable: 1_000_000, stored: 1_000_000 });
    expect(update.totals.active_devices).toBe(1000);
    for (const type of update.aggregations) {
      const expected = tally.get(type.event_type) as Tally;
      expect(type.event_count).toBe(expected.count);
      if (type.avg_value !== null) expect(type.avg_value * type.event_count).toBeCloseTo(expected.sum, 3);
    }
    expect(update.aggregations.find((type) => type.event_type === "nulls")?.avg_value).toBeNull();
  }, 120_000);

  test("kill -9 of the service in the middle: every acknowledged event is there once, others whole or not at all", async () => {
    service = await startService();
    let killed: Promise<void> | undefined;
    const { acknowledged } = await post(
      () => service,
      600,
      8,
      (answered) => {
        if (answered !== 200) return;
        killed = service.kill().then(async () => {
          service = await service.restart();
        });
      },
    );
    expect(killed).toBeDefined();
    await killed;
    const rest = await service.ingest({ device_id: "last", event_type: "last" }, { query: "?wait=stored" });
    expect(rest.status).toBe(200);
    const rows = await service.sql<{ device_id: string; n: number }>(
      "SELECT device_id, count() AS n FROM telemetry_events WHERE device_id != 'last' GROUP BY device_id",
    );
    const inTable = new Map(rows.map((row) => [row.device_id, row.n]));
    for (const [device, count] of acknowledged) expect([device, inTable.get(device)]).toEqual([device, count]);
    for (const [device, count] of inTable) expect([device, count]).toEqual([device, batchEvents]);
    const [rolled] = await service.sql<{ n: number }>("SELECT sum(event_count) AS n FROM telemetry_1s");
    expect(rolled?.n).toBe(inTable.size * batchEvents + 1);
    await updateWhere<Update>(
      `${service.url}/dashboard-stream`,
      (update) => update.totals.event_count === inTable.size * batchEvents + 1,
    );
  }, 120_000);

  test("kill -9 of the embedded engine in the middle: nothing lost, nothing doubled, no request fails", async () => {
    service = await startService();
    const pidFile = join(service.dataDirectory, "clickhouse", "engine.pid");
    const enginePid = await until("the engine to run", () => {
      const pid = existsSync(pidFile) ? /\d+/.exec(readFileSync(pidFile, "utf8")) : null;
      return pid !== null && Number(pid[0]);
    });
    expect(enginePid).toBeGreaterThan(1);
    const { acknowledged, refusals, broken } = await post(
      () => service,
      400,
      8,
      (answered) => {
        if (answered === 150) process.kill(enginePid, "SIGKILL");
      },
    );
    expect({ refusals, broken, acknowledged: acknowledged.size }).toEqual({
      refusals: 0,
      broken: 0,
      acknowledged: 400,
    });
    await stored(service, 400_000);
    const rows = await service.sql<{ device_id: string; n: number }>(
      "SELECT device_id, count() AS n FROM telemetry_events GROUP BY device_id",
    );
    expect(new Map(rows.map((row) => [row.device_id, row.n]))).toEqual(acknowledged);
    const [rolled] = await service.sql<{ n: number }>("SELECT sum(event_count) AS n FROM telemetry_1h");
    expect(rolled?.n).toBe(400_000);
    await updateWhere<Update>(`${service.url}/dashboard-stream`, (update) => update.totals.event_count === 400_000);
  }, 120_000);

  test("two services on one directory: the second refuses with one line", async () => {
    service = await startService();
    const second = Bun.spawn([process.execPath, "server/main.ts"], {
      cwd: join(import.meta.dir, "../.."),
      env: { PATH: process.env.PATH ?? "", PORT: "0", EMBEDDED_CLICKHOUSE_PORT: "0", DATA_DIR: service.dataDirectory },
      stderr: "pipe",
    });
    expect(await second.exited).not.toBe(0);
    const text = await new Response(second.stderr).text();
    expect(text.trim().split("\n")).toHaveLength(1);
    expect(text).toContain("another Sluice is running");
  }, 60_000);
});
