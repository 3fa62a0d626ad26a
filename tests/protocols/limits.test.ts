import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Service, startService, until } from "../../testing/test-service.ts";

const [key, site, slow] = ["fleet-secret-0123456789", "site-secret-0123456789", "slow-secret-0123456789"];
const rate = 50;
let service: Service;
beforeAll(async () => {
  const keys = `fleet:${key},site:${site}:site1-,slow:${slow}:site1-`;
  service = await startService({ INGEST_KEYS: keys, RATE_LIMIT_EVENTS: String(rate), FLUSH_INTERVAL: "0.05" });
});
afterAll(() => service.dispose());

interface Protocol {
  readonly name: string;
  readonly path: string;
  readonly contentType: string;
  /** One event of each device. */
  readonly body: (devices: readonly string[]) => string;
  /** What is told of an event that a key may not write. */
  readonly partial: { readonly status: number; readonly body: RegExp };
}

const gauge = (device: string) => ({
  resource: { attributes: [{ key: "device.id", value: { stringValue: device } }] },
  scopeMetrics: [{ metrics: [{ name: "level", gauge: { dataPoints: [{ asDouble: 1 }] } }] }],
});
const record = (device: string) => ({
  resource: { attributes: [{ key: "device.id", value: { stringValue: device } }] },
  scopeLogs: [{ logRecords: [{ body: { stringValue: "started" } }] }],
});
const lines = (devices: readonly string[]): string =>
  devices.map((device) => `level,device=${device} value=1`).join("\n");
const line = { contentType: "text/plain", body: lines };
const refusedLine = {
  status: 400,
  body: /partial write: line 2: .*may write only devices whose id starts with site1-/,
};

const protocols: readonly Protocol[] = [
  { name: "line protocol 1", path: "/write?db=x", ...line, partial: refusedLine },
  { name: "line protocol 2", path: "/api/v2/write?bucket=x&org=y", ...line, partial: refusedLine },
  { name: "line protocol 3", path: "/api/v3/write_lp?db=x", ...line, partial: refusedLine },
  {
    name: "OTLP metrics",
    path: "/v1/metrics",
    contentType: "application/json",
    body: (devices) => JSON.stringify({ resourceMetrics: devices.map(gauge) }),
    partial: { status: 200, body: /"rejectedDataPoints":"?1"?.*may write only devices/ },
  },
  {
    name: "OTLP logs",
    path: "/v1/logs",
    contentType: "application/json",
    body: (devices) => JSON.stringify({ resourceLogs: devices.map(record) }),
    partial: { status: 200, body: /"rejectedLogRecords":"?1"?.*may write only devices/ },
  },
];

describe.each(protocols.map((protocol) => [protocol.name, protocol] as const))("%s", (_, protocol) => {
  const post = (devices: readonly string[], secret?: string): Promise<Response> =>
    fetch(`${service.url}${protocol.path}`, {
      method: "POST",
      headers: {
        "Content-Type": protocol.contentType,
        ...(secret === undefined ? {} : { Authorization: `Bearer ${secret}` }),
      },
      body: protocol.body(devices),
    });

  test("needs a key, and one that is known", async () => {
    expect((await post(["site1-a"])).status).toBe(401);
    expect((await post(["site1-a"], "no-such-secret-0123456789")).status).toBe(403);
  });

  test("a key's prefix holds: the other device's event is named, the good one is stored", async () => {
    const response = await post(["site1-a", "site2-a"], site);
    expect(response.status).toBe(protocol.partial.status);
    expect(await response.text()).toMatch(protocol.partial.body);
  });

  test("a key's rate holds: 429 that says when to come back, and other keys are not concerned", async () => {
    const many = Array.from({ length: 2 * rate }, (_, index) => `site1-${index}`);
    const answers: Response[] = [];
    while (answers.at(-1)?.status !== 429 && answers.length < 10) answers.push(await post(many, slow));
    const refused = answers.at(-1);
    expect(refused?.status).toBe(429);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await post(["site1-a"], key)).ok).toBe(true);
  });
});

test("what prefixes let through is there, and nothing else", async () => {
  const query = "SELECT DISTINCT device_id FROM telemetry_events";
  const devices = await until(
    "the engine to have them",
    async () => {
      const rows = await service.sql<{ device_id: string }>(query).catch(() => []);
      return rows.length > 100 && rows.map(({ device_id }) => device_id);
    },
    30_000,
  );
  expect(devices).toContain("site1-a");
  expect(devices.filter((device) => !device.startsWith("site1-"))).toEqual([]);
});
