/**
 * The only reader of the environment. Every setting is one row of `settings`: its default, its parser and the line that
 * `--help` prints. A wrong value throws `ConfigError`, whose message is the one line that stops the start.
 */

export class ConfigError extends Error {}

type Parse<T> = (text: string) => T | undefined;

interface Setting<T> {
  readonly fallback: string;
  readonly parse: Parse<T>;
  readonly allowed: string;
  readonly help: string;
  readonly secret?: true;
}

const define = <T>(
  fallback: string,
  parse: Parse<T>,
  allowed: string,
  help: string,
  options?: { secret: true },
): Setting<T> => ({ fallback, parse, allowed, help, ...options });

const unitsMs: Record<string, number> = { "": 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const unitsBytes: Record<string, number> = { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

function scaled(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match && units[match[2] as string];
  return unit ? Number(match[1]) * unit : undefined;
}

const bounded =
  (parse: Parse<number>, min: number, max: number): Parse<number> =>
  (text) => {
    const value = parse(text);
    return value !== undefined && value >= min && value <= max ? value : undefined;
  };

const integer = (min: number, max: number): Parse<number> =>
  bounded((text) => (/^\d+$/.test(text.trim()) ? Number(text) : undefined), min, max);
const text: Parse<string> = (value) => value;
const optional =
  <T>(parse: Parse<T>): Parse<T | null> =>
  (value) =>
    value === "" ? null : parse(value);
const oneOf =
  <const T extends string>(...choices: T[]): Parse<T> =>
  (value) =>
    choices.find((choice) => choice === value);
const flag: Parse<boolean> = (value) =>
  value === "1" || value === "true" ? true : value === "0" || value === "false" || value === "" ? false : undefined;
const httpUrls: Parse<string[]> = (value) => {
  const urls = value.split(",").map((part) => part.trim());
  return urls.every((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) ? urls : undefined;
};
const origins: Parse<string[]> = (value) => {
  const given = value === "" ? [] : value.split(",").map((part) => part.trim());
  return given.every((part) => URL.canParse(part) && new URL(part).origin === part) ? given : undefined;
};
const redisUrl: Parse<string> = (value) =>
  URL.canParse(value) && /^rediss?:$/.test(new URL(value).protocol) ? value : undefined;
const smtpUrl: Parse<string> = (value) =>
  URL.canParse(value) && /^smtps?:$/.test(new URL(value).protocol) ? value : undefined;
const identifier: Parse<string> = (value) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(value) ? value : undefined);

/** How a number with a unit is read, and the line that says so, bounds included. */
type Ranged = [parse: Parse<number>, allowed: string];

/** Both bounds are written as a setting's value is: `10ms`, `1h`. */
function duration(min: string, max: string): Ranged {
  const [minMs = Number.NaN, maxMs = Number.NaN] = [scaled(min, unitsMs), scaled(max, unitsMs)];
  const parse = bounded((text) => scaled(text, unitsMs), minMs, maxMs);
  return [parse, `a number of seconds, or with a unit (500ms, 2s, 5m, 1h, 30d), from ${min} to ${max}`];
}

function size(min: string, max: string, more = ""): Ranged {
  const [minBytes = Number.NaN, maxBytes = Number.NaN] = [scaled(min, unitsBytes), scaled(max, unitsBytes)];
  const parse = bounded(
    (text) => {
      const value = scaled(text, unitsBytes);
      return value === undefined ? undefined : Math.floor(value);
    },
    minBytes,
    maxBytes,
  );
  return [parse, `${more}a number of bytes, or with a unit (64KiB, 16MiB, 4GiB), from ${min} to ${max}`];
}

const settings = {
  HOST: define("127.0.0.1", text, "an address", "address to listen on; without keys only a loopback address"),
  PORT: define("8000", integer(0, 65535), "0 to 65535 (0: any free port)", "port to listen on"),
  DATA_DIR: define("./data", text, "a directory", "journal, dead letters, embedded database"),
  CLICKHOUSE_URL: define(
    "",
    optional(httpUrls),
    "http(s)://host:port, several separated by commas",
    "an external ClickHouse; unset: embedded",
  ),
  CLICKHOUSE_HOST: define("", text, "a host name", "with CLICKHOUSE_PORT, another way to say CLICKHOUSE_URL"),
  CLICKHOUSE_PORT: define("8123", integer(1, 65535), "1 to 65535, the HTTP port", "HTTP port of CLICKHOUSE_HOST"),
  CLICKHOUSE_USER: define("default", text, "a user name", "ClickHouse user"),
  CLICKHOUSE_PASSWORD: define("", text, "a password", "ClickHouse password", { secret: true }),
  CLICKHOUSE_DB: define("default", identifier, "letters, digits and _", "ClickHouse database"),
  CLICKHOUSE_CLUSTER: define("", optional(identifier), "a cluster's name", "use the replicated, distributed schema"),
  EMBEDDED_CLICKHOUSE_PORT: define(
    "8123",
    integer(0, 65535),
    "0 to 65535",
    "loopback HTTP port of the embedded engine",
  ),
  BATCH_SIZE: define("500000", integer(1, 10_000_000), "1 to 10000000 rows", "rows that seal a batch at once"),
  FLUSH_INTERVAL: define("1", ...duration("10ms", "1h"), "a non-empty batch is sealed after this long"),
  AGGREGATION_INTERVAL: define("2", ...duration("50ms", "1h"), "time between rollup queries"),
  STREAM_INTERVAL: define("0.1", ...duration("10ms", "1m"), "time between updates on the live stream"),
  JOURNAL_MAX_BYTES: define("4GiB", ...size("1MiB", "1024TiB"), "journal on disk; full: 503"),
  SEGMENT_MAX_BYTES: define("128MiB", ...size("64KiB", "1GiB"), "bytes that seal a batch"),
  SEGMENT_MAX_AGE: define(
    "60",
    ...duration("10ms", "1d"),
    "a batch is sealed after this long even while ClickHouse is away",
  ),
  RING_BYTES: define(
    "64MiB",
    ...size("64KiB", "1GiB", "a power of two: "),
    "shared memory between the HTTP thread and the writer; full: 503",
  ),
  DEAD_LETTER_MAX_BYTES: define("1GiB", ...size("1KiB", "1024TiB"), "dead letters on disk; full: inserting waits"),
  MAX_BODY_BYTES: define("16MiB", ...size("1KiB", "512MiB"), "request body, decompressed; over: 413"),
  MAX_INFLIGHT_BYTES: define(
    "256MiB",
    ...size("1MiB", "1024TiB"),
    "request bodies on their way, all together; over: 503",
  ),
  MAX_EVENTS_PER_REQUEST: define("10000", integer(1, 1_000_000), "1 to 1000000", "events in one request; over: 413"),
  MAX_CLOCK_SKEW_FUTURE: define("5m", ...duration("0s", "5m"), "how far ahead a device's clock may be"),
  MAX_EVENT_AGE: define("30d", ...duration("1s", "366d"), "how old an event may be"),
  RETENTION_DAYS: define(
    "90",
    integer(1, 36_500),
    "1 to 36500",
    "TTL of raw events (1 s rollups 7 days, 1 min a year, 1 h kept)",
  ),
  BODY_TIMEOUT: define("30", ...duration("100ms", "10m"), "a request body has to arrive within this; over: 408"),
  INSERT_TIMEOUT: define("60", ...duration("100ms", "1h"), "an insert that is not answered by then is tried again"),
  SHUTDOWN_TIMEOUT: define(
    "30",
    ...duration("0s", "1h"),
    "bound on flushing at shutdown; the rest stays in the journal",
  ),
  INGEST_KEYS: define(
    "",
    text,
    "name:secret[:device-prefix], comma-separated, or @FILE",
    "keys that may write; unset: open, loopback only",
    { secret: true },
  ),
  VIEWER_KEYS: define(
    "",
    text,
    "name:secret, comma-separated, or @FILE",
    "keys that may read; unset: open, loopback only",
    { secret: true },
  ),
  EDITOR_KEYS: define(
    "",
    text,
    "name:secret, comma-separated, or @FILE",
    "keys that may read, and change alert rules, silences, channels, saved views and links; unset: nobody where VIEWER_KEYS is set, else everybody",
    { secret: true },
  ),
  ALERTS_FILE: define("", text, "a JSON file", "alert rules, channels and silences; read again on SIGHUP"),
  ALLOW_PRIVATE_WEBHOOKS: define("0", flag, "1 or 0", "1: webhooks may go to loopback and private addresses"),
  SMTP_URL: define("", optional(smtpUrl), "smtp://user:password@host:port or smtps://…", "server for e-mail channels"),
  SMTP_FROM: define("", text, "an e-mail address", "sender of e-mail channels; needed with SMTP_URL"),
  SESSION_LIFETIME: define("30d", ...duration("1s", "366d"), "a viewer signs in again after this long"),
  ALLOW_ANONYMOUS: define("0", flag, "1 or 0", "1: listen on a non-loopback HOST without keys"),
  RATE_LIMIT_EVENTS: define(
    "",
    optional(integer(1, 1_000_000_000)),
    "a positive whole number",
    "events per second for each key",
  ),
  IDEMPOTENCY_MAX_KEYS: define(
    "1000000",
    integer(1, 50_000_000),
    "1 to 50000000",
    "idempotency keys remembered for an hour; full: 503",
  ),
  MAX_STREAMS: define("20000", integer(1, 1_000_000), "1 to 1000000", "open live streams; over: 503"),
  MAX_STREAMS_PER_VIEWER: define(
    "20000",
    integer(1, 1_000_000),
    "1 to 1000000",
    "open live streams of one viewer; over: 503",
  ),
  MAX_EVENT_TYPES: define(
    "1000",
    integer(1, 10_000),
    "1 to 10000",
    "event types in the live view; further ones count as (other)",
  ),
  CORS_ORIGINS: define(
    "",
    origins,
    "origins like https://example.org, comma-separated",
    "web origins that may read the API and post events; unset: none",
  ),
  REDIS_URL: define(
    "",
    optional(redisUrl),
    "redis://host:port or rediss://…",
    "shared journal and live view between instances",
  ),
  REDIS_SHARDS: define(
    "2",
    integer(1, 64),
    "1 to 64",
    "streams that devices are spread over, each inserted by one instance; the first instance on a Redis decides",
  ),
  ROLE: define(
    "all",
    oneOf("all", "ingest", "writer"),
    "all, ingest or writer",
    "ingest: no ClickHouse writer; writer: no ingestion; both need REDIS_URL",
  ),
  TLS_CERT: define("", text, "a PEM file", "certificate chain; with TLS_KEY: HTTPS and HTTP/2"),
  TLS_KEY: define("", text, "a PEM file", "private key of TLS_CERT"),
  LOG_LEVEL: define(
    "info",
    oneOf("debug", "info", "warn", "error"),
    "debug, info, warn or error",
    "least severe level logged",
  ),
  LOG_FORMAT: define("", oneOf("", "pretty", "json"), "pretty or json", "default: pretty on a terminal, else json"),
} as const;

type Settings = typeof settings;
type Value<S> = S extends Setting<infer T> ? T : never;
export type Config = { readonly [K in keyof Settings]: Value<Settings[K]> };

const loopbackHosts = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

export function isLoopback(host: string): boolean {
  return loopbackHosts.test(host);
}

/** Parses every setting from `environment`; throws `ConfigError` with one line that names variable, value and what is allowed. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const given = environment[name];
    const value = setting.parse(given === undefined || given === "" ? setting.fallback : given);
    if (value === undefined) {
      const shown = setting.secret ? "********" : withoutCredentials(given);
      throw new ConfigError(`${name}=${shown}: allowed is ${setting.allowed}`);
    }
    config[name] = value;
  }
  const parsed = config as Config;
  return { ...parsed, CLICKHOUSE_URL: clickHouseUrl(parsed), ...crossChecked(parsed, environment) };
}

function clickHouseUrl(config: Config): string[] | null {
  if (config.CLICKHOUSE_URL || config.CLICKHOUSE_HOST === "") return config.CLICKHOUSE_URL;
  const url = `http://${config.CLICKHOUSE_HOST}:${config.CLICKHOUSE_PORT}`;
  if (!URL.canParse(url)) throw new ConfigError(`CLICKHOUSE_HOST=${config.CLICKHOUSE_HOST}: allowed is a host name`);
  return [url];
}

/** What no single setting can tell. */
function crossChecked(config: Config, environment: Readonly<Record<string, string | undefined>>): Partial<Config> {
  const open = config.INGEST_KEYS === "" || config.VIEWER_KEYS === "";
  if (open && !config.ALLOW_ANONYMOUS && !isLoopback(config.HOST)) {
    throw new ConfigError(
      `HOST=${config.HOST}: without INGEST_KEYS and VIEWER_KEYS allowed is a loopback address, or any with ALLOW_ANONYMOUS=1`,
    );
  }
  if (config.ROLE !== "all" && config.REDIS_URL === null) {
    throw new ConfigError(`ROLE=${config.ROLE}: allowed is all, as REDIS_URL is not set`);
  }
  if (config.SMTP_URL !== null && config.SMTP_FROM === "") {
    throw new ConfigError("SMTP_FROM=: allowed is an e-mail address, as SMTP_URL is set");
  }
  if ((config.TLS_CERT === "") !== (config.TLS_KEY === "")) {
    throw new ConfigError(`TLS_CERT=${config.TLS_CERT}: allowed is TLS_CERT and TLS_KEY both set, or neither`);
  }
  const ringBytes = config.RING_BYTES;
  if (!Number.isInteger(Math.log2(ringBytes))) {
    throw new ConfigError(`RING_BYTES=${environment.RING_BYTES}: allowed is a power of two from 64KiB to 1GiB`);
  }
  // A request is one frame, and the ring must take the largest: a row is at most as long as its JSON plus a fixed part.
  const needed = maxFrameBytes(config) * 2;
  if (needed > ringBytes) {
    if (environment.RING_BYTES) {
      throw new ConfigError(
        `RING_BYTES=${environment.RING_BYTES}: allowed is at least ${2 ** Math.ceil(Math.log2(needed))} with these MAX_BODY_BYTES and MAX_EVENTS_PER_REQUEST`,
      );
    }
    return { RING_BYTES: 2 ** Math.ceil(Math.log2(needed)) };
  }
  return {};
}

/** Upper bound, in bytes, of one request's rows: text is never longer in a row than in JSON, and 48 bytes a row are fixed. */
export function maxFrameBytes(config: Pick<Config, "MAX_BODY_BYTES" | "MAX_EVENTS_PER_REQUEST">): number {
  return config.MAX_BODY_BYTES + 48 * config.MAX_EVENTS_PER_REQUEST + 4096;
}

/** Every setting with its value in force, secrets masked. */
export function describeConfig(config: Config): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => {
      const setting: Setting<unknown> = settings[name as keyof Settings];
      return [name, setting.secret && value !== "" ? "********" : withoutCredentials(value)];
    }),
  );
}

/** A URL may carry a password; one that is wrong may carry it anywhere before its last @, and lack the scheme. */
export function withoutCredentials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCredentials).join(",");
  return typeof value === "string" ? value.replace(/^([a-z]+:\/\/)?.*@/is, "$1********@") : value;
}

export function helpText(): string {
  const rows = Object.entries(settings).map(
    ([name, setting]) => `  ${name.padEnd(26)}${setting.help} (default: ${setting.fallback || "unset"})`,
  );
  return [
    "Sluice: devices POST JSON, ClickHouse has it, every dashboard shows it live.",
    "",
    "  bun server/main.ts          start the service",
    "  bun server/main.ts --help   this text",
    "",
    "Settings (environment):",
    ...rows,
    "",
  ].join("\n");
}
