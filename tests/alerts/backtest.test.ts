import { afterAll, beforeAll, expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import type { RuleTestResult } from "../../contract/alerts.ts";
import { createBacktest } from "../../server/alerts/backtest/backtest.ts";
import { type AskPast, createAskPast } from "../../server/alerts/backtest/past.ts";
import type { DirectoryDevice } from "../../server/alerts/center/device-directory.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { connectClickHouse } from "../../workers/clickhouse-client.ts";

const password = "backtest";
const hourMs = 3_600_000;
const toMs = Math.floor(Date.now() / hourMs) * hourMs;
const days = 12;
const fromMs = toMs - days * 24 * hourMs;
const seed = Number(process.env.BACKTEST_SEED ?? Math.floor(Math.random() * 1_000_000));

interface Stored {
  readonly deviceId: string;
  readonly atMs: number;
}

let service: Service;
let ask: AskPast;
const stored: Stored[] = [];
const devices = new Map<string, DirectoryDevice>();

/** Devices of all rhythms, some away for days, whose values now and then leave the threshold, touch it, or are missing. */
function makeRows(random: () => number): object[] {
  const rows: object[] = [];
  for (const [index, intervalMs] of [30, 60, 60, 300, 600, 3_600, 11_000, 54_000].map((s) => s * 1000).entries()) {
    const deviceId = `d${index}`;
    devices.set(deviceId, { deviceId, heardMs: toMs, intervalMs, metadata: {} });
    let beyond = 0;
    for (let atMs = fromMs + random() * intervalMs; atMs < toMs; atMs += intervalMs * (0.9 + 0.2 * random())) {
      if (random() < 0.0005) atMs += random() * 40 * hourMs;
      if (atMs >= toMs) break;
      if (beyond === 0 && random() < 0.01) beyond = 1 + Math.floor(random() * 8);
      const value = beyond > 0 ? 31 + random() : random() < 0.01 ? 30 : random() < 0.02 ? 28.5 : 20 + random();
      beyond = Math.max(0, beyond - 1);
      const time = new Date(Math.floor(atMs)).toISOString();
      stored.push({ deviceId, atMs: Math.floor(atMs) });
      rows.push({
        timestamp: time,
        received_at: time,
        device_id: deviceId,
        event_type: "t",
        value_float: random() < 0.005 ? null : value,
        value_string: value > 31 ? "bad" : "good",
        metadata: {},
      });
    }
  }
  return rows;
}

beforeAll(async () => {
  service = await startService({ CLICKHOUSE_PASSWORD: password });
  const rows = makeRows(createRandom(seed));
  await until("the engine", () =>
    service.sql("SELECT count() FROM telemetry_events").then(
      () => true,
      () => false,
    ),
  );
  const query = encodeURIComponent("INSERT INTO telemetry_events FORMAT JSONEachRow");
  const settings = `user=default&password=${password}&date_time_input_format=best_effort&query=${query}`;
  const response = await fetch(`${service.clickHouseUrl}/?${settings}`, {
    method: "POST",
    body: rows.map((row) => JSON.stringify(row)).join("\n"),
  });
  expect(await response.text()).toBe("");
  const client = connectClickHouse(
    { urls: [service.clickHouseUrl], user: "default", password, cluster: null, database: "default" },
    { url: service.clickHouseUrl, database: "default", requestTimeoutMs: 60_000 },
  );
  ask = createAskPast(client, 60);
}, 120_000);
afterAll(() => service?.dispose());

const directory = {
  isKnown: true,
  find: (deviceId: string) => devices.get(deviceId) ?? null,
  forEach: (visit: (device: DirectoryDevice) => void) => devices.forEach(visit),
};

async function fired(rule: object, plainMax: number): Promise<RuleTestResult> {
  const backtest = createBacktest({ ask, directory, now: Date.now }, { plainMax });
  const given = { name: "r", severity: "info" as const, ...rule } as Parameters<typeof backtest.run>[0]["rule"];
  const range = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
  const result = await backtest.run({ ...range, rule: given }, AbortSignal.timeout(60_000));
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.value;
}

const value = (more: object) => ({ kind: "value", event_type: "t", ...more });
const rules = {
  "a newest value": { when: value({ measure: "last", above: 30 }) },
  "with a time to wait and one to keep": {
    for: "4m",
    keep_firing_for: "7m",
    when: value({ measure: "last", above: 30 }),
  },
  "with another way back": { when: value({ measure: "last", above: 30, recover: 28 }) },
  "a mean": { when: value({ measure: "avg", window: "10m", above: 30 }) },
  "a maximum over two hours": { when: value({ measure: "max", window: "2h", above: 31.9 }) },
  "a quantile": { when: value({ measure: "p95", window: "30m", above: 31 }) },
  "a text": { when: { kind: "text", event_type: "t", equals: "bad" } },
};

for (const [name, rule] of Object.entries(rules))
  test(`read by cells and event by event, the verdicts are the same: ${name}`, async () => {
    const [byCells, all] = [await fired(rule, -1), await fired(rule, Number.POSITIVE_INFINITY)];
    expect(all.count, `BACKTEST_SEED=${seed}`).toBeGreaterThan(0);
    expect(byCells.count, `BACKTEST_SEED=${seed}`).toBe(all.count);
    expect(byCells.fired).toEqual(all.fired);
    expect(byCells.resolution_seconds).toBe(0);
  }, 60_000);

for (const test_ of [{ after: "5m" }, { intervals: 4 }, { after: "2h", intervals: 3 }])
  test(`silences by gaps are those between any two events: ${JSON.stringify(test_)}`, async () => {
    const result = await fired({ when: { kind: "silent", ...test_ } }, -1);
    const afterMs = { "5m": 300_000, "2h": 2 * hourMs }[test_.after ?? ""] ?? 0;
    const byDevice = Map.groupBy(stored, ({ deviceId }) => deviceId);
    let expected = 0;
    for (const [deviceId, events] of byDevice) {
      const limitMs = Math.max(afterMs, (test_.intervals ?? 0) * (devices.get(deviceId)?.intervalMs ?? 0));
      const seconds = events.map(({ atMs }) => Math.floor(atMs / 1000) * 1000);
      for (const [index, atMs] of seconds.entries()) if (atMs + limitMs < (seconds[index + 1] ?? toMs)) expected++;
    }
    expect(expected).toBeGreaterThan(0);
    expect(result.count, `BACKTEST_SEED=${seed}`).toBe(expected);
  }, 60_000);
