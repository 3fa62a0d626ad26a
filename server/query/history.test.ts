import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { limits } from "../../contract/limits.ts";
import { EventTypes, History, type HistoryPoint } from "../../contract/read.ts";
import { createTestRoutes, type TestQuery, type TestRoutes } from "../../testing/test-routes.ts";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../../testing/test-store.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** On an hour, so that the last hours are whole. */
const nowMs = Math.floor(Date.now() / hourMs) * hourMs;

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
let database: TestDatabase;
let routes: TestRoutes;
let events: TestEvent[];
beforeAll(async () => {
  store = await startTestStore();
  database = await store.createDatabase();
  routes = createTestRoutes(database.client, () => nowMs);
  events = createEvents();
  // In several parts, so that rows of one key have to be merged by the query.
  for (let part = 0; part < 4; part++) {
    await database.insert(
      events.filter((_, index) => index % 4 === part),
      `part-${part}`,
    );
  }
});
afterAll(() => store.stop());

/** Three days, denser towards now; values of both signs over many magnitudes, zeros, and events without any. */
function createEvents(): TestEvent[] {
  let state = 42;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: 20_000 }, (_, index) => {
    const ageMs = Math.floor(3 * dayMs * random() ** 6);
    const type = Math.floor(random() * 5);
    const values = [random() * 100, -random() * 1e6, 10 ** (random() * 30 - 12), index % 3 === 0 ? 0 : random() - 0.5];
    const value_float = values[type];
    return {
      device_id: `device-${index % 7}`,
      event_type: `type ${type}'`,
      timestamp: nowMs - 1 - ageMs,
      ...(value_float === undefined || index % 11 === 0 ? {} : { value_float }),
    };
  });
}

/** What the answer must be, from the events themselves. */
function recompute(answer: History, type: string, keep: (event: TestEvent) => boolean = () => true): HistoryPoint[] {
  const [fromMs, toMs, stepMs] = [Date.parse(answer.from), Date.parse(answer.to), answer.step_seconds * 1_000];
  const steps = new Map<number, TestEvent[]>();
  for (const event of events) {
    if (event.event_type !== type || event.timestamp < fromMs || event.timestamp >= toMs || !keep(event)) continue;
    const step = Math.floor(event.timestamp / stepMs) * stepMs;
    steps.set(step, [...(steps.get(step) ?? []), event]);
  }
  return [...steps]
    .sort(([a], [b]) => a - b)
    .map(([step, members]) => {
      const values = members.flatMap((event) => event.value_float ?? []).sort((a, b) => a - b);
      const quantile = (q: number) => values[Math.floor(q * (values.length - 1))] ?? null;
      return {
        time: new Date(step).toISOString(),
        count: members.length,
        avg: values.length > 0 ? values.reduce((a, b) => a + b) / values.length : null,
        min: values[0] ?? null,
        max: values.at(-1) ?? null,
        p50: quantile(0.5),
        p95: quantile(0.95),
        p99: quantile(0.99),
      };
    });
}

/** Counts and extremes exactly, the mean but for rounding, quantiles within one percent. */
function expectSamePoints(found: readonly HistoryPoint[], expected: readonly HistoryPoint[]): void {
  expect(found.map(({ time, count, min, max }) => ({ time, count, min, max }))).toEqual(
    expected.map(({ time, count, min, max }) => ({ time, count, min, max })),
  );
  for (const [index, point] of found.entries()) {
    for (const [figure, tolerance] of [
      ["avg", 1e-9],
      ["p50", 0.0101],
      ["p95", 0.0101],
      ["p99", 0.0101],
    ] as const) {
      const [value, exact] = [point[figure], expected[index]?.[figure] ?? null];
      if (value === null || exact === null) expect([point.time, figure, value]).toEqual([point.time, figure, exact]);
      else {
        const scale = figure === "avg" ? Math.max(Math.abs(point.min ?? 0), Math.abs(point.max ?? 0)) : Math.abs(exact);
        expect(Math.abs(value - exact)).toBeLessThanOrEqual(scale * tolerance + 1e-15);
      }
    }
  }
}

const history = (query: TestQuery = {}) => routes.get(History, "/api/history", query);

describe("GET /api/history", () => {
  const cases: [string, string, TestQuery][] = [
    ["seconds, the default hour", "telemetry_1s", {}],
    ["seconds, steps of seven", "telemetry_1s", { from: nowMs - 12_345_678, to: nowMs - 1_234_567, step: 7 }],
    ["minutes", "telemetry_1m", { from: nowMs - dayMs, to: nowMs }],
    ["hours", "telemetry_1h", { from: nowMs - 3 * dayMs, to: nowMs, step: 3_600 }],
    ["days", "telemetry_1h", { from: nowMs - 3 * dayMs, to: nowMs, step: 86_400 }],
  ];
  for (const [name, source, query] of cases) {
    test(`${name}: equals what the events say`, async () => {
      const answer = await history({ ...query, limit: 50 });
      expect(answer.source).toBe(source);
      expect(answer.series.length).toBe(5);
      for (const series of answer.series) expectSamePoints(series.points, recompute(answer, series.event_type));
      const total = (index: number) => answer.series[index]?.points.reduce((sum, point) => sum + point.count, 0) ?? 0;
      for (let index = 1; index < 5; index++) expect(total(index)).toBeLessThanOrEqual(total(index - 1));
    });
  }

  test("of a device: equals what its events say, and the ends are exact", async () => {
    const fromMs = events.find((event) => event.device_id === "device-3")!.timestamp;
    const answer = await history({ device_id: "device-3", from: fromMs - 2 * hourMs - 17, to: fromMs, step: 60 });
    expect(answer).toMatchObject({ source: "telemetry_events", to: new Date(fromMs).toISOString() });
    expect(answer.series.length).toBeGreaterThan(0);
    for (const series of answer.series) {
      const expected = recompute(answer, series.event_type, (event) => event.device_id === "device-3");
      expectSamePoints(series.points, expected);
    }
  });

  test("`to` is exclusive, `from` is not", async () => {
    const fresh = await store.createDatabase();
    const at = nowMs - 60_000;
    await fresh.insert(
      [at - 1_000, at, at + 1_000].map((timestamp) => ({ device_id: "a", event_type: "t", timestamp })),
      "one",
    );
    const answer = await createTestRoutes(fresh.client, () => nowMs).get(History, "/api/history", {
      from: at,
      to: at + 1_000,
    });
    expect(answer.series[0]?.points.map((point) => point.time)).toEqual([new Date(at).toISOString()]);
  });

  test("types asked for come in that order, the unknown one empty", async () => {
    const answer = await history({ event_type: ["type 4'", "no such type", "type 0'"] });
    expect(answer.series.map((series) => series.event_type)).toEqual(["type 4'", "no such type", "type 0'"]);
    expect(answer.series[1]?.points).toEqual([]);
    expect(answer.series[2]?.points.length).toBeGreaterThan(0);
  });

  test("without types, the largest ones, as many as `limit` says", async () => {
    const all = await history({ limit: 50 });
    const two = await history({ limit: 2 });
    expect(two.series.map((series) => series.event_type)).toEqual(
      all.series.slice(0, 2).map((series) => series.event_type),
    );
  });

  test("never more than 2,000 points a series, whatever the step", async () => {
    for (const [length, step] of [
      [3 * dayMs, 1],
      [hourMs, 1],
      [10 * 365 * dayMs, 3_600],
    ] as const) {
      const answer = await history({ from: nowMs - length, to: nowMs, step });
      const steps = (Date.parse(answer.to) - Date.parse(answer.from)) / 1_000 / answer.step_seconds;
      expect(Math.floor(steps)).toBeLessThanOrEqual(limits.historyPoints);
      expect(answer.step_seconds).toBeGreaterThan(step);
    }
  });

  test("refuses what it cannot mean, by name", async () => {
    const tooMany = Array.from({ length: limits.historySeries + 1 }, (_, index) => `t${index}`);
    const cases: [TestQuery, string][] = [
      [{ step: 0 }, "step"],
      [{ step: "1m" }, "step"],
      [{ from: "nonsense" }, "from"],
      [{ from: nowMs, to: nowMs - 1 }, "from"],
      [{ to: "2500-01-01" }, "to"],
      [{ event_type: "x".repeat(129) }, "event_type"],
      [{ event_type: tooMany }, "event_type"],
      [{ device_id: "x".repeat(257) }, "device_id"],
      [{ device_id: ["a", "b"] }, "device_id"],
      [{ limit: 51 }, "limit"],
      [{ evnt_type: "a" }, "evnt_type"],
    ];
    for (const [query, name] of cases) {
      const refusal = await routes.refused("/api/history", query);
      expect(refusal).toMatchObject({ status: 400, code: "invalid_parameter" });
      expect(refusal.message).toStartWith(`${name}: `);
    }
  });
});

describe("a split by the devices' metadata", () => {
  let split: TestRoutes;
  const at = (index: number): number => nowMs - 600_000 + index * 1_000;
  beforeAll(async () => {
    const fresh = await store.createDatabase();
    const sites = ["north", "north", "south", undefined];
    const batch = Array.from({ length: 400 }, (_, index): TestEvent => {
      const site = sites[index % 4];
      return {
        device_id: `d${index % 4}`,
        event_type: index % 40 < 20 ? "temperature" : "humidity",
        timestamp: at(index),
        value_float: index % 4,
        ...(site === undefined ? {} : { metadata: { site: index < 100 ? "elsewhere" : site, seq: String(index) } }),
      };
    });
    await fresh.insert(batch, "one");
    split = createTestRoutes(fresh.client, () => nowMs);
  });

  test("has a series for each value of the devices' newest metadata, the busiest first, and says how many there are", async () => {
    const answer = await split.get(History, "/api/history", { split: "meta.site", event_type: "temperature" });
    expect(answer.source).toBe("telemetry_events");
    const total = (points: readonly HistoryPoint[]) => points.reduce((sum, point) => sum + point.count, 0);
    expect(answer.series.map((series) => [series.split, total(series.points)])).toEqual([
      ["north", 100],
      ["south", 50],
      [null, 50],
    ]);
    expect(answer.series_total).toBe(3);
    expect(answer.series[1]?.points.every((point) => point.min === 2 && point.max === 2)).toBe(true);
    const two = await split.get(History, "/api/history", { split: "meta.site", limit: 2 });
    expect(two.series.map((series) => [series.event_type, series.split])).toEqual([
      ["humidity", "north"],
      ["temperature", "north"],
    ]);
    expect(two.series_total).toBe(6);
  });

  test("the filter on metadata is that of the devices", async () => {
    const count = async (query: TestQuery) => {
      const answer = await split.get(History, "/api/history", { event_type: "temperature", ...query });
      return answer.series[0]?.points.reduce((sum, point) => sum + point.count, 0) ?? 0;
    };
    expect(await count({ "meta.site": "south" })).toBe(50);
    expect(await count({ "meta.site": ["south", "north"] })).toBe(150);
    expect(await count({ "meta.site": "elsewhere" })).toBe(0);
    expect(await count({ "meta.site": "" })).toBe(50);
    expect(await count({ "meta.site": "north", device_id: "d1" })).toBe(50);
  });

  test("refuses a split that names no key, and says up to when all is in the answer", async () => {
    for (const key of ["site", "meta.", "meta"]) {
      expect((await split.refused("/api/history", { split: key })).message).toStartWith("split: ");
    }
    expect((await split.get(History, "/api/history")).complete_to).toBe(new Date(nowMs).toISOString());
  });
});

describe("GET /api/event-types", () => {
  test("counts every type, largest first, in any range", async () => {
    for (const [fromMs, toMs] of [
      [0, nowMs + 1],
      [nowMs - hourMs, nowMs],
      [nowMs - 2 * dayMs, nowMs],
    ] as const) {
      const answer = await routes.get(EventTypes, "/api/event-types", { from: fromMs, to: toMs });
      const counts = new Map<string, number>();
      for (const event of events) {
        const { event_type, timestamp } = event;
        if (timestamp >= fromMs && timestamp < toMs) counts.set(event_type, (counts.get(event_type) ?? 0) + 1);
      }
      const expected = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
      expect(answer.event_types).toEqual(expected.map(([event_type, event_count]) => ({ event_type, event_count })));
    }
  });

  test("without a range, all that was ever stored", async () => {
    const answer = await routes.get(EventTypes, "/api/event-types");
    expect(answer.event_types.reduce((sum, type) => sum + type.event_count, 0)).toBe(events.length);
  });
});

test("an empty database answers with nothing", async () => {
  const empty = createTestRoutes((await store.createDatabase()).client);
  expect((await empty.get(History, "/api/history")).series).toEqual([]);
  expect((await empty.get(History, "/api/history", { device_id: "a", event_type: "t" })).series).toEqual([
    { event_type: "t", points: [] },
  ]);
  expect(await empty.get(EventTypes, "/api/event-types")).toEqual({ event_types: [] });
});
