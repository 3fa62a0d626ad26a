import { describe, expect, test } from "bun:test";
import { describeConfig, parseConfig } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { helpText } from "./help.ts";

describe("configuration", () => {
  test("defaults are those of --help", () => {
    const config = describeConfig(parseConfig({}));
    expect(config).toMatchObject({
      HOST: "127.0.0.1",
      PORT: 8000,
      CLICKHOUSE_URL: null,
      BATCH_SIZE: 500_000,
      FLUSH_INTERVAL: 1000,
      AGGREGATION_INTERVAL: 2000,
      STREAM_INTERVAL: 100,
      JOURNAL_MAX_BYTES: 4 * 2 ** 30,
      MAX_BODY_BYTES: 16 * 2 ** 20,
      MAX_EVENTS_PER_REQUEST: 10_000,
      MAX_CLOCK_SKEW_FUTURE: 300_000,
      MAX_EVENT_AGE: 30 * 86_400_000,
      RETENTION_DAYS: 90,
      ROLE: "all",
    });
    const help = helpText();
    for (const name of Object.keys(config)) expect(help).toContain(`  ${name} `);
  });

  test("units are read", () => {
    const config = parseConfig({ FLUSH_INTERVAL: "0.5", STREAM_INTERVAL: "250ms", JOURNAL_MAX_BYTES: "1.5MiB" });
    expect(config.batching.flushIntervalMs).toBe(500);
    expect(config.liveView.streamIntervalMs).toBe(250);
    expect(config.storage.journalMaxBytes).toBe(1.5 * 2 ** 20);
  });

  test("host and port make a URL", () => {
    expect(parseConfig({ CLICKHOUSE_HOST: "db", CLICKHOUSE_PORT: "8124" }).clickHouse.urls).toEqual(["http://db:8124"]);
    expect(parseConfig({ CLICKHOUSE_URL: "http://a:8123,https://b:8443" }).clickHouse.urls).toHaveLength(2);
  });

  const wrong: Record<string, string>[] = [
    { PORT: "eighty" },
    { PORT: "65536" },
    { FLUSH_INTERVAL: "soon" },
    { FLUSH_INTERVAL: "1 fortnight" },
    { BATCH_SIZE: "0" },
    { BATCH_SIZE: "1.5" },
    { JOURNAL_MAX_BYTES: "-1" },
    { JOURNAL_MAX_BYTES: "4GB" },
    { CLICKHOUSE_URL: "tcp://host:9000" },
    { CLICKHOUSE_DB: "a; DROP TABLE b" },
    { LOG_LEVEL: "loud" },
    { ALLOW_ANONYMOUS: "maybe" },
    { ROLE: "reader" },
    { ROLE: "writer" },
    { REDIS_URL: "http://localhost" },
    { HOST: "0.0.0.0" },
    { HOST: "0.0.0.0", INGEST_KEYS: "a:b" },
    { TLS_CERT: "cert.pem" },
    { RING_BYTES: "65537" },
    { RING_BYTES: "64KiB" },
    { MAX_CLOCK_SKEW_FUTURE: "6m" },
  ];
  test.each(wrong)("one line names the variable, the value and what is allowed: %j", (environment) => {
    let message = "";
    try {
      parseConfig(environment);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      message = error.message;
    }
    const [name, value] = Object.entries(environment)[0] as [string, string];
    expect(message).toStartWith(`${name}=${value}: `);
    expect(message).toContain("not allowed");
    expect(message).not.toContain("\n");
  });

  const outside: [environment: Record<string, string>, bounds: string][] = [
    [{ FLUSH_INTERVAL: "0" }, "from 10ms to 1h"],
    [{ FLUSH_INTERVAL: "61m" }, "from 10ms to 1h"],
    [{ STREAM_INTERVAL: "0" }, "from 10ms to 1m"],
    [{ AGGREGATION_INTERVAL: "1d" }, "from 50ms to 1h"],
    [{ BODY_TIMEOUT: "1ms" }, "from 100ms to 10m"],
    [{ SESSION_LIFETIME: "367d" }, "from 1s to 366d"],
    [{ JOURNAL_MAX_BYTES: "1023KiB" }, "from 1MiB to 1024TiB"],
    [{ DEAD_LETTER_MAX_BYTES: "0" }, "from 1KiB to 1024TiB"],
    [{ BATCH_SIZE: "0" }, "1 to 2000000"],
  ];
  test.each(outside)("a value out of bounds is told the bounds: %j", (environment, bounds) => {
    expect(() => parseConfig(environment)).toThrow(bounds);
  });

  test("bounds themselves are allowed", () => {
    expect(parseConfig({ FLUSH_INTERVAL: "10ms", MAX_CLOCK_SKEW_FUTURE: "0", MAX_BODY_BYTES: "1KiB" })).toMatchObject({
      batching: { flushIntervalMs: 10 },
      limits: { maxClockSkewFutureMs: 0, maxBodyBytes: 1024 },
    });
    expect(parseConfig({ FLUSH_INTERVAL: "1h", JOURNAL_MAX_BYTES: "1024TiB" })).toMatchObject({
      batching: { flushIntervalMs: 3_600_000 },
      storage: { journalMaxBytes: 2 ** 50 },
    });
  });

  test.each([
    { REDIS_URL: "http://:hunter2@cache" },
    { REDIS_URL: "u:hunter2@cache:6379" },
    { CLICKHOUSE_URL: "http://u:hunter2/x@db:8123x" },
    { CLICKHOUSE_URL: "https://u:h@hunter2@db:port" },
    { CLICKHOUSE_URL: "http://a:8123,tcp://u:hunter2@db" },
  ])("the password of a URL that is wrong is not told: %j", (environment: Record<string, string>) => {
    let message = "";
    try {
      parseConfig(environment);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain("********@");
    expect(message).not.toContain("hunter2");
  });

  test("without keys a non-loopback host needs ALLOW_ANONYMOUS", () => {
    expect(parseConfig({ HOST: "0.0.0.0", ALLOW_ANONYMOUS: "1" }).listen.host).toBe("0.0.0.0");
    expect(parseConfig({ HOST: "::1" }).listen.host).toBe("::1");
    expect(parseConfig({ HOST: "0.0.0.0", INGEST_KEYS: "a:b", VIEWER_KEYS: "c:d" }).listen.host).toBe("0.0.0.0");
  });

  test("the ring grows with the largest request", () => {
    expect(parseConfig({}).limits.ringBytes).toBe(64 * 2 ** 20);
    expect(parseConfig({ MAX_BODY_BYTES: "128MiB" }).limits.ringBytes).toBe(512 * 2 ** 20);
  });

  test("secrets are masked", () => {
    const text = JSON.stringify(
      describeConfig(parseConfig({ CLICKHOUSE_PASSWORD: "hunter2", INGEST_KEYS: "a:hunter3" })),
    );
    expect(text).not.toContain("hunter");
  });
});
