import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "@clickhouse/client";
import { createTestRoutes } from "../../testing/test-routes.ts";
import { startTestStore, type TestDatabase, type TestStore } from "../../testing/test-store.ts";
import { until } from "../../testing/until.ts";
import { createReader, type Query, type ReaderOptions } from "./reader.ts";
import { Refusal } from "./refusal.ts";

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
let database: TestDatabase;
beforeAll(async () => {
  store = await startTestStore();
  database = await store.createDatabase();
});
afterAll(() => store.stop());

const query = (sql: string, rowsMax = 10): Query => ({ sql, params: {}, rowsMax });
const createTestReader = (options: ReaderOptions = {}) =>
  createReader({ clickhouse: database.client, log: () => undefined }, options);
const never = new AbortController().signal;
/** About `seconds` long, in steps between which ClickHouse looks at its limits. */
const slow = (seconds: number) =>
  query(`SELECT sum(sleepEachRow(0.1)) AS slept FROM numbers(${seconds * 10}) SETTINGS max_block_size = 1`);

async function refusalOf(attempt: Promise<unknown>): Promise<Refusal> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

test("a reader cannot write, whatever its user may do", async () => {
  const reader = createTestReader();
  for (const sql of [
    "INSERT INTO devices (device_id) VALUES ('x')",
    "DROP TABLE devices",
    "CREATE TABLE x (a UInt8) ENGINE = Memory",
    "ALTER TABLE telemetry_events DELETE WHERE 1",
    "TRUNCATE TABLE telemetry_events",
  ]) {
    expect((await refusalOf(reader.rows(query(sql), never))).code).toBe("query_failed");
  }
  expect(await database.rows("SELECT count() AS n FROM devices")).toEqual([{ n: 0 }]);
});

test("a query waits for a ClickHouse that is starting, and no longer than it may", async () => {
  let starting = true;
  const reader = createReader({ clickhouse: database.client, log: () => undefined, starting: () => starting });
  let answered = false;
  const answer = reader.rows<{ one: number }>(query("SELECT 1 AS one"), never).then((rows) => {
    answered = true;
    return rows;
  });
  await Bun.sleep(300);
  expect(answered).toBe(false);
  starting = false;
  expect(await answer).toEqual([{ one: 1 }]);
  starting = true;
  const gone = new AbortController();
  const left = refusalOf(reader.rows(query("SELECT 1 AS one"), gone.signal));
  gone.abort();
  expect(await left).toBeInstanceOf(Refusal);
});

test("a query that takes too long is 504", async () => {
  const refusal = await refusalOf(createTestReader({ queryTimeoutSeconds: 1 }).rows(slow(20), never));
  expect(refusal.code).toBe("query_timeout");
});

test("a query that needs too much memory, or gives too many rows, is 502, and says what to do", async () => {
  const reader = createTestReader({ queryMemoryBytes: 32 * 1024 * 1024 });
  for (const heavy of [
    query("SELECT length(groupArray(number)) AS n FROM numbers(50000000)"),
    query("SELECT number FROM numbers(1000)"),
    query("SELECT repeat('x', 1000000) AS text FROM numbers(200)", 1_000),
  ]) {
    const refusal = await refusalOf(reader.rows(heavy, never));
    expect(refusal.code).toBe("query_failed");
    expect(refusal.message).toContain("shorter range or fewer rows");
  }
});

test("what ClickHouse says stays in the log", async () => {
  const logged: unknown[] = [];
  const reader = createReader({ clickhouse: database.client, log: (...line) => logged.push(line) });
  const refusal = await refusalOf(reader.rows(query("SELECT secret_function(device_id) FROM devices"), never));
  expect(refusal.code).toBe("query_failed");
  expect(refusal.message).not.toContain("secret_function");
  expect(JSON.stringify(logged)).toContain("secret_function");
});

test("a ClickHouse that is away, or has no schema yet, is 503 with Retry-After, on every route", async () => {
  const listener = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
  const closed = `http://127.0.0.1:${listener.port}`;
  await listener.stop(true);
  const away = createClient({ url: closed });
  const bare = await store.createDatabase({ schema: false });
  for (const client of [away, bare.client]) {
    const routes = createTestRoutes(client);
    for (const path of ["/api/history", "/api/event-types", "/api/devices", "/api/devices/a", "/api/events"]) {
      const response = await routes.fetch(path);
      expect([path, response.status]).toEqual([path, 503]);
      expect(response.headers.get("retry-after")).toBe("1");
      const body = await response.json();
      expect(body).toMatchObject({ error: { code: "clickhouse_unavailable" } });
      expect(JSON.stringify(body)).not.toMatch(/ECONN|127\.0\.0\.1|SELECT|telemetry/);
    }
  }
  await away.close();
});

test("a few queries run, a few wait, the rest are refused at once", async () => {
  const reader = createTestReader({ queriesMax: 2, waitingMax: 3 });
  const attempts = Array.from({ length: 8 }, () =>
    reader.rows(slow(0.3), never).then(
      () => "answered",
      (error: unknown) => (error instanceof Refusal ? error.code : "bug"),
    ),
  );
  const outcomes = await Promise.all(attempts);
  expect(outcomes.filter((outcome) => outcome === "answered")).toHaveLength(5);
  expect(outcomes.filter((outcome) => outcome === "overloaded")).toHaveLength(3);
  // Every place was given back.
  expect(await reader.rows(query("SELECT 1 AS one"), never)).toEqual([{ one: 1 }]);
});

test("a query waits for its turn for seconds, not for minutes, and leaves no place taken", async () => {
  const reader = createTestReader({ queriesMax: 1, waitMaxMs: 100 });
  const running = reader.rows(slow(1), never);
  const startedMs = performance.now();
  const refusals = await Promise.all([1, 2, 3].map(() => refusalOf(reader.rows(slow(1), never))));
  expect(refusals.map(({ code }) => code)).toEqual(["overloaded", "overloaded", "overloaded"]);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(99);
  expect(await running).toHaveLength(1);
  expect(await reader.rows(query("SELECT 1 AS one"), never)).toEqual([{ one: 1 }]);
});

test("who goes away while waiting gives the place in the queue to others", async () => {
  const reader = createTestReader({ queriesMax: 1, waitingMax: 1 });
  const running = reader.rows(slow(1), never);
  const gone = new AbortController();
  const waiting = refusalOf(reader.rows(slow(1), gone.signal));
  gone.abort();
  await waiting;
  // The queue of one has room again.
  expect(await reader.rows(query("SELECT 1 AS one"), never)).toEqual([{ one: 1 }]);
  await running;
});

test("a request whose time is over is 504, in whichever of its queries that happens", async () => {
  expect((await refusalOf(createTestReader().rows(slow(20), AbortSignal.timeout(200)))).code).toBe("query_timeout");
  expect(
    (await refusalOf(createTestReader().rows(slow(20), AbortSignal.abort(new DOMException("", "TimeoutError"))))).code,
  ).toBe("query_timeout");
});

test("an overloaded reader is 503 with Retry-After on a route", async () => {
  const routes = createTestRoutes(database.client, Date.now, { queriesMax: 0, waitMaxMs: 10 });
  const response = await routes.fetch("/api/devices");
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await response.json()).toMatchObject({ error: { code: "overloaded" } });
});

test("a reader who goes away ends the query", async () => {
  const gone = new AbortController();
  const attempt = refusalOf(createTestReader().rows(slow(20), gone.signal));
  const running = async () =>
    (
      await database.rows(
        "SELECT 1 FROM system.processes WHERE query LIKE '%sleepEachRow%' AND query NOT LIKE '%processes%'",
      )
    ).length;
  await until("it runs", async () => (await running()) === 1);
  gone.abort();
  await attempt;
  await until("it has ended", async () => (await running()) === 0);
});
