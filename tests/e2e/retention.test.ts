import { afterAll, beforeAll, expect, test } from "bun:test";
import { Value } from "typebox/value";
import { RetentionReport, Storage } from "../../contract/storage.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";

let service: Service;
const password = "engine-password-0123";
const dayMs = 86_400_000;
beforeAll(async () => {
  service = await startService({ CLICKHOUSE_PASSWORD: password });
}, 60_000);
afterAll(() => service.dispose());

const at = (days: number): number => Date.now() - days * dayMs;
const event = (type: string, days: number) => ({
  device_id: "d",
  event_type: type,
  value_float: 1,
  timestamp: at(days),
});
const counts = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (
      await service.sql<{ t: string; n: number }>(
        "SELECT event_type AS t, count() AS n FROM telemetry_events GROUP BY t",
      )
    ).map(({ t, n }) => [t, n]),
  );
const rollups = async (): Promise<unknown> =>
  Promise.all(
    ["telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"].map((table) =>
      service.sql(`SELECT sum(event_count) AS n FROM ${table}`),
    ),
  );
const get = async <T>(path: string): Promise<T> => (await (await fetch(`${service.url}${path}`)).json()) as T;
const stored = (): Promise<unknown> =>
  until(
    "everything to be stored",
    async () => {
      const body = await get<{ pending: number; clickhouse: string }>("/api/pipeline");
      return body.pending === 0 && body.clickhouse === "ok";
    },
    60_000,
  );

test("retention by type: a dry run, a sweep that counts, rollups unchanged, late events refused by index", async () => {
  const days = [0, 1, 2, 5, 20].flatMap((age) =>
    ["debug.a", "debug.b", "temperature", "other"].map((type) => event(type, age)),
  );
  expect((await service.ingest(days)).status).toBe(202);
  await stored();
  const before = await rollups();

  const dryRun = await get<RetentionReport>("/api/retention?rules=debug*%3D3,temperature%3D365&days=10");
  expect(Value.Check(RetentionReport, dryRun)).toBe(true);
  expect(dryRun).toMatchObject({ dry_run: true, days: 10, deleted_events: 0 });
  expect(dryRun.rules.map(({ pattern, expired_events }) => [pattern, expired_events])).toEqual([
    ["debug*", 4],
    ["temperature", 0],
    [null, 1],
  ]);
  expect(Object.values(await counts())).toEqual([5, 5, 5, 5]);
  const wrong = await fetch(`${service.url}/api/retention?rules=debug`);
  expect(wrong.status).toBe(400);

  const old = service;
  await old.stop();
  service = await old.restart({
    RETENTION: "debug*=3,temperature=365",
    RETENTION_DAYS: "10",
    RETENTION_SWEEP_INTERVAL: "1s",
  });
  await until(
    "the sweep",
    async () => (await counts().catch(() => ({}) as Record<string, number>))["debug.a"] === 3,
    60_000,
  );
  expect(await counts()).toEqual({ "debug.a": 3, "debug.b": 3, temperature: 5, other: 4 });
  expect(await rollups()).toEqual(before);
  const report = await get<RetentionReport>("/api/retention");
  expect(report).toMatchObject({ dry_run: false, days: 10, deleted_events: 5 });
  expect(report.rules.map(({ expired_events }) => expired_events)).toEqual([0, 0, 0]);
  expect(await (await fetch(`${service.url}/metrics`)).text()).toContain("sluice_retention_deleted_total 5");

  const late = [event("debug.a", 4), event("temperature", 4), event("other", 11), event("other", 9)];
  const refused = await service.ingest(late, { query: "?on_error=skip" });
  expect(await refused.json()).toMatchObject({
    event_count: 2,
    rejected: [
      { index: 0, path: "/timestamp", message: "is older than events of this type are kept, 3 days (RETENTION)" },
      { index: 2, path: "/timestamp" },
    ],
  });
  // The other reader of a body, which takes what the fast one leaves.
  const slow = late.map((each) => ({ ...each, metadata: { 'quo"ted': "\\" } }));
  expect(await (await service.ingest(slow, { query: "?on_error=skip" })).json()).toMatchObject({ event_count: 2 });
}, 180_000);

test("retention by metadata: counted in a dry run, and deleted by the sweep", async () => {
  const at20 = (site: string) => ({ ...event("temperature", 20), metadata: { site } });
  expect((await service.ingest([at20("lab-1"), at20("lab-2"), at20("plant")])).status).toBe(202);
  await stored();
  const dryRun = await get<RetentionReport>("/api/retention?rules=meta.site%3Alab*%3D7");
  expect(dryRun.rules[0]).toEqual({ pattern: "meta.site:lab*", days: 7, expired_events: 2 });
  const before = (await counts()).temperature as number;
  await service.stop();
  service = await service.restart({
    RETENTION: "meta.site:lab*=7,temperature=365",
    RETENTION_DAYS: "10",
    RETENTION_SWEEP_INTERVAL: "1s",
  });
  await until(
    "the sweep",
    async () => (await counts().catch(() => ({}) as Record<string, number>)).temperature === before - 2,
    60_000,
  );
  expect((await fetch(`${service.url}/api/retention?rules=meta.site%3Alab`)).status).toBe(400);
}, 120_000);

test("what a day adds, and what each type costs", async () => {
  const wide = "x".repeat(400);
  const events = Array.from({ length: 2_000 }, (_, index) => ({
    device_id: `d${index % 10}`,
    event_type: index % 2 === 0 ? "narrow" : "wide",
    ...(index % 2 === 0 ? { value_float: index } : { value_string: `${Math.random()}${wide}` }),
  }));
  expect((await service.ingest(events)).status).toBe(202);
  await stored();
  const storage = await get<Storage>("/api/storage");
  expect(Value.Check(Storage, storage)).toBe(true);
  const of = (type: string) => storage.types.find(({ event_type }) => event_type === type);
  expect(of("narrow")).toMatchObject({ events_per_day: 1_000, retention_days: 10 });
  expect(of("wide")?.bytes_per_event).toBeGreaterThan(3 * (of("narrow")?.bytes_per_event as number));
  expect(storage.types[0]?.event_type).toBe("wide");
  expect(storage.days_until_full).toBeNull();
  expect(storage.disk?.free_bytes).toBeGreaterThan(0);
  expect(storage.settings).toEqual({ RETENTION_DAYS: 10, RETENTION: "meta.site:lab*=7,temperature=365" });
  expect(storage.tables.map(({ table }) => table)).toContain("telemetry_events");
}, 60_000);
