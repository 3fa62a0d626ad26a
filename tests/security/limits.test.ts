import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createReader } from "../../server/query/reader.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { sendRaw } from "./raw-http.ts";

const ingestKey = "ingest-secret-0123456789";
const viewerKey = "viewer-secret-0123456789";
const event = { device_id: "d", event_type: "t" };

let service: Service;
beforeAll(async () => {
  service = await startService({
    INGEST_KEYS: `fleet:${ingestKey},other:other-secret-0123456789`,
    VIEWER_KEYS: `ops:${viewerKey},wall:wall-secret-0123456789`,
    RATE_LIMIT_EVENTS: "100",
    MAX_STREAMS_PER_VIEWER: "2",
    MAX_STREAMS: "3",
  });
});
afterAll(() => service.dispose());

const post = (count: number, key = ingestKey): Promise<Response> =>
  service.ingest(
    Array.from({ length: count }, () => event),
    { headers: { "X-API-Key": key } },
  );
const residentMib = (): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${service.pid}/status`, "utf8"))?.[1]) / 1024;

describe("events a second", () => {
  test("over the rate: 429 that says when to come back; the other key is not concerned", async () => {
    expect((await post(100)).status).toBe(202);
    const refused = await post(90);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ error: { code: "rate_limited" } });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.headers.get("ratelimit-limit")).toBe("100");
    expect(Number(refused.headers.get("ratelimit-remaining"))).toBeLessThan(90);
    expect(refused.headers.get("ratelimit-reset")).toBe("1");
    expect((await post(1, "other-secret-0123456789")).status).toBe(202);
  });

  test("a batch larger than a second's worth passes in time and is paid for", async () => {
    await until("the bucket to be full", async () => (await post(300)).status === 202);
    const refused = await post(1);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(2);
  });

  test("refused events are counted by reason", async () => {
    const metrics = await (await fetch(`${service.url}/metrics`, { headers: { "X-API-Key": viewerKey } })).text();
    expect(metrics).toMatch(/^sluice_events_rejected_total\{reason="rate_limited"\} [1-9]/m);
    expect(metrics).toMatch(/^sluice_access_refused_total\{reason="rate_limited"\} [1-9]/m);
  });
});

describe("streams", () => {
  test("are limited for each viewer and in all, and a closed one makes room", async () => {
    const open = async (key: string): Promise<{ status: number; close: () => void }> => {
      const abort = new AbortController();
      const response = await fetch(`${service.url}/dashboard-stream`, {
        headers: { "X-API-Key": key },
        signal: abort.signal,
      });
      return { status: response.status, close: () => abort.abort() };
    };
    const first = await open(viewerKey);
    const second = await open(viewerKey);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect((await open(viewerKey)).status).toBe(503);
    const third = await open("wall-secret-0123456789");
    expect(third.status).toBe(200);
    expect((await open("wall-secret-0123456789")).status).toBe(503);
    first.close();
    let again = await open(viewerKey);
    await until("room for another stream", async () => {
      if (again.status === 200) return true;
      again = await open(viewerKey);
      return again.status === 200;
    });
    for (const stream of [again, second, third]) stream.close();
  });
});

describe("connections", () => {
  test("a client that says nothing, or sends its headers a byte at a time, is cut off", async () => {
    const started = performance.now();
    const silent = sendRaw(service.url, []);
    const slow = sendRaw(
      service.url,
      [..."GET /healthz HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
      500,
    );
    expect((await Promise.all([silent, slow])).map((answer) => answer.status)).toEqual([0, 408]);
    // Headers get 10 s, whatever arrives.
    expect(performance.now() - started).toBeLessThan(25_000);
  }, 30_000);

  test("a thousand of them do not keep others out", async () => {
    const { port } = new URL(service.url);
    const sockets = Array.from({ length: 1_000 }, () => connect(Number(port), "127.0.0.1"));
    try {
      await Promise.all(
        sockets.map(
          (socket) => new Promise<void>((resolve) => socket.write("POST /ingest HTTP/1.1\r\nHo", () => resolve())),
        ),
      );
      expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});

describe("memory", () => {
  test("a body that nobody has a key for is not kept: 200 MiB cost nothing", async () => {
    const before = residentMib();
    const piece = new Uint8Array(1 << 20);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent++ < 200) controller.enqueue(piece);
        else controller.close();
      },
    });
    let status = 0;
    try {
      const headers = { "Content-Type": "application/json" };
      status = (await fetch(`${service.url}/ingest`, { method: "POST", headers, body })).status;
    } catch (error) {
      // Refused and closed before all of it was sent.
      if (!(error instanceof Error)) throw error;
    }
    expect([0, 401]).toContain(status);
    expect(residentMib() - before).toBeLessThan(50);
  });

  test("a thousand wrong sign-ins are throttled and cost nothing", async () => {
    const before = residentMib();
    const attempt = (index: number): Promise<Response> =>
      fetch(`${service.url}/api/session`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ key: `guess-${index}` }),
      });
    const statuses = new Map<number, number>();
    for (let index = 0; index < 1_000; index++) {
      const { status } = await attempt(index);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(statuses.get(403)).toBeLessThan(15);
    expect(statuses.get(429)).toBeGreaterThan(985);
    expect(residentMib() - before).toBeLessThan(50);
  });
});

describe("reading", () => {
  test("every query is read-only and limited in time, memory and rows", async () => {
    const asked: Record<string, unknown>[] = [];
    const clickhouse = {
      query: (query: Record<string, unknown>) => {
        asked.push(query.clickhouse_settings as Record<string, unknown>);
        return Promise.resolve({ json: () => Promise.resolve([]) });
      },
    };
    const reader = createReader({ clickhouse: clickhouse as never, log: () => undefined });
    await reader.rows({ sql: "SELECT 1", params: {}, rowsMax: 7 }, new AbortController().signal);
    expect(asked).toEqual([
      expect.objectContaining({
        readonly: "2",
        max_execution_time: 15,
        max_memory_usage: String(768 * 1024 * 1024),
        max_result_rows: "7",
        result_overflow_mode: "throw",
      }),
    ]);
  });

  test("the engine's port, without credentials, neither writes nor reaches for files, hosts or settings", async () => {
    const attempts = [
      "INSERT INTO telemetry_events (device_id) VALUES ('x')",
      "DROP TABLE telemetry_events",
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
      "SELECT * FROM remote('127.0.0.1', system.one)",
      "SELECT 1 INTO OUTFILE '/tmp/sluice-outfile'",
      "SYSTEM SHUTDOWN",
      "SET readonly = 0",
      "SELECT 1 SETTINGS readonly = 0",
      "SELECT 1; DROP TABLE telemetry_events",
    ];
    for (const sql of attempts) {
      const response = await fetch(service.clickHouseUrl, { method: "POST", body: sql });
      expect([sql, response.status >= 400]).toEqual([sql, true]);
      await response.text();
    }
    const [row] = await service.sql<{ n: number }>("SELECT count() AS n FROM telemetry_events");
    expect(row?.n).toBeGreaterThan(0);
  });
});
