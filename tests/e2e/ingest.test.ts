import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { ErrorAnswer } from "../../contract/error.ts";
import type { IngestAnswer } from "../../contract/ingest.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";

const event = { device_id: "d-1", event_type: "temperature", value_float: 21.5 };
const jsonHeaders = { "Content-Type": "application/json" };

/** Every answer of POST /ingest, against the real service. */
describe("POST /ingest", () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService({ MAX_BODY_BYTES: "1MiB", MAX_EVENTS_PER_REQUEST: "2000", BODY_TIMEOUT: "1" });
  }, 60_000);
  afterAll(() => service.dispose());

  async function refused(response: Response): Promise<ErrorAnswer["error"] & { status: number }> {
    expect(response.headers.get("content-type")).toStartWith("application/json");
    const body = (await response.json()) as ErrorAnswer;
    expect(Object.keys(body)).toEqual(["error"]);
    expect(body.error.message).not.toBe("");
    return { ...body.error, status: response.status };
  }
  const storedOf = async (deviceId: string): Promise<number> => {
    const [row] = await service.sql<{ n: number }>(
      `SELECT count() AS n FROM telemetry_events WHERE device_id = '${deviceId}'`,
    );
    return row?.n ?? 0;
  };

  describe("202", () => {
    const shapes: [name: string, body: unknown, headers: Record<string, string>, count: number][] = [
      ["an object with events", { events: [event, event] }, jsonHeaders, 2],
      ["a bare event", event, jsonHeaders, 1],
      ["an array", [event, event, event], jsonHeaders, 3],
      ["an empty list", { events: [] }, jsonHeaders, 0],
      ["a charset", event, { "Content-Type": "application/json; charset=utf-8" }, 1],
      [
        "NDJSON, with blank lines",
        `${JSON.stringify(event)}\n\n${JSON.stringify(event)}`,
        { "Content-Type": "application/x-ndjson" },
        2,
      ],
      ["gzip", gzipSync(JSON.stringify({ events: [event] })), { ...jsonHeaders, "Content-Encoding": "gzip" }, 1],
      ["zstd", zstdCompressSync(JSON.stringify([event])), { ...jsonHeaders, "Content-Encoding": "zstd" }, 1],
      ["an empty Content-Encoding", event, { ...jsonHeaders, "Content-Encoding": "" }, 1],
      ["Content-Encoding: identity", event, { ...jsonHeaders, "Content-Encoding": "identity" }, 1],
    ];
    test.each(shapes)("%s", async (_name, body, headers, count) => {
      const response = await service.ingest(body, { headers });
      expect(await response.json()).toEqual({ status: "queued", event_count: count });
      expect(response.status).toBe(202);
    });

    test("every field arrives in ClickHouse as it was sent", async () => {
      const sent = {
        device_id: "full ✓ 'quoted' \\ \u0000",
        event_type: "тип",
        value_float: -1.5e-7,
        value_string: 'naïve "text"\n👍',
        metadata: { __proto__: "x", "": "empty key", "it's": "🙂" },
        timestamp: new Date(Date.now() - 60_000).toISOString(),
      };
      // An object literal's __proto__ is its prototype; JSON's is a key.
      const body = JSON.stringify(sent).replace('"metadata":{', '"metadata":{"__proto__":"x",');
      expect((await service.ingest(body, { query: "?wait=stored" })).status).toBe(200);
      const [row] = await service.sql<Record<string, unknown>>(
        "SELECT *, toUnixTimestamp64Milli(timestamp) AS ms FROM telemetry_events WHERE event_type = 'тип'",
      );
      expect(row).toMatchObject({
        device_id: sent.device_id,
        value_float: sent.value_float,
        value_string: sent.value_string,
        ms: Date.parse(sent.timestamp),
      });
      expect(JSON.stringify(row?.metadata)).toBe('{"__proto__":"x","":"empty key","it\'s":"🙂"}');
    });

    test("an integer timestamp, 64 metadata keys and a 64 KiB string are taken", async () => {
      const metadata = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`k${index}`, "v"]));
      const large = { ...event, timestamp: Date.now(), metadata, value_string: "é".repeat(32 * 1024) };
      expect((await service.ingest(large)).status).toBe(202);
    });

    test("on_error=skip takes the valid ones and names the others", async () => {
      const device = "skip-1";
      const response = await service.ingest(
        {
          events: [
            { ...event, device_id: device },
            { ...event, value_float: "x" },
            { ...event, device_id: device },
          ],
        },
        { query: "?on_error=skip&wait=stored" },
      );
      const answer = (await response.json()) as IngestAnswer;
      expect(answer.event_count).toBe(2);
      expect(answer.rejected).toEqual([{ index: 1, path: "/value_float", message: "must be a finite number or null" }]);
      expect(await storedOf(device)).toBe(2);
    });

    test("on_error=skip passes over an NDJSON line that is not JSON", async () => {
      const response = await service.ingest(`${JSON.stringify(event)}\n{"device_id":\n${JSON.stringify(event)}\n`, {
        headers: { "Content-Type": "application/x-ndjson" },
        query: "?on_error=skip",
      });
      const answer = (await response.json()) as IngestAnswer;
      expect(answer.event_count).toBe(2);
      expect(answer.rejected?.map((fault) => fault.index)).toEqual([1]);
    });
  });

  test("200 with wait=stored: the event is in ClickHouse when the answer comes", async () => {
    const response = await service.ingest({ ...event, device_id: "waits" }, { query: "?wait=stored" });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "stored", event_count: 1 });
    expect(await storedOf("waits")).toBe(1);
  });

  describe("400", () => {
    const malformed: [name: string, body: string | Uint8Array, position: number | undefined][] = [
      ["an empty body", "", 0],
      ["truncated JSON", '{"events":[{"device_id":"a"', 27],
      ["NaN", '{"device_id":"a","event_type":"b","value_float":NaN}', 48],
      ["a trailing comma", '{"device_id":"a",}', 17],
    ];
    test.each(malformed)("malformed_json with its position: %s", async (_name, body, position) => {
      const error = await refused(await service.ingest(body));
      expect(error).toMatchObject({ status: 400, code: "malformed_json" });
      expect(error.position).toBe(position as number);
    });
    test("a malformed NDJSON line refuses the whole request", async () => {
      const response = await service.ingest(`${JSON.stringify(event)}\nnope\n`, {
        headers: { "Content-Type": "application/x-ndjson" },
      });
      expect(await refused(response)).toMatchObject({ status: 400, code: "malformed_json" });
    });
    test.each([
      ["?wait=store", "wait"],
      ["?wait=", "wait"],
      ["?wait=stored&wait=durable", "wait"],
      ["?on_error=fail", "on_error"],
      ["?on_error=Skip&wait=stored", "on_error"],
      ["?wiat=stored", "wiat"],
      ["?wait=stored&WAIT=stored", "WAIT"],
      ["?=x", ""],
    ])("a value that the query cannot have: %s", async (query, name) => {
      const error = await refused(await service.ingest(event, { query }));
      expect(error).toMatchObject({ status: 400, code: "invalid_parameter" });
      expect(error.message).toStartWith(`${name} `);
    });
    test("bytes that are not UTF-8", async () => {
      const body = Uint8Array.from([0x22, 0xff, 0x22]);
      expect(await refused(await service.ingest(body))).toMatchObject({ status: 400, code: "malformed_encoding" });
    });
    test("a body that is not gzip although it says so", async () => {
      const response = await service.ingest("plain", { headers: { "Content-Encoding": "gzip" } });
      expect(await refused(response)).toMatchObject({ status: 400, code: "malformed_encoding" });
    });
  });

  test("405 names the method that is allowed", async () => {
    const response = await fetch(`${service.url}/ingest`);
    expect(response.headers.get("allow")).toBe("POST");
    expect(await refused(response)).toMatchObject({ status: 405, code: "method_not_allowed" });
  });

  describe("413", () => {
    test("a body that says it is too large is refused unread", async () => {
      const response = await service.ingest(`"${"x".repeat(1 << 20)}"`);
      expect(await refused(response)).toMatchObject({ status: 413, code: "body_too_large" });
    });
    test("a body without a length is cut off at the limit", async () => {
      const chunk = new Uint8Array(1 << 16).fill(32);
      let sent = 0;
      const body = new ReadableStream({
        pull(controller) {
          sent += chunk.length;
          if (sent > 4 << 20) controller.close();
          else controller.enqueue(chunk);
        },
      });
      const response = await fetch(`${service.url}/ingest`, { method: "POST", headers: jsonHeaders, body });
      expect(await refused(response)).toMatchObject({ status: 413, code: "body_too_large" });
    });
    test.each([
      ["gzip", gzipSync(Buffer.alloc(64 << 20, 32))],
      ["zstd", zstdCompressSync(Buffer.alloc(64 << 20, 32))],
    ])("a %s bomb is not unpacked past the limit", async (encoding, body) => {
      const response = await service.ingest(body, { headers: { "Content-Encoding": encoding } });
      expect(await refused(response)).toMatchObject({ status: 413, code: "body_too_large" });
    });
    test("too many events", async () => {
      const response = await service.ingest(Array.from({ length: 2001 }, () => event));
      expect(await refused(response)).toMatchObject({ status: 413, code: "too_many_events" });
    });
  });

  describe("415", () => {
    test.each(["text/plain", "application/xml", "application/json; charset=latin1"])("media type %s", async (type) => {
      const response = await service.ingest(event, { headers: { "Content-Type": type } });
      expect(await refused(response)).toMatchObject({ status: 415, code: "unsupported_media_type" });
    });
    test("an encoding that is not known", async () => {
      const response = await service.ingest(event, { headers: { "Content-Encoding": "br" } });
      expect(await refused(response)).toMatchObject({ status: 415, code: "unsupported_encoding" });
    });
  });

  describe("422", () => {
    const deep = `{"device_id":"a","event_type":"b","metadata":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}`;
    const invalid: [name: string, body: string, path: string][] = [
      ["an empty object", "{}", "/device_id"],
      ["a number", "7", ""],
      ["null", "null", ""],
      ["events that are no list", '{"events":{}}', "/events"],
      ["a field beside events", '{"events":[],"more":1}', "/more"],
      ["an unknown field", '{"device_id":"a","event_type":"b","colour":1}', "/colour"],
      ["__proto__ as a field", '{"device_id":"a","event_type":"b","__proto__":{}}', "/__proto__"],
      ["an empty device_id", '{"device_id":"","event_type":"b"}', "/device_id"],
      ["a device_id of 257 characters", `{"device_id":"${"x".repeat(257)}","event_type":"b"}`, "/device_id"],
      ["an event_type of 129 characters", `{"device_id":"a","event_type":"${"x".repeat(129)}"}`, "/event_type"],
      ["1e400", '{"device_id":"a","event_type":"b","value_float":1e400}', "/value_float"],
      ["a number as a string", '{"device_id":"a","event_type":"b","value_float":"1"}', "/value_float"],
      [
        "a string of 64 KiB and a byte",
        JSON.stringify({ ...event, value_string: "x".repeat(65_537) }),
        "/value_string",
      ],
      ["a lone surrogate", '{"device_id":"a\\ud800","event_type":"b"}', "/device_id"],
      ["a lone surrogate in metadata", '{"device_id":"a","event_type":"b","metadata":{"k":"\\udc00"}}', "/metadata/k"],
      ["metadata that is no string", '{"device_id":"a","event_type":"b","metadata":{"k":1}}', "/metadata/k"],
      [
        "65 metadata keys",
        JSON.stringify({ ...event, metadata: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [i, ""])) }),
        "/metadata",
      ],
      ["deep nesting", deep, "/metadata/a"],
      ["a timestamp that is no time", '{"device_id":"a","event_type":"b","timestamp":"yesterday"}', "/timestamp"],
      ["30 February", '{"device_id":"a","event_type":"b","timestamp":"2026-02-30T00:00:00Z"}', "/timestamp"],
      ["a clock far ahead", JSON.stringify({ ...event, timestamp: Date.now() + 400_000 }), "/timestamp"],
      ["an event too old", JSON.stringify({ ...event, timestamp: Date.now() - 31 * 86_400_000 }), "/timestamp"],
    ];
    test.each(invalid)("names the field: %s", async (_name, body, path) => {
      const error = await refused(await service.ingest(body));
      expect(error).toMatchObject({ status: 422, code: "invalid_events" });
      expect(error.details?.map((detail) => detail.path)).toContain(path);
    });

    test("nothing of the request is accepted", async () => {
      const response = await service.ingest([{ ...event, device_id: "all-or-nothing" }, { device_id: "x" }]);
      expect(await refused(response)).toMatchObject({ status: 422, total: 1 });
      expect((await service.ingest({ ...event, device_id: "after" }, { query: "?wait=stored" })).status).toBe(200);
      expect(await storedOf("all-or-nothing")).toBe(0);
    });

    test("at most 100 details, and the total", async () => {
      const error = await refused(
        await service.ingest(Array.from({ length: 150 }, () => ({ ...event, device_id: "" }))),
      );
      expect(error.details).toHaveLength(100);
      expect(error.total).toBe(150);
    });
  });

  describe("slow and vanishing clients", () => {
    const head = (length: number): string =>
      `POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

    test("408 when the body does not arrive in time", async () => {
      const answer = await new Promise<string>((resolve) => {
        let text = "";
        const socket = connect(Number(new URL(service.url).port), "127.0.0.1", () => socket.write(`${head(1000)}{`));
        socket.on("data", (chunk) => {
          text += chunk.toString();
          if (text.includes("request_timeout")) socket.destroy();
        });
        socket.on("close", () => resolve(text));
      });
      expect(answer).toStartWith("HTTP/1.1 408");
    });

    test("a client that hangs up half-way leaves nothing, and the service serves on", async () => {
      const body = JSON.stringify({ ...event, device_id: "hung-up" });
      await new Promise<void>((resolve) => {
        const socket = connect(Number(new URL(service.url).port), "127.0.0.1", () => {
          socket.write(head(body.length) + body.slice(0, -1), () => socket.destroy());
        });
        socket.on("close", () => resolve());
      });
      expect((await service.ingest({ ...event, device_id: "after-hang-up" }, { query: "?wait=stored" })).status).toBe(
        200,
      );
      expect(await storedOf("hung-up")).toBe(0);
    });
  });

  test("the same Idempotency-Key is answered the same and stored once, also after kill -9", async () => {
    const headers = { "Idempotency-Key": "once-1" };
    const body = { ...event, device_id: "idempotent" };
    const answers = await Promise.all([service.ingest(body, { headers }), service.ingest(body, { headers })]);
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    expect(texts).toEqual(['{"status":"queued","event_count":1}', '{"status":"queued","event_count":1}']);
    await service.kill();
    service = await service.restart();
    expect(await (await service.ingest(body, { headers })).text()).toBe(texts[0] as string);
    await service.ingest({ ...event, device_id: "after-key" }, { query: "?wait=stored" });
    expect(await storedOf("idempotent")).toBe(1);
  }, 60_000);

  test("a replay with wait=stored is answered once the first request's events are stored", async () => {
    const headers = { "Idempotency-Key": "waits-1" };
    const body = { ...event, device_id: "replayed" };
    expect((await service.ingest(body, { headers })).status).toBe(202);
    const replay = await service.ingest(body, { headers, query: "?wait=stored" });
    expect([replay.status, await replay.json()]).toEqual([200, { status: "stored", event_count: 1 }]);
    expect(await storedOf("replayed")).toBe(1);
    await service.kill();
    service = await service.restart();
    const later = await service.ingest(body, { headers, query: "?wait=stored" });
    expect([later.status, await later.json()]).toEqual([200, { status: "stored", event_count: 1 }]);
    await until("the engine to be back", () => storedOf("replayed").catch(() => undefined));
    expect(await storedOf("replayed")).toBe(1);
  }, 60_000);

  test("503 with Retry-After while shutting down, and what was acknowledged is stored", async () => {
    await service.ingest({ ...event, device_id: "before-stop" });
    expect(await service.stop()).toBe(0);
    service = await service.restart();
    await until("the engine to answer", async () => (await storedOf("before-stop").catch(() => 0)) === 1);
  }, 60_000);
});

test("503 with Retry-After when the journal is full; what was acknowledged is stored when ClickHouse is back", async () => {
  // A port where nothing listens: ClickHouse is away.
  const service = await startService({
    CLICKHOUSE_URL: "http://127.0.0.1:9",
    JOURNAL_MAX_BYTES: "1MiB",
    SHUTDOWN_TIMEOUT: "1",
  });
  try {
    const batch = Array.from({ length: 1000 }, (_, index) => ({
      device_id: `d-${index}`,
      event_type: "full",
      value_float: index,
    }));
    let accepted = 0;
    const refusal = await until("the journal to be full", async () => {
      const response = await service.ingest(batch);
      if (response.status === 202) accepted += batch.length;
      return response.status === 202 ? undefined : response;
    });
    expect(refusal.status).toBe(503);
    expect(Number(refusal.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(((await refusal.json()) as ErrorAnswer).error.code).toBe("journal_full");
    await until("/readyz to say so", async () => {
      const ready = await fetch(`${service.url}/readyz`);
      const text = await ready.text();
      return ready.status === 503 && text.includes("JOURNAL_MAX_BYTES");
    });
    await service.stop();
    const back = await service.restart({ CLICKHOUSE_URL: "", JOURNAL_MAX_BYTES: "4GiB" });
    try {
      await until("everything to be stored", async () => {
        const rows = await back
          .sql<{ n: number }>("SELECT count() AS n FROM telemetry_events WHERE event_type = 'full'")
          .catch(() => []);
        return rows[0]?.n === accepted;
      });
    } finally {
      await back.dispose();
    }
  } finally {
    await service.dispose();
  }
}, 90_000);
