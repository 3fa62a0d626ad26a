/**
 * A stand-in for the service, for working on the page and for the browser tests that need a scripted server: the built
 * client, the stream and the reading routes, over generated data.
 *
 *   bun client/dev/fixture-server.ts --port 8100 --types 50 --devices 100000
 *
 * `POST /__control` with any part of `Scene` as JSON changes it while it runs; `GET /__stats` counts what it was asked.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Change, Changes, DeviceGroups, Facets } from "../../contract/fleet.ts";
import type {
  Device,
  DeviceDetail,
  Devices,
  Events,
  EventTypes,
  History,
  PipelineDetail,
} from "../../contract/read.ts";
import type { SqlAnswer, SqlQuestion } from "../../contract/sql.ts";
import type { Storage } from "../../contract/storage.ts";
import type { DeviceUpdate, PartUpdate, Update } from "../../contract/stream.ts";
import { createFixtureAlerts } from "./fixture-alerts.ts";
import { createFixtureViews, sharedView } from "./fixture-views.ts";

export interface Scene {
  types: number;
  devices: number;
  /** Between two updates. */
  intervalMs: number;
  /** Nothing has ever been posted. */
  empty: boolean;
  /** The stream stays open and says nothing, not even a heartbeat. */
  frozen: boolean;
  /** Only heartbeats: connected, and nothing changes. */
  quiet: boolean;
  /** Every request but the page's files is refused with this status; 0 is none. */
  failStatus: number;
  clickhouse: "ok" | "unavailable" | "denied";
  /** Needed as a viewer key; empty asks for none. */
  key: string;
  /** Every device whose number is a multiple of this, and some in between, is silent; 0: none is. */
  silentEvery: number;
  /** All devices of this site have fallen silent. */
  outage: string;
  deadLetters: number;
  /** ClickHouse has not answered yet since the start. */
  starting: boolean;
  /** Every type has the same count at every moment, in an order that changes: what a simulator's fleet looks like. */
  ties: boolean;
  /** The page's rate, so that a test can set a figure and see it. Null: generated. */
  rate: number | null;
  /** How many alerts fire. */
  alerts: number;
}

export interface FixtureStats {
  openStreams: number;
  streamsEver: number;
  lastEventIds: string[];
  requests: Record<string, number>;
}

export interface FixtureServer {
  url: string;
  port: number;
  scene: Scene;
  stats: FixtureStats;
  stop(): Promise<void>;
}

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const typeNames = [
  "temperature",
  "humidity",
  "pressure",
  "cpu_percent",
  "memory_percent",
  "battery_voltage",
  "vibration_rms",
  "flow_rate",
  "door_open",
  "signal_dbm",
  "fan_rpm",
  "power_watts",
  "co2_ppm",
  "light_lux",
  "gps_speed",
  "tank_level",
];

export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  // The hash is of the one style element that ApexCharts inserts (for a legend, which is switched off here).
  "style-src 'self' 'sha256-aSysLrDECVdJ6L+jLf8CC5QKLmwRuk/OZiZk9mYky8A='",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

function typeName(index: number): string {
  const base = typeNames[index % typeNames.length]!;
  return index < typeNames.length ? base : `${base}.${Math.floor(index / typeNames.length)}`;
}

/** A wave with some jitter; the same for the same second, so that history and live agree. */
function wave(index: number, second: number): number {
  const jitter = Math.sin(second * 12.9898 + index * 78.233) * 43758.5453;
  return Math.sin(second / (40 + index * 7) + index) * 0.35 + (jitter - Math.floor(jitter)) * 0.12 + 0.6;
}

function rateOf(index: number, second: number, scene: Scene): number {
  return (Math.max(1, scene.devices) / (index + 1.5)) * wave(index, second) * 0.35;
}

function levelOf(index: number, second: number): number {
  return (index % 4 === 3 ? 0.01 : 20 * (1 + (index % 5))) * (0.7 + wave(index + 3, second) * 0.5);
}

export function buildUpdate(scene: Scene, nowMs: number, startedMs: number): Update {
  const second = nowMs / 1000;
  const count = scene.empty ? 0 : scene.types;
  const aggregations = Array.from({ length: count }, (_, index) => {
    const rate = rateOf(index, second, scene);
    const value = levelOf(index, second);
    const silent = index % 9 === 8;
    return {
      event_type: typeName(index),
      event_count: scene.ties
        ? 60_000 + ((index * 7 + Math.floor(nowMs / 100)) % scene.types)
        : Math.round(rate * 600 + (nowMs % 1000)),
      avg_value: silent ? null : value,
      min_value: silent ? null : value * 0.31,
      max_value: silent ? null : value * 2.2,
      p50: silent ? null : value * 0.97,
      p95: silent ? null : value * 1.6,
      p99: silent ? null : value * 1.9,
      rate,
    };
  }).sort((a, b) => b.event_count - a.event_count);
  const rate = scene.rate ?? aggregations.reduce((sum, row) => sum + row.rate, 0);
  const accepted = scene.empty ? 0 : Math.round(((nowMs - startedMs) / 1000) * rate) + 4_000_000;
  const away = scene.clickhouse !== "ok";
  const pending = scene.empty ? 0 : away ? Math.round(rate * 34) : Math.round(rate * 0.6);
  return {
    timestamp: new Date(nowMs).toISOString(),
    window_seconds: 600,
    aggregations,
    totals: {
      event_count: aggregations.reduce((sum, row) => sum + row.event_count, 0),
      rate,
      active_devices: scene.empty ? 0 : scene.devices,
      event_types: count,
      ...fleetTotals(scene),
    },
    pipeline: {
      accepted,
      durable: accepted,
      stored: Math.max(0, accepted - pending),
      pending,
      dead_lettered: scene.empty ? 0 : scene.deadLetters,
      store_lag_seconds: scene.empty ? 0 : away ? 34.2 : 0.4 + (second % 1) * 0.5,
      clickhouse: scene.clickhouse,
      ...(scene.starting ? { starting: true } : {}),
    },
  };
}

const sites = ["site-1", "site-2", "site-3", "site-4", "site-5"] as const;
const firmwares = ["4.2.1", "4.2.0", "4.1.7"] as const;

function siteOf(index: number): string {
  return sites[index % sites.length]!;
}

function isSilent(index: number, scene: Scene): boolean {
  return (scene.silentEvery > 0 && index % scene.silentEvery === 5) || siteOf(index) === scene.outage;
}

const silentCounts = new Map<string, number>();

function silentCount(scene: Scene): number {
  const key = `${scene.devices} ${scene.silentEvery} ${scene.outage}`;
  let silent = silentCounts.get(key);
  if (silent === undefined) {
    silent = 0;
    for (let index = 0; index < scene.devices; index++) if (isSilent(index, scene)) silent += 1;
    silentCounts.set(key, silent);
  }
  return silent;
}

function fleetTotals(scene: Scene) {
  const devices = scene.empty ? 0 : scene.devices;
  const silent = scene.empty ? 0 : silentCount(scene);
  return {
    online: devices - silent,
    silent,
    became_silent: Math.min(silent, 12),
    new_devices: Math.min(devices, 4),
    complete: !scene.starting,
  };
}

function metadataOf(index: number): Record<string, string> {
  return {
    site: siteOf(index),
    firmware: firmwares[index % 7 === 0 ? 2 : index % 3 === 0 ? 1 : 0],
    rack: `B-${index % 40}`,
  };
}

function fixtureDevice(index: number, nowMs: number, scene: Scene): Device {
  const silent = isSilent(index, scene);
  const interval = [1, 1, 5, 30][index % 4]!;
  return {
    device_id: `sensor-${String(index).padStart(6, "0")}`,
    first_seen: new Date(nowMs - 86_400_000 * (1 + (index % 40))).toISOString(),
    last_seen: new Date(nowMs - (silent ? 60_000 * (1 + (index % 300)) : (index % 7) * 130 * interval)).toISOString(),
    event_count: 1_000 + ((index * 7919) % 900_000) + (Math.floor(nowMs / 1000 / interval) % 10_000),
    status: silent ? "silent" : "online",
    interval_seconds: index % 50 === 49 ? null : interval,
    silent_since: silent ? new Date(nowMs - 50_000 * (1 + (index % 300))).toISOString() : null,
    metadata: metadataOf(index),
  };
}

function matchesMetadata(url: URL, device: Device): boolean {
  return [...url.searchParams].every(
    ([name, value]) => !name.startsWith("meta.") || device.metadata?.[name.slice("meta.".length)] === value,
  );
}

function matching(url: URL, scene: Scene, nowMs: number): Device[] {
  const search = (url.searchParams.get("search") ?? "").toLowerCase();
  return Array.from({ length: scene.empty ? 0 : scene.devices }, (_, index) =>
    fixtureDevice(index, nowMs, scene),
  ).filter((device) => device.device_id.includes(search) && matchesMetadata(url, device));
}

function countedBy(key: string, devices: readonly Device[]) {
  const counts = new Map<string, { value: string; devices: number; online: number; silent: number }>();
  for (const device of devices) {
    const value = device.metadata?.[key];
    if (value === undefined) continue;
    const count = counts.get(value) ?? { value, devices: 0, online: 0, silent: 0 };
    count.devices += 1;
    count[device.status] += 1;
    counts.set(value, count);
  }
  return [...counts.values()].sort((a, b) => b.devices - a.devices || (a.value < b.value ? -1 : 1));
}

function groupsAnswer(url: URL, scene: Scene, nowMs: number): DeviceGroups {
  const key = (url.searchParams.get("group") ?? "").replace(/^meta\./, "");
  const groups = countedBy(key, matching(url, scene, nowMs));
  return { key, groups, total: groups.length };
}

const facetsKept = new Map<string, Facets>();

/** Kept for each question and scene: a real service answers from counters, and this must not hold up the list. */
function facetsAnswer(url: URL, scene: Scene, nowMs: number): Facets {
  const key = `${url.search} ${scene.devices} ${scene.silentEvery} ${scene.outage} ${scene.empty}`;
  const kept = facetsKept.get(key) ?? countFacets(url, scene, nowMs);
  facetsKept.set(key, kept);
  return kept;
}

function countFacets(url: URL, scene: Scene, nowMs: number): Facets {
  // A tenth of a large fleet is like the whole of it, and does not hold up the other answers.
  const scale = scene.devices > 20_000 ? 10 : 1;
  const all = matching(url, { ...scene, devices: Math.round(scene.devices / scale) }, nowMs);
  return {
    devices: all.length * scale,
    silent: all.filter((device) => device.status === "silent").length * scale,
    facets: ["site", "firmware", "rack"].map((key) => {
      const values = countedBy(key, all);
      return {
        key,
        devices: values.reduce((sum, each) => sum + each.devices, 0) * scale,
        distinct: values.length,
        values: values
          .slice(0, 20)
          .map(({ value, devices, silent }) => ({ value, devices: devices * scale, silent: silent * scale })),
      };
    }),
  };
}

/** The part of the update that the filter's share of the devices would have caused. */
function partAnswer(url: URL, scene: Scene, nowMs: number): PartUpdate {
  const { devices, silent } = facetsAnswer(url, scene, nowMs);
  const share = scene.devices === 0 ? 0 : devices / scene.devices;
  const { pipeline: _, ...whole } = buildUpdate(scene, nowMs, nowMs);
  const aggregations = whole.aggregations.map((row) => ({
    ...row,
    event_count: Math.round(row.event_count * share),
    rate: row.rate * share,
  }));
  return {
    ...whole,
    aggregations,
    totals: {
      ...whole.totals,
      event_count: aggregations.reduce((sum, row) => sum + row.event_count, 0),
      rate: whole.totals.rate * share,
      active_devices: devices,
      online: devices - silent,
      silent,
      became_silent: silent,
      new_devices: Math.round((whole.totals.new_devices ?? 0) * share),
    },
  };
}

/** A group's change, or a device's, as far as the filter lets it through. */
function isOfPart(url: URL, scene: Scene, nowMs: number, { device_id, detail }: Change): boolean {
  const wanted = [...url.searchParams].filter(([name]) => name.startsWith("meta."));
  if (wanted.length === 0) return true;
  if (device_id === null)
    return wanted.every(([name, value]) => name === `meta.${detail.group?.key}` && value === detail.group?.value);
  return matchesMetadata(url, fixtureDevice(Number(device_id.slice(-6)), nowMs, scene));
}

function changesAnswer(url: URL, scene: Scene, nowMs: number): Changes {
  const device = url.searchParams.get("device_id");
  const at = (index: number): string => new Date(Math.floor(nowMs / 60_000) * 60_000 - index * 97_000).toISOString();
  const all: Change[] = Array.from({ length: scene.empty ? 0 : 24 }, (_, index): Change => {
    const id = device ?? `sensor-${String(index * 11 + 5).padStart(6, "0")}`;
    if (index % 6 === 0 && device === null)
      return {
        at: at(index),
        kind: "outage",
        device_id: null,
        detail: { group: { key: "site", value: sites[index % 5]! }, devices: 38, of: 240 },
      };
    if (device !== null && index % 6 !== 2)
      return index % 2 === (isSilent(Number(device.slice(-6)), scene) ? 0 : 1)
        ? { at: at(index * 6), kind: "silent", device_id: id, detail: {} }
        : { at: at(index * 6), kind: "online", device_id: id, detail: { silent_seconds: 582 } };
    if (index % 6 === 1) return { at: at(index), kind: "online", device_id: id, detail: { silent_seconds: 412 } };
    if (index % 6 === 2)
      return {
        at: at(index),
        kind: "metadata",
        device_id: id,
        detail: { changed: { firmware: { from: "4.2.0", to: "4.2.1" } } },
      };
    if (index % 6 === 3 && device === null) return { at: at(index), kind: "new", device_id: id, detail: {} };
    return { at: at(index), kind: "silent", device_id: id, detail: { last_seen: at(index + 1), interval_seconds: 5 } };
  });
  const limit = Number(url.searchParams.get("limit") ?? 100);
  return { changes: all.filter((change) => isOfPart(url, scene, nowMs, change)).slice(0, limit), cursor: null };
}

function devices(url: URL, scene: Scene, nowMs: number): Devices {
  const status = url.searchParams.get("status") ?? "";
  const sort = url.searchParams.get("sort") ?? "-last_seen";
  const limit = Number(url.searchParams.get("limit") ?? 100);
  const start = Number(url.searchParams.get("cursor") ?? 0);
  let all = matching(url, scene, nowMs);
  if (status !== "") all = all.filter((device) => device.status === status);
  const name = sort.replace(/^-/, "") as "device_id" | "last_seen" | "event_count" | "first_seen";
  const sign = sort.startsWith("-") ? -1 : 1;
  all.sort((a, b) => sign * (a[name] < b[name] ? -1 : a[name] > b[name] ? 1 : a.device_id < b.device_id ? -1 : 1));
  const last = url.searchParams.getAll("last");
  const page = all.slice(start, start + limit).map((device) => ({
    ...device,
    ...(last.length === 0
      ? {}
      : { last_values: Object.fromEntries(last.map((type) => [type, lastValue(device, type)])) }),
  }));
  return { devices: page, cursor: start + limit < all.length ? String(start + limit) : null, total: all.length };
}

function lastValue({ device_id }: Device, type: string) {
  return type === "door_open"
    ? { value_float: null, value_string: "closed" }
    : { value_float: 20 + (Number(device_id.slice(-6)) % 50) / 10, value_string: null };
}

function deviceDetail(id: string, scene: Scene, nowMs: number): DeviceDetail | undefined {
  const index = Number(/^sensor-(\d{6})$/.exec(id)?.[1] ?? Number.NaN);
  if (scene.empty || !Number.isFinite(index) || index >= scene.devices) return undefined;
  return {
    ...fixtureDevice(index, nowMs, scene),
    event_types: Array.from({ length: Math.min(5, scene.types) }, (_, type) => ({
      event_type: typeName(type),
      event_count: 4_000 * (type + 1),
      last_seen: new Date(nowMs - type * 900).toISOString(),
      last_value_float: type === 3 ? null : levelOf(type, nowMs / 1000),
      last_value_string: type === 3 ? "running" : null,
    })).sort(() => (scene.ties ? Math.random() - 0.5 : 0)),
    metadata: metadataOf(index),
  };
}

function historyAnswer(url: URL, scene: Scene): History {
  const from = Date.parse(url.searchParams.get("from") ?? "") / 1000;
  const to = Date.parse(url.searchParams.get("to") ?? "") / 1000;
  const asked = url.searchParams.getAll("event_type");
  const span = Math.max(1, to - from);
  const steps = [1, 2, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 21600, 86400];
  const step = Number(url.searchParams.get("step")) || (steps.find((each) => span / each <= 300) ?? 86400);
  const names =
    asked.length > 0
      ? asked
      : Array.from({ length: Math.min(scene.types, Number(url.searchParams.get("limit") ?? 10)) }, (_, index) =>
          typeName(index),
        );
  const start = Math.ceil(from / step) * step;
  return {
    from: new Date(from * 1000).toISOString(),
    to: new Date(to * 1000).toISOString(),
    step_seconds: step,
    source: step >= 3600 ? "telemetry_1h" : step >= 60 ? "telemetry_1m" : "telemetry_1s",
    series: (scene.empty ? [] : names).map((name) => {
      const index = Math.max(0, Array.from({ length: scene.types }, (_, each) => typeName(each)).indexOf(name));
      const points = [];
      for (let second = start; second < to; second += step) {
        // An hour each day is missing, so that gaps are seen.
        if (span > 7200 && second % 86400 < 3600) continue;
        const value = levelOf(index, second);
        points.push({
          time: new Date(second * 1000).toISOString(),
          count: Math.round(rateOf(index, second, scene) * step),
          avg: value,
          min: value * 0.5,
          max: value * 1.7,
          p50: value * 0.97,
          p95: value * 1.4,
          p99: value * 1.6,
        });
      }
      return { event_type: name, points };
    }),
  };
}

const states = ["idle", "running", "running", "running", "fault"] as const;

function eventsAnswer(url: URL, scene: Scene, nowMs: number): Events {
  const limit = Number(url.searchParams.get("limit") ?? 100);
  const device = url.searchParams.get("device_id") ?? "sensor-000001";
  const asked = url.searchParams.get("event_type");
  const everyMs = asked === null ? 1_000 : 300_000;
  const types = Math.min(5, scene.types);
  return {
    cursor: null,
    events: Array.from({ length: scene.empty ? 0 : Math.min(limit, 50) }, (_, index) => {
      const type = asked === null ? index % types : typeNames.indexOf(asked);
      const atMs = Math.floor(nowMs / everyMs) * everyMs - index * everyMs;
      return {
        timestamp: new Date(atMs).toISOString(),
        received_at: new Date(atMs + 20).toISOString(),
        device_id: device,
        event_type: typeName(type),
        value_float: type === 3 ? null : levelOf(type, atMs / 1000),
        value_string: type === 3 ? states[Math.floor(atMs / everyMs) % states.length]! : null,
        metadata: type === 0 ? { unit: "°C" } : {},
      };
    }),
  };
}

function storageAnswer(scene: Scene): Storage {
  const types = Array.from({ length: scene.empty ? 0 : scene.types }, (_, index) => ({
    event_type: typeName(index),
    events_per_day: Math.round(9e6 / (index + 1)),
    bytes_per_event: 14 + index,
    bytes_per_day: (9e6 / (index + 1)) * (14 + index),
    retention_days: index === 1 ? 365 : 90,
    bytes_when_steady: (9e6 / (index + 1)) * (14 + index) * 90,
  }));
  const bytes_per_day = types.reduce((sum, type) => sum + type.bytes_per_day, 0);
  return {
    disk: { free_bytes: 80e9, total_bytes: 250e9 },
    tables: [],
    bytes_per_day,
    days_until_full: bytes_per_day === 0 ? null : 80e9 / bytes_per_day,
    bytes_when_steady: bytes_per_day * 90,
    types,
    settings: { RETENTION_DAYS: 90, RETENTION: "humidity=365" },
  };
}

/** Ten minutes of one number, whatever was asked; a query without SELECT is refused as ClickHouse would. */
function sqlAnswer({ query }: SqlQuestion): Response {
  if (!/^\s*select/i.test(query))
    return Response.json(
      { error: { code: "query_failed", message: "Syntax error: failed at position 1." } },
      { status: 422 },
    );
  const data = Array.from({ length: 10 }, (_, minute) => [`2026-01-01 00:0${minute}:00`, String(100 + minute)]);
  const answer: SqlAnswer = {
    meta: [
      { name: "minute", type: "DateTime('UTC')" },
      { name: "events", type: "UInt64" },
    ],
    data,
    rows: data.length,
    truncated: false,
    statistics: { elapsed: 0.012, rows_read: 600, bytes_read: 9_600 },
  };
  return Response.json(answer);
}

function pipelineDetail(scene: Scene, nowMs: number, startedMs: number, streams: number): PipelineDetail {
  const { pipeline } = buildUpdate(scene, nowMs, startedMs);
  const away = scene.clickhouse !== "ok";
  const second = Math.floor(nowMs / 1000);
  return {
    ...pipeline,
    uptime_seconds: (nowMs - startedMs) / 1000 + 93_600,
    version: "0.1.0",
    ready: true,
    reasons: away ? ["ClickHouse does not answer: connection refused"] : [],
    journal: {
      bytes: away ? 812_000_000 : 4_200_000,
      max_bytes: 4 * 1024 ** 3,
      segments: away ? 34 : 1,
      oldest_seconds: away ? 34.2 : 0.6,
    },
    ring: { bytes: 48_000, max_bytes: 64 * 1024 ** 2 },
    batches: Array.from({ length: scene.empty ? 0 : 60 }, (_, index) => ({
      stored_at: new Date((second - 60 + index) * 1000 - (away ? 34_000 : 0)).toISOString(),
      rows: Math.round(8_000 * wave(1, second - 60 + index)),
      bytes: Math.round(600_000 * wave(1, second - 60 + index)),
      insert_seconds: 0.08 * wave(4, second - 60 + index),
      attempts: index % 23 === 0 ? 2 : 1,
    })),
    mqtt: {
      state: "connected",
      broker: "mqtt://broker.example:1883",
      version: "5",
      since: new Date(nowMs - 3_600_000).toISOString(),
      topics: ["devices/{device_id}/{event_type}"],
      qos: 1,
      last_error: null,
      waiting_for: null,
      in_flight: 12,
      received: 128_400,
      acknowledged: 128_388,
      dead_lettered: 2,
    },
    retries: away ? 12 : 2,
    last_error: away
      ? {
          at: new Date(nowMs - 1_200).toISOString(),
          message: "connect ECONNREFUSED 127.0.0.1:8123",
          code: "ECONNREFUSED",
        }
      : null,
    dead_letters: {
      count: scene.empty ? 0 : scene.deadLetters,
      newest: Array.from({ length: scene.empty ? 0 : Math.min(20, scene.deadLetters) }, (_, index) => ({
        at: new Date(nowMs - 3_600_000 * (index + 1)).toISOString(),
        reason: "Value of timestamp is out of the range of DateTime64(3)",
        event: {
          timestamp: "1899-12-31T23:59:59.000Z",
          received_at: new Date(nowMs - 3_600_000 * (index + 1)).toISOString(),
          device_id: `sensor-00001${index}`,
          event_type: "temperature",
          value_float: 21.5,
          value_string: null,
          metadata: { firmware: "0.0.1-broken" },
        },
      })),
    },
    streams,
    parts: away
      ? null
      : ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"].map((table, index) => ({
          table,
          parts: 12 - index * 2,
          rows: Math.round(48_000_000 / 10 ** index),
          bytes: Math.round(1.2e9 / 8 ** index),
        })),
    clickhouse_version: away ? null : "26.7.1",
  };
}

const defaults: Scene = {
  types: 12,
  devices: 1_200,
  intervalMs: 100,
  empty: false,
  frozen: false,
  quiet: false,
  failStatus: 0,
  clickhouse: "ok",
  key: "",
  rate: null,
  alerts: 0,
  silentEvery: 11,
  outage: "",
  deadLetters: 3,
  starting: false,
  ties: false,
};

export function createFixtureServer(options: Partial<Scene> & { port?: number } = {}): FixtureServer {
  const { port = 0, ...scenePart } = options;
  const scene: Scene = { ...defaults, ...scenePart };
  const startedMs = Date.now();
  const epoch = startedMs.toString(36);
  const stats: FixtureStats = { openStreams: 0, streamsEver: 0, lastEventIds: [], requests: {} };
  const encoder = new TextEncoder();
  const alerts = createFixtureAlerts(() => scene.alerts);
  const views = createFixtureViews();
  let alertsShown = scene.alerts;
  const alertsFrame = (): string => `event: alerts\ndata: ${JSON.stringify(alerts.update())}\n\n`;
  const streams = new Set<{ send(text: string): void; device: string | null }>();
  let sequence = 0;
  let lastBeatMs = 0;

  const frame = (): string => {
    sequence += 1;
    return `id: ${epoch}-${sequence}\nevent: update\ndata: ${JSON.stringify(buildUpdate(scene, Date.now(), startedMs))}\n\n`;
  };
  let timer: ReturnType<typeof setTimeout>;
  const tick = (): void => {
    timer = setTimeout(tick, scene.intervalMs);
    if (scene.frozen || streams.size === 0) return;
    if (Date.now() - lastBeatMs > 2_000) {
      lastBeatMs = Date.now();
      for (const stream of streams) stream.send(": beat\n\n");
    }
    if (scene.alerts !== alertsShown) {
      alertsShown = scene.alerts;
      for (const stream of streams) stream.send(alertsFrame());
    }
    if (scene.quiet) return;
    const text = frame();
    for (const stream of streams) {
      stream.send(text);
      if (stream.device && sequence % 5 === 0) stream.send(deviceFrame(stream.device));
    }
  };
  const deviceFrame = (device: string): string => {
    const second = Date.now() / 1000;
    const type = Math.floor(second * 2) % 5;
    const event: DeviceUpdate = {
      timestamp: new Date().toISOString(),
      received_at: new Date().toISOString(),
      device_id: device,
      event_type: typeName(type),
      value_float: type === 3 ? null : levelOf(type, second),
      value_string: type === 3 ? "ok" : null,
      metadata: { firmware: "4.2.1" },
      skipped: 0,
    };
    return `event: device\ndata: ${JSON.stringify(event)}\n\n`;
  };
  timer = setTimeout(tick, scene.intervalMs);

  const openStream = (request: Request, url: URL): Response => {
    stats.streamsEver += 1;
    stats.openStreams += 1;
    stats.lastEventIds.push(request.headers.get("Last-Event-ID") ?? "");
    let close = (): void => undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const stream = {
          device: url.searchParams.get("device"),
          send(text: string): void {
            // A reader that has stopped is not queued for.
            if ((controller.desiredSize ?? 0) > -50) controller.enqueue(encoder.encode(text));
          },
        };
        let closed = false;
        close = () => {
          if (closed) return;
          closed = true;
          streams.delete(stream);
          stats.openStreams -= 1;
        };
        streams.add(stream);
        stream.send(`: hello\nretry: 300\n\n${scene.frozen ? "" : frame() + alertsFrame()}`);
      },
      cancel: () => close(),
    });
    request.signal.addEventListener("abort", () => close());
    return new Response(body, {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform" },
    });
  };

  const signedIn = (request: Request): boolean =>
    scene.key === "" || (request.headers.get("Cookie") ?? "").split("; ").includes(`sluice=${scene.key}`);

  const refuse = (status: number, code: string): Response =>
    Response.json({ error: { code, message: `Refused for the test: ${code}.` } }, { status });

  const api = async (request: Request, url: URL): Promise<Response> => {
    if (url.pathname === "/api/session") {
      if (request.method === "GET")
        return Response.json({
          required: scene.key !== "",
          viewer: scene.key !== "" && signedIn(request) ? "ops" : null,
        });
      if (request.method === "DELETE")
        return new Response(null, { status: 204, headers: { "Set-Cookie": "sluice=; Max-Age=0; Path=/" } });
      const { key } = (await request.json()) as { key: string };
      if (key !== scene.key) return refuse(403, "forbidden");
      return new Response(null, {
        status: 204,
        headers: { "Set-Cookie": `sluice=${key}; HttpOnly; SameSite=Strict; Path=/` },
      });
    }
    if (scene.failStatus > 0) return refuse(scene.failStatus, "query_failed");
    if (!signedIn(request)) return refuse(401, "unauthenticated");
    if (url.pathname === "/dashboard-stream") return openStream(request, url);
    const answer = (await alerts.handle(request, url)) ?? (await views.handle(request, url));
    if (answer) return answer;
    if ((scene.clickhouse !== "ok" || scene.starting) && !["/api/pipeline", "/api/session"].includes(url.pathname))
      return refuse(503, "clickhouse_unavailable");
    const now = Date.now();
    if (url.pathname === "/api/history") return Response.json(historyAnswer(url, scene));
    if (url.pathname === "/api/devices" && url.searchParams.has("group"))
      return Response.json(groupsAnswer(url, scene, now));
    if (url.pathname === "/api/facets") return Response.json(facetsAnswer(url, scene, now));
    if (url.pathname === "/api/live") return Response.json(partAnswer(url, scene, now));
    if (url.pathname === "/api/changes") return Response.json(changesAnswer(url, scene, now));
    if (url.pathname === "/api/devices") return Response.json(devices(url, scene, now));
    if (url.pathname === "/api/events") return Response.json(eventsAnswer(url, scene, now));
    if (url.pathname === "/api/pipeline")
      return Response.json(pipelineDetail(scene, now, startedMs, stats.openStreams));
    if (url.pathname === "/api/event-types") {
      const answer: EventTypes = {
        event_types: scene.empty
          ? []
          : Array.from({ length: scene.types }, (_, index) => ({
              event_type: typeName(index),
              event_count: Math.round(rateOf(index, now / 1000, scene) * 3_600),
            })),
      };
      return Response.json(answer);
    }
    if (url.pathname === "/api/storage") return Response.json(storageAnswer(scene));
    if (url.pathname === "/api/sql") return sqlAnswer((await request.json()) as SqlQuestion);
    if (url.pathname.startsWith("/api/devices/")) {
      const detail = deviceDetail(decodeURIComponent(url.pathname.slice("/api/devices/".length)), scene, now);
      return detail ? Response.json(detail) : refuse(404, "not_found");
    }
    return refuse(404, "not_found");
  };

  /** As a server in front of many viewers would: large answers compressed. */
  const compressed = async (request: Request, answer: Response): Promise<Response> => {
    const type = answer.headers.get("Content-Type") ?? "";
    if (!type.includes("json") || !(request.headers.get("Accept-Encoding") ?? "").includes("gzip")) return answer;
    const headers = new Headers(answer.headers);
    headers.set("Content-Encoding", "gzip");
    return new Response(Bun.gzipSync(await answer.bytes()), { status: answer.status, headers });
  };

  const page = async (url: URL, request: Request): Promise<Response> => {
    const asset = Bun.file(dist + url.pathname.slice(1));
    const exists = url.pathname !== "/" && !url.pathname.includes("..") && (await asset.exists());
    const file = exists ? asset : Bun.file(`${dist}index.html`);
    const headers: Record<string, string> = {
      "Content-Type": file.type,
      "Cache-Control": url.pathname.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      "Content-Security-Policy": contentSecurityPolicy,
      "X-Content-Type-Options": "nosniff",
    };
    if (
      /javascript|css|html|svg|json/.test(file.type) &&
      (request.headers.get("Accept-Encoding") ?? "").includes("gzip")
    ) {
      return new Response(Bun.gzipSync(await file.bytes()), { headers: { ...headers, "Content-Encoding": "gzip" } });
    }
    return new Response(file, { headers });
  };

  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const url = new URL(request.url);
      stats.requests[url.pathname] = (stats.requests[url.pathname] ?? 0) + 1;
      if (url.pathname === "/__control") {
        Object.assign(scene, await request.json());
        return Response.json(scene);
      }
      if (url.pathname === "/__stats") return Response.json(stats);
      if (url.pathname.startsWith("/shared/")) {
        const below = views.below(url);
        if (below?.path === "/view") return Response.json(sharedView(below.view));
        if (below?.path) url.pathname = below.path;
        else if (!below && url.pathname.split("/").length > 3) return refuse(404, "not_found");
      }
      if (url.pathname === "/dashboard-stream" || url.pathname.startsWith("/api/")) {
        return compressed(request, await api(request, url));
      }
      return page(url, request);
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port ?? port,
    scene,
    stats,
    async stop() {
      clearTimeout(timer);
      await server.stop(true);
    },
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8100" },
      types: { type: "string", default: "12" },
      devices: { type: "string", default: "1200" },
      empty: { type: "boolean", default: false },
      clickhouse: { type: "string", default: "ok" },
      key: { type: "string", default: "" },
    },
  });
  const server = createFixtureServer({
    port: Number(values.port),
    types: Number(values.types),
    devices: Number(values.devices),
    empty: values.empty,
    key: values.key,
    clickhouse: values.clickhouse === "unavailable" ? "unavailable" : values.clickhouse === "denied" ? "denied" : "ok",
  });
  console.log(server.url);
}
