import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter as JsonLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtoLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as JsonMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtoMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { type Service, startService } from "../../testing/test-service.ts";
import { type StoredRow, storedRows } from "./stored.ts";

const key = "s3cret";
let service: Service;
beforeAll(async () => {
  service = await startService({ INGEST_KEYS: `fleet:${key}`, FLUSH_INTERVAL: "0.05" });
});
afterAll(() => service.dispose());

/** Type, value, text, and the metadata that the point itself has. */
const summed = (rows: readonly StoredRow[], ...keys: string[]) =>
  rows.map(({ event_type, value_float, value_string, metadata }) => [
    event_type,
    value_float,
    value_string,
    Object.fromEntries(keys.flatMap((name) => (name in metadata ? [[name, metadata[name]]] : []))),
  ]);

describe.each([
  ["protobuf", ProtoMetricExporter, ProtoLogExporter],
  ["json", JsonMetricExporter, JsonLogExporter],
] as const)("OpenTelemetry's exporters, %s", (encoding, MetricExporter, LogExporter) => {
  const resource = (device: string) =>
    resourceFromAttributes({
      "service.name": "pump",
      "service.instance.id": device,
      "host.cpus": 4,
      roles: ["a", "b"],
    });
  const headers = { Authorization: `Bearer ${key}` };

  test.each(["none", "gzip"] as const)("metrics of every kind, compression %s", async (compression) => {
    const device = `${encoding}-${compression}`;
    const exporter = new MetricExporter({
      url: `${service.url}/v1/metrics`,
      headers,
      compression: compression as never,
      temporalityPreference: AggregationTemporality.CUMULATIVE as never,
    });
    const provider = new MeterProvider({
      resource: resource(device),
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
      views: [
        {
          instrumentName: "exponential",
          aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 20 } },
        },
      ],
    });
    const meter = provider.getMeter("meter", "1.2.3");
    meter.createCounter("requests", { unit: "{request}" }).add(3, { route: "/a", ok: true });
    meter.createUpDownCounter("queue").add(-2.5);
    meter.createGauge("temperature", { unit: "Cel" }).record(21.5, { sensor: 7 });
    meter.createObservableGauge("observed").addCallback((result) => result.observe(1e300));
    const histogram = meter.createHistogram("latency", {
      unit: "ms",
      advice: { explicitBucketBoundaries: [1, 10, 100] },
    });
    for (const value of [0.5, 5, 5, 50, 500]) histogram.record(value);
    const exponential = meter.createHistogram("exponential");
    for (const value of [0, 1, 2, 4]) exponential.record(value);
    // Shutting down exports once more.
    await provider.shutdown();

    const rows = await storedRows(service, device);
    expect(
      rows.every(
        ({ metadata, time_ms }) =>
          metadata["service.name"] === "pump" &&
          metadata["host.cpus"] === "4" &&
          metadata.roles === '["a","b"]' &&
          metadata["otel.scope.name"] === "meter" &&
          metadata["otel.scope.version"] === "1.2.3" &&
          Math.abs(time_ms - Date.now()) < 60_000,
      ),
    ).toBe(true);
    const of = (name: string, ...keys: string[]) =>
      summed(
        rows.filter(({ event_type }) => event_type.startsWith(name)),
        ...keys,
      );
    expect(of("requests", "route", "ok", "unit", "otlp.temporality", "otlp.monotonic")).toEqual([
      [
        "requests",
        3,
        null,
        { route: "/a", ok: "true", unit: "{request}", "otlp.temporality": "cumulative", "otlp.monotonic": "true" },
      ],
    ]);
    expect(of("queue", "otlp.monotonic")).toEqual([["queue", -2.5, null, {}]]);
    expect(of("temperature", "sensor", "unit")).toEqual([["temperature", 21.5, null, { sensor: "7", unit: "Cel" }]]);
    expect(of("observed")).toEqual([["observed", 1e300, null, {}]]);
    expect(of("latency", "le", "unit").sort()).toEqual(
      [
        ["latency_bucket", 1, null, { le: "1", unit: "ms" }],
        ["latency_bucket", 3, null, { le: "10", unit: "ms" }],
        ["latency_bucket", 4, null, { le: "100", unit: "ms" }],
        ["latency_bucket", 5, null, { le: "+Inf", unit: "ms" }],
        ["latency_count", 5, null, { unit: "ms" }],
        ["latency_max", 500, null, { unit: "ms" }],
        ["latency_min", 0.5, null, { unit: "ms" }],
        ["latency_sum", 560.5, null, { unit: "ms" }],
      ].sort(),
    );
    const buckets = rows
      .filter(({ event_type }) => event_type === "exponential_bucket")
      .map(({ metadata, value_float }) => [Number(metadata.le?.replace("+Inf", "Infinity")), value_float]);
    // Whatever the scale: of four values, so many are at most each bound.
    for (const [le, count] of buckets)
      expect([0, 1, 2, 4].filter((value) => value <= Number(le) * (1 + 1e-9)).length).toBe(Number(count));
    expect(buckets.length).toBeGreaterThanOrEqual(5);
    expect(of("exponential_count")).toEqual([["exponential_count", 4, null, {}]]);
    expect(of("exponential_sum")).toEqual([["exponential_sum", 7, null, {}]]);
  });

  test("logs of every kind", async () => {
    const device = `${encoding}-logs`;
    const exporter = new LogExporter({ url: `${service.url}/v1/logs`, headers });
    const provider = new LoggerProvider({
      resource: resource(device),
      processors: [new BatchLogRecordProcessor({ exporter } as never)],
    });
    const logger = provider.getLogger("logger");
    const timestamp = new Date();
    logger.emit({
      timestamp,
      severityNumber: SeverityNumber.WARN,
      severityText: "warning",
      body: "it is hot",
      attributes: { room: "a", n: 1.5 },
    });
    logger.emit({ timestamp, severityNumber: SeverityNumber.INFO2, body: { nested: [1, "two", true] } });
    logger.emit({ timestamp, eventName: "door.opened", body: 42 });
    logger.emit({ timestamp, attributes: { "event.name": "named" }, body: "old style" });
    await provider.forceFlush();
    await provider.shutdown();
    const rows = await storedRows(service, device);
    expect(summed(rows, "room", "n", "severity", "severity_number")).toEqual(
      [
        ["door.opened", null, "42", {}],
        ["log", null, '{"nested":[1,"two",true]}', { severity: "INFO2", severity_number: "10" }],
        ["log", null, "it is hot", { room: "a", n: "1.5", severity: "warning", severity_number: "13" }],
        ["named", null, "old style", {}],
      ]
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
        .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)) as never,
    );
    expect(rows.every(({ time_ms }) => time_ms === timestamp.getTime())).toBe(true);
  });
});

describe("OTLP's own rules", () => {
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(service.url + path, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", ...headers },
      body: body instanceof Uint8Array || typeof body === "string" ? (body as BodyInit) : JSON.stringify(body),
    });
  const attribute = (name: string, value: unknown) => ({ key: name, value });
  const nanos = (ms = Date.now()) => `${ms}000000`;
  const metrics = (device: string, ...list: unknown[]) => ({
    resourceMetrics: [
      {
        resource: { attributes: [attribute("device.id", { stringValue: device })] },
        scopeMetrics: [{ metrics: list }],
      },
    ],
  });

  test("refused points are counted and explained, the others are stored", async () => {
    const gauge = (name: string, timeUnixNano: string) => ({
      name,
      gauge: { dataPoints: [{ asDouble: 1, timeUnixNano }] },
    });
    const response = await post(
      "/v1/metrics",
      metrics(
        "partial",
        gauge("good", nanos()),
        gauge("old", "1"),
        gauge("x".repeat(129), nanos()),
        gauge("", nanos()),
      ),
    );
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        partialSuccess: {
          rejectedDataPoints: "3",
          errorMessage: expect.stringMatching(
            /^point 1: timestamp is more than .*; point 2: the event type xxx.*; point 3: the metric has no name$/,
          ),
        },
      },
    ]);
    expect((await storedRows(service, "partial")).map(({ event_type }) => event_type)).toEqual(["good"]);
  });

  test("integers, NaN, points without a value, summaries, attributes of the same key", async () => {
    const timeUnixNano = nanos();
    const body = metrics(
      "odd",
      {
        name: "big",
        sum: {
          aggregationTemporality: 1,
          dataPoints: [{ asInt: "9007199254740993", timeUnixNano, startTimeUnixNano: "7" }],
        },
      },
      {
        name: "nan",
        gauge: {
          dataPoints: [
            { asDouble: "NaN", timeUnixNano },
            { asDouble: "-Infinity", timeUnixNano },
          ],
        },
      },
      { name: "none", gauge: { dataPoints: [{ flags: 1, timeUnixNano }] } },
      {
        name: "sum",
        unit: "s",
        summary: {
          dataPoints: [
            {
              count: "2",
              sum: 3,
              quantileValues: [
                { quantile: 0.5, value: 1 },
                { quantile: 1, value: 2 },
              ],
              timeUnixNano,
            },
          ],
        },
      },
      {
        name: "same",
        unit: "own",
        gauge: {
          dataPoints: [
            {
              asDouble: 1,
              timeUnixNano,
              attributes: [
                attribute("device.id", { stringValue: "inner" }),
                attribute("unit", { intValue: "3" }),
                attribute("b", { bytesValue: "AQI=" }),
              ],
              exemplars: [{ asDouble: 1, timeUnixNano }],
            },
          ],
        },
      },
    );
    expect((await post("/v1/metrics", body)).status).toBe(200);
    const rows = await storedRows(service, "odd");
    const keys = [
      "otlp.temporality",
      "otlp.start_time_unix_nano",
      "quantile",
      "unit",
      "resource.device.id",
      "point.unit",
      "device.id",
      "b",
    ];
    expect(summed(rows, ...keys)).toEqual([
      [
        "big",
        2 ** 53,
        "9007199254740993",
        { "otlp.temporality": "delta", "otlp.start_time_unix_nano": "7", "device.id": "odd" },
      ],
      ["nan", null, "NaN", { "device.id": "odd" }],
      ["nan", null, "-Infinity", { "device.id": "odd" }],
      ["none", null, null, { "device.id": "odd" }],
      [
        "same",
        1,
        null,
        { unit: "own", "resource.device.id": "odd", "point.unit": "3", "device.id": "inner", b: "AQI=" },
      ],
      ["sum", 1, null, { quantile: "0.5", unit: "s", "device.id": "odd" }],
      ["sum", 2, null, { quantile: "1", unit: "s", "device.id": "odd" }],
      ["sum_count", 2, null, { unit: "s", "device.id": "odd" }],
      ["sum_sum", 3, null, { unit: "s", "device.id": "odd" }],
    ]);
    const text = await (await fetch(`${service.url}/metrics`)).text();
    expect(text).toContain("sluice_otlp_exemplars_dropped_total 1");
    expect(text).toMatch(/sluice_events_accepted_by_protocol_total\{protocol="otlp"\} \d+/);
  });

  test("ids of traces are hexadecimal, in both encodings; a resource without a name is unknown_service", async () => {
    const ids = { traceId: "5B8EFFF798038103D269B633813FC60C", spanId: "EEE19B7EC3C1B174", flags: 1 };
    await post("/v1/logs", {
      resourceLogs: [
        { scopeLogs: [{ logRecords: [{ ...ids, timeUnixNano: nanos(), body: { stringValue: "traced" } }] }] },
      ],
    });
    const [row] = await storedRows(service, "unknown_service");
    expect(row?.metadata).toEqual({
      trace_id: ids.traceId.toLowerCase(),
      span_id: ids.spanId.toLowerCase(),
      trace_flags: "1",
    });
  });

  test("the same export again is stored once; a point without a time makes it news", async () => {
    const once = metrics("once", { name: "m", gauge: { dataPoints: [{ asDouble: 1, timeUnixNano: nanos() }] } });
    for (let time = 0; time < 3; time++) expect((await post("/v1/metrics", once)).status).toBe(200);
    expect((await storedRows(service, "once")).length).toBe(1);
    const news = metrics("news", { name: "m", gauge: { dataPoints: [{ asDouble: 1 }] } });
    for (let time = 0; time < 2; time++) await post("/v1/metrics", news);
    expect((await storedRows(service, "news")).length).toBe(2);
  });

  test("what is no message is 400 with a Status, in the request's encoding", async () => {
    const json = await post("/v1/metrics", "{");
    expect([json.status, await json.json()]).toEqual([
      400,
      {
        code: 3,
        message: expect.stringContaining("not the message"),
        error: { code: "malformed_request", message: expect.any(String) },
      },
    ]);
    const binary = await post("/v1/logs", Uint8Array.of(0x0a, 0x7f), { "Content-Type": "application/x-protobuf" });
    expect([binary.status, binary.headers.get("content-type")]).toEqual([400, "application/x-protobuf"]);
    const bytes = await binary.bytes();
    expect([bytes[0], bytes[1], bytes[2]]).toEqual([0x08, 3, 0x12]);
    const empty = await post("/v1/logs", new Uint8Array(0), { "Content-Type": "application/x-protobuf" });
    expect([empty.status, (await empty.bytes()).length]).toEqual([200, 0]);
    expect((await post("/v1/metrics", "", { "Content-Type": "text/plain" })).status).toBe(415);
    expect((await post("/v1/metrics", "{}", { Authorization: "" })).status).toBe(401);
    expect((await fetch(`${service.url}/v1/metrics`)).status).toBe(405);
  });
});
