import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { StoredEvent } from "../../contract/event.ts";
import { Events } from "../../contract/read.ts";
import { createTestRoutes, type TestQuery, type TestRoutes } from "../../testing/test-routes.ts";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../../testing/test-store.ts";
import { createEventPages } from "./event-pages.ts";
import { createReader, type Query, type Reader } from "./reader.ts";

const baseMs = Math.floor(Date.now() / 60_000) * 60_000 - 3 * 86_400_000;

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
beforeAll(async () => {
  store = await startTestStore();
});
afterAll(() => store.stop());

async function walk(routes: TestRoutes, query: TestQuery, between?: () => Promise<void>): Promise<StoredEvent[]> {
  const found: StoredEvent[] = [];
  let cursor: string | undefined;
  do {
    const page = await routes.get(Events, "/api/events", { ...query, cursor });
    expect(page.events.length).toBeLessThanOrEqual(Number(query.limit ?? 100));
    found.push(...page.events);
    cursor = page.cursor ?? undefined;
    await between?.();
  } while (cursor !== undefined);
  return found;
}

const isNewestFirst = (events: readonly StoredEvent[]): boolean =>
  events.every((event, index) => index === 0 || events[index - 1]!.timestamp >= event.timestamp);

/** Each event says its own number, so that one that is missing or doubled shows. */
const numbers = (events: readonly StoredEvent[]): number[] => events.map((event) => Number(event.value_float));
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

describe("GET /api/events", () => {
  test("a walk sees each event once, newest first, while others arrive", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    // Three days, some milliseconds with many events, gaps of hours: every window is used.
    const timeOf = (index: number) =>
      baseMs + (index % 5 === 0 ? 7_200_000 : Math.floor((index / 2_500) ** 3 * 250_000_000));
    const events = Array.from({ length: 2_500 }, (_, index) => ({
      device_id: `d${index % 9}`,
      event_type: `t${index % 4}`,
      timestamp: timeOf(index),
      value_float: index,
    }));
    for (const part of [0, 1, 2]) {
      await database.insert(
        events.filter((_, index) => index % 3 === part),
        `part-${part}`,
      );
    }
    let arrived = 0;
    const found = await walk(routes, { limit: 97 }, async () => {
      if (arrived++ % 6 !== 0) return;
      const late = [baseMs + 7_200_000, Date.now(), baseMs - 1_000].map((timestamp) => ({
        device_id: "late",
        event_type: "late",
        timestamp,
      }));
      await database.insert(late, `late-${arrived}`);
    });
    expect(isNewestFirst(found)).toBe(true);
    expect(sorted(numbers(found.filter((event) => event.device_id !== "late")))).toEqual(
      events.map((_, index) => index),
    );

    for (const [query, keep] of [
      [{ device_id: "d3" }, (index: number) => index % 9 === 3],
      [{ event_type: "t2" }, (index: number) => index % 4 === 2],
      [{ event_type: ["t0", "t3"], device_id: "d8" }, (index: number) => [0, 3].includes(index % 4) && index % 9 === 8],
      [
        { from: baseMs + 7_200_000, to: baseMs + 100_000_000, event_type: ["t0", "t1", "t2", "t3"] },
        (index: number) => timeOf(index) >= baseMs + 7_200_000 && timeOf(index) < baseMs + 100_000_000,
      ],
    ] as const) {
      const some = await walk(routes, { ...query, limit: 200 });
      expect(isNewestFirst(some)).toBe(true);
      expect(sorted(numbers(some))).toEqual(events.map((_, index) => index).filter(keep));
    }
  });

  test("events that are equal in everything are each counted", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    const event = { device_id: "a", event_type: "t", timestamp: baseMs, value_float: 1 };
    const events = [
      ...new Array<TestEvent>(250).fill(event),
      ...new Array<TestEvent>(30).fill({ ...event, value_float: 2 }),
      ...new Array<TestEvent>(40).fill({ ...event, timestamp: baseMs - 1 }),
    ];
    await database.insert(events, "one");
    for (const limit of [1_000, 320, 319, 100, 31]) {
      const found = await walk(routes, { limit });
      expect(found.length).toBe(320);
      expect(found.filter((each) => each.value_float === 2).length).toBe(30);
      expect(isNewestFirst(found)).toBe(true);
    }
  });

  test("`from` is inclusive and `to` exclusive, to the millisecond", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    await database.insert(
      [0, 1, 2, 3].map((index) => ({ device_id: "a", event_type: "t", timestamp: baseMs + index, value_float: index })),
      "one",
    );
    const found = await routes.get(Events, "/api/events", { from: baseMs + 1, to: baseMs + 3 });
    expect(numbers(found.events)).toEqual([2, 1]);
    const iso = (index: number) => new Date(baseMs + index).toISOString();
    expect(numbers((await routes.get(Events, "/api/events", { from: iso(2) })).events)).toEqual([3, 2]);
    expect(numbers((await routes.get(Events, "/api/events", { to: iso(1) })).events)).toEqual([0]);
    expect((await routes.get(Events, "/api/events", { from: baseMs + 4 })).events).toEqual([]);
    expect((await routes.get(Events, "/api/events", { to: baseMs })).events).toEqual([]);
  });

  test("what went in comes out, in every format", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    const texts = ["plain", "", 'say "x", then\r\nleave', "O'Brien\\", "😀 ünïcödé", "\t\0\u2028", " spaces "];
    const events: TestEvent[] = texts.map((value_string, index) => ({
      device_id: `dévice "${index}", a`,
      event_type: "t,\n'",
      timestamp: baseMs - index,
      received_at: baseMs + 5,
      value_float: [0.1, -0, 1e21, 5e-324, -1.5, Number.MAX_SAFE_INTEGER, 3][index] ?? null,
      value_string,
      metadata: { [value_string || "empty"]: value_string, ["__proto__"]: "x", 'q"': "\n" },
    }));
    events.push({ device_id: "none", event_type: "t", timestamp: baseMs - 100, received_at: baseMs });
    await database.insert(events, "one");
    const expected = events.map((event) => ({
      device_id: event.device_id,
      event_type: event.event_type,
      timestamp: new Date(event.timestamp).toISOString(),
      received_at: new Date(event.received_at ?? 0).toISOString(),
      value_float: event.value_float ?? null,
      value_string: event.value_string ?? null,
      metadata: event.metadata ?? {},
    }));
    const json = await routes.get(Events, "/api/events");
    expect(json.events.map((event) => JSON.parse(JSON.stringify(event)))).toEqual(JSON.parse(JSON.stringify(expected)));

    const ndjson = await routes.fetch("/api/events", { format: "ndjson" });
    expect(ndjson.headers.get("content-type")).toBe("application/x-ndjson; charset=utf-8");
    const lines = (await ndjson.text()).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify(expected)));

    const csv = await routes.fetch("/api/events", { format: "csv" });
    expect(csv.headers.get("content-type")).toStartWith("text/csv");
    const [head, ...rows] = parseCsv(await csv.text());
    expect(head).toEqual(Object.keys(json.events[0]!));
    expect(rows).toEqual(
      expected.map((event) => [
        event.timestamp,
        event.received_at,
        event.device_id,
        event.event_type,
        event.value_float === null ? "" : String(event.value_float),
        event.value_string ?? "",
        JSON.stringify(event.metadata),
      ]),
    );
  });

  test("an export goes on past a page, and stops at its limit", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    await database.run(
      `INSERT INTO telemetry_events SELECT fromUnixTimestamp64Milli(toInt64(${baseMs} + intDiv(number, 3)), 'UTC'), timestamp,
         'd' || toString(number % 10), 't', number, NULL, map()
       FROM (SELECT number, now64(3) AS timestamp FROM numbers(30000))`,
    );
    const lines = async (query: TestQuery) =>
      (await (await routes.fetch("/api/events", { format: "ndjson", ...query })).text()).trimEnd().split("\n");
    const all = (await lines({})).map((line): StoredEvent => JSON.parse(line));
    expect(sorted(numbers(all))).toEqual(Array.from({ length: 30_000 }, (_, index) => index));
    expect(isNewestFirst(all)).toBe(true);
    expect(await lines({ limit: 12_345 })).toHaveLength(12_345);
    expect(await lines({ limit: 3 })).toHaveLength(3);
    expect(await lines({ device_id: "d4" })).toHaveLength(3_000);
  });

  test("an export that nobody reads is not produced, and one that breaks does not end well", async () => {
    const database = await store.createDatabase();
    await database.run(
      `INSERT INTO telemetry_events SELECT fromUnixTimestamp64Milli(toInt64(${baseMs} + number), 'UTC'), now64(3),
         'd', 't', number, repeat('x', 1000), map() FROM numbers(20000)`,
    );
    const queries: string[] = [];
    const clickhouse = Object.create(database.client, {
      query: {
        value: (params: Parameters<TestDatabase["client"]["query"]>[0]) => {
          queries.push(params.query);
          return database.client.query(params);
        },
      },
    });
    const routes = createTestRoutes(clickhouse);
    const response = await routes.fetch("/api/events", { format: "csv" });
    const first = queries.length;
    const reader = response.body!.getReader();
    await reader.read();
    const read = queries.length;
    expect(read).toBeLessThanOrEqual(first + 4);
    await reader.cancel();
    expect(queries.length).toBe(read);

    const broken = await routes.fetch("/api/events", { format: "csv" });
    await database.run("RENAME TABLE telemetry_events TO away");
    await expect(broken.text()).rejects.toThrow();
  });

  test("refuses what it cannot mean, by name", async () => {
    const routes = createTestRoutes((await store.createDatabase()).client);
    const cases: [TestQuery, string][] = [
      [{ limit: 0 }, "limit"],
      [{ limit: 1_001 }, "limit"],
      [{ limit: 1_000_001, format: "csv" }, "limit"],
      [{ format: "xml" }, "format"],
      [{ cursor: "abc" }, "cursor"],
      [{ from: 5, to: 5 }, "from"],
      [{ from: "x" }, "from"],
      [{ device_id: "x".repeat(257) }, "device_id"],
      [{ event_type: "x".repeat(129) }, "event_type"],
      [{ device: "a" }, "device"],
    ];
    for (const [query, name] of cases) {
      const refusal = await routes.refused("/api/events", query);
      expect(refusal).toMatchObject({ status: 400, code: "invalid_parameter" });
      expect(refusal.message).toStartWith(`${name}: `);
    }
  });

  test("an empty database answers with nothing", async () => {
    const routes = createTestRoutes((await store.createDatabase()).client);
    for (const query of [{}, { device_id: "a" }, { event_type: "t" }, { from: 5, to: 6 }]) {
      expect(await routes.get(Events, "/api/events", query)).toEqual({ events: [], cursor: null });
    }
    expect(await (await routes.fetch("/api/events", { format: "csv" })).text()).toBe(
      "timestamp,received_at,device_id,event_type,value_float,value_string,metadata\r\n",
    );
    expect(await (await routes.fetch("/api/events", { format: "ndjson" })).text()).toBe("");
  });
});

describe("what a page costs", () => {
  const rowCount = 1_000_000;
  let database: TestDatabase;
  beforeAll(async () => {
    database = await store.createDatabase();
    // 20 events a second, 13.9 hours, in one part: the worst case for the newest of the fleet.
    await database.run(
      `INSERT INTO telemetry_events SELECT fromUnixTimestamp64Milli(toInt64(${baseMs} + number * 50), 'UTC'), now64(3),
         'd' || toString(number % 100), if(number % 250000 = 7, 'rare', 't' || toString(number % 10)), number, NULL, map()
       FROM numbers(${rowCount}) SETTINGS max_threads = 1`,
    );
    await database.run("OPTIMIZE TABLE telemetry_events FINAL");
  });

  /** A reader that adds up how many rows ClickHouse would read for each query. */
  function createCountingReader(): { reader: Reader; rowsRead: () => number } {
    const real = createReader({ clickhouse: database.client, log: () => undefined });
    const signal = new AbortController().signal;
    let rowsRead = 0;
    return {
      rowsRead: () => rowsRead,
      reader: {
        async rows<T>(query: Query) {
          const estimates = await real.rows<{ rows: number; table: string }>(
            { ...query, sql: `EXPLAIN ESTIMATE ${query.sql}`, rowsMax: 100 },
            signal,
          );
          for (const { rows } of estimates) rowsRead += rows;
          return real.rows<T>(query, signal);
        },
      },
    };
  }

  const cases: [string, { deviceId?: string; eventTypes?: string[]; toMs?: number }, number][] = [
    ["the newest of the fleet", {}, 100_000],
    ["the newest before a time", { toMs: baseMs + 20_000_000 }, 150_000],
    ["the newest of a device", { deviceId: "d77" }, 200_000],
    ["the newest of a type", { eventTypes: ["t3"] }, 150_000],
    ["a type that is nearly never there", { eventTypes: ["rare"] }, 250_000],
    ["a device that is not there", { deviceId: "nobody" }, 10_000],
    ["a type that is not there", { eventTypes: ["nothing"] }, 10_000],
  ];
  for (const [name, filter, rowsMax] of cases) {
    test(`${name}: at most ${rowsMax} of ${rowCount} rows`, async () => {
      const { reader, rowsRead } = createCountingReader();
      const readPage = createEventPages(reader);
      const signal = new AbortController().signal;
      const whole = { deviceId: undefined, eventTypes: [], fromMs: undefined, toMs: undefined, ...filter };
      await readPage(whole, null, 100, signal);
      expect(rowsRead()).toBeLessThanOrEqual(rowsMax);
    });
  }
});

/** RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const fields = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/gy;
  for (let match = fields.exec(text); match !== null && fields.lastIndex <= text.length; match = fields.exec(text)) {
    rows.at(-1)!.push(match[1] === undefined ? (match[2] ?? "") : match[1].replaceAll('""', '"'));
    if (match[3] === "\r\n") rows.push([]);
    if (fields.lastIndex === text.length) break;
  }
  return rows.filter((row) => row.length > 0);
}
