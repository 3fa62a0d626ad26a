import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type IClientPublishOptions, type MqttClient } from "mqtt";
import type { PipelineDetail } from "../../contract/read.ts";
import { type Mosquitto, mosquittoPath, startMosquitto } from "../../testing/mosquitto.ts";
import { type Service, startService } from "../../testing/test-service.ts";
import { until } from "../../testing/until.ts";
import { allStored, storedRows } from "./stored.ts";

const waitMs = 20_000;
const templates =
  "devices/{device_id}/{event_type},plants/{plant}/{device_id}/{event_type},raw/{device_id}/{rest},batches";

const detail = async (service: Service) =>
  (await (await fetch(`${service.url}/api/pipeline`)).json()) as PipelineDetail;
const state = async (service: Service) => (await detail(service)).mqtt;

async function connected(service: Service): Promise<Service> {
  await until("the subscription", async () => (await state(service))?.state === "connected", waitMs);
  return service;
}

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

async function broker(...lines: string[]): Promise<Mosquitto> {
  const started = await startMosquitto({ lines });
  cleanUp.push(() => started.dispose());
  return started;
}

async function subscribed(url: string, environment: Record<string, string> = {}): Promise<Service> {
  const service = await startService({ MQTT_URL: url, MQTT_TOPICS: templates, FLUSH_INTERVAL: "0.05", ...environment });
  cleanUp.push(() => service.dispose());
  return connected(service);
}

describe.skipIf(mosquittoPath === null)("MQTT", () => {
  describe("with every client, version and quality of service", () => {
    let mosquitto: Mosquitto;
    let service: Service;
    const clients = new Map<number, MqttClient>();
    beforeAll(async () => {
      mosquitto = await startMosquitto();
      service = await connected(
        await startService({ MQTT_URL: mosquitto.url, MQTT_TOPICS: templates, MQTT_QOS: "2", FLUSH_INTERVAL: "0.05" }),
      );
      for (const protocolVersion of [4, 5] as const) {
        clients.set(protocolVersion, await mqtt.connectAsync(mosquitto.url, { protocolVersion }));
      }
    });
    afterAll(async () => {
      for (const client of clients.values()) client.end(true);
      await service?.dispose();
      await mosquitto?.dispose();
    });
    const publish = (version: number, topic: string, payload: string | Buffer, options: IClientPublishOptions = {}) =>
      (clients.get(version) as MqttClient).publishAsync(topic, payload, { qos: 1, ...options });

    test.each([4, 5].flatMap((version) => [0, 1, 2].map((qos) => [version, qos] as const)))(
      "npm mqtt, version %d, QoS %d: every payload, value for value",
      async (version, qos) => {
        const device = `npm-${version}-${qos}`;
        const timestamp = Date.now() - 60_000;
        const send = (topic: string, payload: string) => publish(version, topic, payload, { qos: qos as 0 | 1 | 2 });
        await send(`devices/${device}/number`, "21.5");
        await send(`devices/${device}/truth`, "true");
        await send(`devices/${device}/text`, "it's on, Zürich 🚀");
        await send(`devices/${device}/nothing`, "");
        await send(`devices/${device}/big`, "9007199254740993");
        await send(`plants/north/${device}/pressure`, "-3e2");
        await send(`raw/${device}/a/b`, "1");
        await send(
          `devices/${device}/object`,
          JSON.stringify({ value_float: 1, value_string: "s", metadata: { k: "v" }, timestamp }),
        );
        await send(`devices/${device}/list`, '[{"value_float":1},{"event_type":"other","value_float":2}]');
        await send(
          "batches",
          `{"device_id":"${device}","event_type":"line1"}\n{"device_id":"${device}","event_type":"line2"}`,
        );
        const types = 12;
        await until("all of them durable", async () => (await storedRows(service, device)).length >= types, waitMs);
        const rows = await storedRows(service, device);
        expect(
          rows.map(({ event_type, value_float, value_string, metadata }) => [
            event_type,
            value_float,
            value_string,
            metadata,
          ]),
        ).toEqual([
          ["a/b", 1, null, {}],
          ["big", 2 ** 53, "9007199254740993", {}],
          ["line1", null, null, {}],
          ["line2", null, null, {}],
          ["list", 1, null, {}],
          ["nothing", null, null, {}],
          ["number", 21.5, null, {}],
          ["object", 1, "s", { k: "v" }],
          ["other", 2, null, {}],
          ["pressure", -300, null, { plant: "north" }],
          ["text", null, "it's on, Zürich 🚀", {}],
          ["truth", 1, null, {}],
        ]);
        expect(rows.find(({ event_type }) => event_type === "object")?.time_ms).toBe(timestamp);
      },
    );

    test.each([0, 1, 2])("mosquitto_pub, QoS %d", async (qos) => {
      const device = `pub-${qos}`;
      const publisher = Bun.spawn(
        ["mosquitto_pub", "-p", String(mosquitto.port), "-q", String(qos), "-t", `devices/${device}/line`, "-l"],
        { stdin: new TextEncoder().encode("1\n2\nthree\n") },
      );
      expect(await publisher.exited).toBe(0);
      await until("three rows", async () => (await storedRows(service, device)).length === 3, waitMs);
      const rows = await storedRows(service, device);
      expect(rows.map(({ value_float, value_string }) => String(value_float ?? value_string)).sort()).toEqual([
        "1",
        "2",
        "three",
      ]);
    });

    test("messages that are no events become dead letters, and hold nobody up", async () => {
      const before = (await detail(service)).dead_letters.count;
      await publish(4, "devices/bad/type", "{broken");
      await publish(4, "devices/bad/type", '{"value_float":"hot"}');
      await publish(4, "devices/bad/type", Buffer.of(0xff, 0xfe));
      await publish(4, "batches", "1");
      await publish(4, "devices/bad/good", "1");
      await until("the good one", async () => (await storedRows(service, "bad")).length === 1, waitMs);
      await until("four dead letters", async () => (await detail(service)).dead_letters.count === before + 4, waitMs);
      const { newest } = (await detail(service)).dead_letters;
      expect(newest.map(({ reason }) => reason).sort()).toEqual([
        "MQTT batches: device_id is required",
        "MQTT devices/bad/type: the payload begins as JSON and is none",
        "MQTT devices/bad/type: the payload is not UTF-8",
        "MQTT devices/bad/type: value_float must be a finite number or null",
      ]);
      expect(
        newest.map(({ event }) => [event.value_string, event.metadata.topic, event.metadata.encoding]),
      ).toContainEqual(["//4=", "devices/bad/type", "base64"]);
      await until("nothing in flight", async () => (await state(service))?.in_flight === 0, waitMs);
    });

    test("the user property idempotency-key is honoured", async () => {
      const properties = { userProperties: { "idempotency-key": "once" } };
      for (let time = 0; time < 3; time++) await publish(5, "devices/keyed/v", "1", { properties });
      await publish(5, "devices/keyed/v", "2", { properties: { userProperties: { "idempotency-key": "twice" } } });
      await until("the second key", async () => (await storedRows(service, "keyed")).length >= 2, waitMs);
      expect((await storedRows(service, "keyed")).map(({ value_float }) => value_float)).toEqual([1, 2]);
    });

    test("/metrics tells of it", async () => {
      const text = await (await fetch(`${service.url}/metrics`)).text();
      expect(text).toContain("sluice_mqtt_connected 1");
      expect(text).toMatch(/sluice_mqtt_messages_received_total [1-9]/);
      expect(text).toMatch(/sluice_events_accepted_by_protocol_total\{protocol="mqtt"\} [1-9]/);
    });
  });

  test("what is published while the service is away comes when it is back, in MQTT 3.1.1 and 5", async () => {
    const mosquitto = await broker();
    for (const protocol of ["3.1.1", "5"]) {
      const service = await subscribed(`${mosquitto.url}?protocol=${protocol}`, { MQTT_CLIENT_ID: `away-${protocol}` });
      expect((await state(service))?.version).toBe(protocol as "5");
      expect(await service.stop()).toBe(0);
      const client = await mqtt.connectAsync(mosquitto.url);
      for (let n = 0; n < 500; n++) await client.publishAsync("devices/away/n", String(n), { qos: 1 });
      client.end();
      const again = await service.restart();
      await until("all of them", async () => (await storedRows(again, "away")).length === 500, waitMs);
      await again.dispose();
    }
  });

  test("retained messages are taken when the subscription is new, and not again", async () => {
    const mosquitto = await broker();
    const client = await mqtt.connectAsync(mosquitto.url);
    await client.publishAsync("devices/kept/v", "1", { qos: 1, retain: true });
    for (const protocol of ["3.1.1", "5"]) {
      const service = await subscribed(`${mosquitto.url}?protocol=${protocol}`, { MQTT_CLIENT_ID: `kept-${protocol}` });
      await until("the retained one", async () => (await storedRows(service, "kept")).length === 1, waitMs);
      await service.stop();
      const again = await connected(await service.restart());
      await client.publishAsync("devices/kept/marker", "2", { qos: 1 });
      await until("the marker", async () => (await storedRows(again, "kept")).length === 2, waitMs);
      await again.dispose();
    }
    client.end();
  });

  test("user name and password, and a wrong one", async () => {
    const directory = mkdtempSync(join(tmpdir(), "mosquitto-password-"));
    cleanUp.push(async () => rmSync(directory, { recursive: true }));
    const file = join(directory, "passwords");
    expect(Bun.spawnSync(["mosquitto_passwd", "-c", "-b", file, "sluice", "p@ss"]).exitCode).toBe(0);
    const mosquitto = await broker(`password_file ${file}`, "allow_anonymous false");
    await subscribed(`mqtt://sluice:p%40ss@127.0.0.1:${mosquitto.port}`);
    const wrong = await startService({
      MQTT_URL: `mqtt://sluice:wrong@127.0.0.1:${mosquitto.port}`,
      MQTT_CLIENT_ID: "wrong",
    });
    cleanUp.push(() => wrong.dispose());
    await until("a refusal", async () => (await state(wrong))?.last_error !== null, waitMs);
    expect((await state(wrong))?.last_error).toMatch(/not authorized|wrong user name or password/);
    expect((await detail(wrong)).reasons.join()).toContain("MQTT: not connected");
    expect(wrong.log()).not.toContain("wrong@");
  });

  test("TLS, with an authority of one's own", async () => {
    const directory = mkdtempSync(join(tmpdir(), "mosquitto-tls-"));
    cleanUp.push(async () => rmSync(directory, { recursive: true }));
    const [certificate, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    const made = Bun.spawnSync([
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1",
      "-keyout",
      key,
      "-out",
      certificate,
    ]);
    expect(made.exitCode).toBe(0);
    const mosquitto = await broker(`certfile ${certificate}`, `keyfile ${key}`);
    const url = `mqtts://localhost:${mosquitto.port}`;
    const service = await subscribed(url, { NODE_EXTRA_CA_CERTS: certificate });
    const client = await mqtt.connectAsync(url, { rejectUnauthorized: false });
    await client.publishAsync("devices/tls/v", "1", { qos: 1 });
    client.end();
    await until("it is stored", async () => (await storedRows(service, "tls")).length === 1, waitMs);
    const stranger = await startService({ MQTT_URL: url, MQTT_CLIENT_ID: "stranger" });
    cleanUp.push(() => stranger.dispose());
    await until("the certificate is refused", async () => (await state(stranger))?.last_error !== null, waitMs);
    expect((await state(stranger))?.state).toBe("connecting");
  });

  test("a shared subscription spreads messages over instances, each of them once", async () => {
    const mosquitto = await broker();
    const shared = (id: string) => subscribed(mosquitto.url, { MQTT_GROUP: "fleet", MQTT_CLIENT_ID: id });
    const services = [await shared("one"), await shared("two")] as const;
    const client = await mqtt.connectAsync(mosquitto.url);
    for (let n = 0; n < 400; n++) await client.publishAsync(`devices/d${n}/v`, String(n), { qos: 1 });
    client.end();
    const counts = async () =>
      (await Promise.all(services.map((service) => storedRows(service)))).map((rows) => rows.length);
    await until("all of them", async () => (await counts()).reduce((sum, count) => sum + count, 0) >= 400, waitMs);
    const [one = 0, two = 0] = await counts();
    expect(one + two).toBe(400);
    expect(Math.min(one, two)).toBeGreaterThan(0);
  });

  test("a full journal stops the reading; nothing is dropped", async () => {
    const mosquitto = await broker();
    // No ClickHouse takes anything, so the journal fills and stays full.
    const environment = { JOURNAL_MAX_BYTES: "1MiB", CLICKHOUSE_URL: "http://127.0.0.1:1" };
    const service = await subscribed(mosquitto.url, environment);
    const client = await mqtt.connectAsync(mosquitto.url);
    const sent = 3000;
    const text = "x".repeat(1000);
    await Promise.all(
      Array.from({ length: sent }, (_, n) => client.publishAsync("devices/full/v", `${n} ${text}`, { qos: 1 })),
    );
    client.end();
    await until(
      "messages wait",
      async () => (await state(service))?.waiting_for?.includes("JOURNAL_MAX_BYTES") ?? false,
      waitMs,
    );
    const { in_flight = 0, acknowledged = 0 } = (await state(service)) ?? {};
    expect(in_flight).toBeGreaterThan(0);
    // The limit, and what one read of the socket still held when it was reached: 512 KiB of messages of 1 KB.
    expect(in_flight).toBeLessThanOrEqual(1000 + 512);
    expect(acknowledged).toBeLessThan(sent);
    expect((await detail(service)).reasons.join()).toContain("MQTT: messages wait");
    await service.kill();
    const again = await service.restart({ JOURNAL_MAX_BYTES: "1GiB", CLICKHOUSE_URL: "" });
    cleanUp.push(() => again.dispose());
    await until("every message", async () => (await state(again))?.in_flight === 0, 60_000);
    await allStored(again);
    const [row] = await again.sql<{ n: number }>("SELECT uniqExact(value_string) AS n FROM telemetry_events");
    expect(row?.n).toBe(sent);
  });
});
