import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { InfluxDB as InfluxDb2, Point, setLogger } from "@influxdata/influxdb-client";
import { InfluxDBClient, Point as Point3 } from "@influxdata/influxdb3-client";
import { Sender } from "@questdb/nodejs-client";
import { FieldType, InfluxDB as InfluxDb1 } from "influx";
import { type Service, startService } from "../../testing/test-service.ts";
import { type StoredRow, storedRows } from "./stored.ts";

const key = "s3cret";
const nowMs = Date.now();
let service: Service;
beforeAll(async () => {
  // The client says on the console what it also throws.
  setLogger({ error: () => undefined, warn: () => undefined });
  service = await startService({ INGEST_KEYS: `fleet:${key}`, FLUSH_INTERVAL: "0.05" });
});
afterAll(() => service.dispose());

const row =
  (device_id: string, metadata: Record<string, string>) =>
  (event_type: string, value_float: number | null, value_string: string | null = null): StoredRow => ({
    device_id,
    event_type,
    value_float,
    value_string,
    metadata,
    time_ms: nowMs,
  });
const byType = (rows: StoredRow[]) => rows.sort((a, b) => (a.event_type < b.event_type ? -1 : 1));
const oddText = 'a "quoted" \\ text, with = and\nlines, Zürich 🚀';

describe("clients of Influx line protocol, value for value", () => {
  test("@influxdata/influxdb-client", async () => {
    const client = new InfluxDb2({ url: service.url, token: key });
    for (const gzipThreshold of [1_000_000, 1]) {
      const device = `two-${gzipThreshold}`;
      const api = client.getWriteApi("org", "bucket", "ns", { gzipThreshold, maxRetries: 0 });
      api.writePoint(
        new Point("weather station")
          .tag("host", device)
          .tag("site, no=", "a b,c=d")
          .floatField("temp", 21.5)
          .floatField("tiny", 5e-324)
          .intField("count", -3)
          .intField("big", "9007199254740992")
          .uintField("unsigned", "18446744073709551615")
          .booleanField("on", true)
          .booleanField("off", false)
          .stringField("note", oddText)
          .stringField("empty", "")
          .floatField("value", 1)
          .timestamp(`${nowMs}123456`),
      );
      await api.close();
      const expected = row(device, { host: device, "site, no=": "a b,c=d" });
      expect(await storedRows(service, device)).toEqual(
        byType([
          expected("weather station", 1),
          expected("weather station_temp", 21.5),
          expected("weather station_tiny", 5e-324),
          expected("weather station_count", -3),
          expected("weather station_big", 2 ** 53, "9007199254740992"),
          expected("weather station_unsigned", 2 ** 64, "18446744073709551615"),
          expected("weather station_on", 1),
          expected("weather station_off", 0),
          expected("weather station_note", null, oddText),
          expected("weather station_empty", null, ""),
        ]),
      );
    }
  });

  test("@influxdata/influxdb-client is told which line was bad, and the good ones are there", async () => {
    const api = new InfluxDb2({ url: service.url, token: key }).getWriteApi("org", "mixed", "ns", { maxRetries: 0 });
    api.writeRecords(["m,host=mixed v=1", "m,host=mixed v=oops", "m,host=mixed w=2"]);
    const failure = await api.close().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      statusCode: 400,
      message: expect.stringContaining("partial write: line 2: unable to parse"),
    });
    expect((await storedRows(service, "mixed")).map(({ event_type }) => event_type)).toEqual(["m_v", "m_w"]);
  });

  test("influx, for InfluxDB 1.x", async () => {
    const client = new InfluxDb1({
      host: "127.0.0.1",
      port: Number(new URL(service.url).port),
      username: "anybody",
      password: key,
      database: "fleet",
      schema: [
        {
          measurement: "cpu",
          tags: ["host"],
          fields: { load: FieldType.FLOAT, cores: FieldType.INTEGER, busy: FieldType.BOOLEAN, name: FieldType.STRING },
        },
      ],
    });
    expect(await client.ping(5_000)).toMatchObject([{ online: true, version: "1.8.10" }]);
    await client.createDatabase("fleet");
    await client.writePoints(
      [
        {
          measurement: "cpu",
          tags: { host: "one" },
          fields: { load: 0.25, cores: 8, busy: true, name: oddText },
          timestamp: new Date(nowMs),
        },
      ],
      { precision: "ms" },
    );
    const expected = row("one", { host: "one" });
    expect(await storedRows(service, "one")).toEqual([
      expected("cpu_busy", 1),
      expected("cpu_cores", 8),
      expected("cpu_load", 0.25),
      expected("cpu_name", null, oddText),
    ]);
    const refused = await client.query("SHOW DATABASES").then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(String(refused)).toContain("CREATE DATABASE");
  });

  test("@influxdata/influxdb3-client, by both of its routes", async () => {
    for (const noSync of [false, true]) {
      const device = `three-${noSync}`;
      const client = new InfluxDBClient({
        host: service.url,
        token: key,
        database: "fleet",
        writeOptions: { noSync, precision: "ns" },
      });
      await client.write(
        Point3.measurement("m")
          .setTag("device", device)
          .setFloatField("f", -1.25)
          .setIntegerField("i", 42)
          .setUintegerField("u", 7)
          .setBooleanField("b", false)
          .setStringField("s", 'say "hi"')
          .setTimestamp(new Date(nowMs)),
      );
      await client.close();
      const expected = row(device, { device });
      expect(await storedRows(service, device)).toEqual([
        expected("m_b", 0),
        expected("m_f", -1.25),
        expected("m_i", 42),
        expected("m_s", null, 'say "hi"'),
        expected("m_u", 7),
      ]);
    }
  });

  test("@questdb/nodejs-client over HTTP, which asks for the version first", async () => {
    const port = new URL(service.url).port;
    const sender = await Sender.fromConfig(
      `http::addr=127.0.0.1:${port};token=${key};auto_flush=off;retry_timeout=0;stdlib_http=on;`,
    );
    await sender
      .table("trades")
      .symbol("device", "quest")
      .symbol("pair", "BTC USD")
      .floatColumn("price", 39_269.98)
      .intColumn("amount", 3)
      .booleanColumn("buy", true)
      .stringColumn("note", 'a "b"')
      .timestampColumn("filled", nowMs * 1000 + 7, "us")
      .at(nowMs, "ms");
    await sender.flush();
    await sender.close();
    const expected = row("quest", { device: "quest", pair: "BTC USD" });
    expect(await storedRows(service, "quest")).toEqual([
      expected("trades_amount", 3),
      expected("trades_buy", 1),
      expected("trades_filled", nowMs * 1000 + 7),
      expected("trades_note", null, 'a "b"'),
      expected("trades_price", 39_269.98),
    ]);
  });
});

describe("line protocol's own rules", () => {
  const write = (path: string, body: BodyInit, headers: Record<string, string> = { Authorization: `Token ${key}` }) =>
    fetch(service.url + path, { method: "POST", body, headers });

  test.each([
    [{ Authorization: `Token ${key}` }, ""],
    [{ Authorization: `Bearer ${key}` }, ""],
    [{ Authorization: `Basic ${btoa(`fleet:${key}`)}` }, ""],
    [{ "X-API-Key": key }, ""],
    [{}, `&u=fleet&p=${key}`],
  ] as [Record<string, string>, string][])("credentials: %j %s", async (headers, query) => {
    expect((await write(`/write?db=keys${query}`, "m v=1", headers)).status).toBe(204);
  });

  test("no key, a wrong one", async () => {
    const none = await write("/write?db=x", "m v=1", {});
    expect([none.status, await none.json()]).toEqual([
      401,
      {
        code: "unauthorized",
        message: expect.any(String),
        error: { code: "unauthenticated", message: expect.any(String) },
      },
    ]);
    expect((await write("/write?db=x&p=wrong", "m v=1", {})).status).toBe(403);
    expect((await write("/query?q=CREATE+DATABASE+x", "", {})).status).toBe(401);
  });

  test("a body whose lines all have times is stored once an hour, in its place", async () => {
    const body = `m,n=1 v=1 ${nowMs}\nm,n=2 v=2 ${nowMs}\n`;
    const place = "/api/v2/write?bucket=once&precision=ms";
    expect(
      (await Promise.all([write(place, body), write(place, body), write(place, body)])).map(({ status }) => status),
    ).toEqual([204, 204, 204]);
    expect(
      (
        await write(place, Bun.gzipSync(Buffer.from(body)), {
          Authorization: `Token ${key}`,
          "Content-Encoding": "gzip",
        })
      ).status,
    ).toBe(204);
    expect((await storedRows(service, "once")).length).toBe(2);
    await write("/api/v2/write?bucket=once-more&precision=ms", body);
    expect((await storedRows(service, "once-more")).length).toBe(2);
    for (let time = 0; time < 2; time++) await write("/write?db=twice", `m v=1 ${nowMs}000000\nm v=2`);
    expect((await storedRows(service, "twice")).length).toBe(4);
  });

  test("accept_partial=false takes nothing, unknown parameters are named, an empty body is nothing", async () => {
    const strict = await write("/api/v3/write_lp?db=strict&accept_partial=false", "m v=1\nbad");
    expect([strict.status, ((await strict.json()) as { message: string }).message]).toEqual([
      400,
      "line 2: unable to parse: fields are missing; 1 of 2 lines refused",
    ]);
    expect(await storedRows(service, "strict")).toEqual([]);
    const unknown = await write("/write?db=x&colour=red", "m v=1");
    expect([unknown.status, await unknown.text()]).toEqual([400, expect.stringContaining("colour is not a parameter")]);
    expect((await write("/write?db=x&precision=fortnight", "m v=1")).status).toBe(400);
    expect((await write("/write?db=x", "")).status).toBe(204);
  });

  test('no line is good: 400 without "partial write"; at most 100 lines are named', async () => {
    const response = await write("/write?db=x", "bad\n".repeat(250));
    const { message, code } = (await response.json()) as { message: string; code: string };
    expect([response.status, code]).toEqual([400, "invalid"]);
    expect(message).not.toContain("partial write");
    expect(message.match(/line \d+:/g)?.length).toBe(100);
    expect(message).toEndWith("250 of 250 lines refused");
  });

  test("bytes that are not UTF-8 cost their own line", async () => {
    const body = Buffer.concat([Buffer.from("m v=1\nm,t="), Buffer.from([0xff]), Buffer.from(" v=2\nm v=3\n")]);
    expect(await (await write("/write?db=bytes", body)).text()).toContain(
      "partial write: line 2: unable to parse: it is not UTF-8",
    );
    expect((await storedRows(service, "bytes")).map(({ value_float }) => value_float)).toEqual([1, 3]);
  });

  test("too many fields, too large a body", async () => {
    expect((await write("/write?db=x", "m v=1\n".repeat(10_001))).status).toBe(413);
    expect((await write("/write?db=x", "#".repeat(17 * 2 ** 20))).status).toBe(413);
  });
});
