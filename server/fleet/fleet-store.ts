import { type ClickHouseClient, ClickHouseError } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import { RowBinaryReader } from "../../contract/row.ts";
import { readAll } from "../../workers/clickhouse-client.ts";
import { fleetDevices } from "./device-query.ts";

/** A device as ClickHouse has it. Times in epoch milliseconds. */
export interface StoredDevice {
  readonly deviceId: string;
  readonly heardMs: number;
  /** 0: not known, a row of an older release. */
  readonly firstHeardMs: number;
  readonly silentAfterMs: number;
  /** NaN: not known. */
  readonly intervalMs: number;
  readonly metadataText: string;
}

/** What was said of the fleet before. */
export interface FleetHistory {
  /** Nothing was ever said. */
  readonly empty: boolean;
  /** Devices whose newest transition was into silence, and when. */
  readonly silent: ReadonlyMap<string, number>;
  /** Devices announced as new lately. */
  readonly recentlyNew: ReadonlySet<string>;
  /** By second, of the last ten minutes. */
  readonly becameSilent: readonly (readonly [second: number, count: number])[];
  readonly newDevices: readonly (readonly [second: number, count: number])[];
}

/** What the fleet asks ClickHouse. While it is away the answers are "not ok". */
export interface FleetStore {
  /** Visits the devices that were heard since then, all of them with null; other work has its turn in between. */
  devices(sinceMs: number | null, visit: (device: StoredDevice) => void): Promise<{ readonly ok: boolean }>;
  history(nowMs: number, newMs: number): Promise<({ readonly ok: true } & FleetHistory) | { readonly ok: false }>;
  /** Keys of metadata that differ from event to event, by a sample of so many devices. */
  volatileKeys(
    nowMs: number,
  ): Promise<
    { readonly ok: true; readonly keys: ReadonlySet<string>; readonly devices: number } | { readonly ok: false }
  >;
}

/** UNKNOWN_TABLE, UNKNOWN_DATABASE, UNKNOWN_IDENTIFIER, NO_SUCH_COLUMN_IN_TABLE: the schema is not there yet. */
const schemaCodes: ReadonlySet<string> = new Set(["60", "81", "47", "16"]);
const answerMaxBytes = 512 * 2 ** 20;
const timeoutMs = 30_000;
/** Devices read before other work has its turn: 1 to 2 ms. */
const sliceDevices = 512;
const devicesMax = 600_000;
const windowMs = 600_000;
/** A sample: so many devices, their events of so long, at most so many of each. */
const sampledDevices = 200;
const sampledMs = 3_600_000;
const sampledEvents = 50;
/** A key that changes between two of a device's events more often than this is not a property of the device. */
const volatileShare = 0.1;

export function createFleetStore({
  client,
  log,
}: {
  readonly client: ClickHouseClient;
  readonly log: Log;
}): FleetStore {
  async function read(query: string): Promise<RowBinaryReader | null> {
    try {
      const result = await client.exec({
        query: `${query}\nFORMAT RowBinary`,
        abort_signal: AbortSignal.timeout(timeoutMs),
        clickhouse_settings: { readonly: "1" },
      });
      return new RowBinaryReader(await readAll(result.stream, answerMaxBytes));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // ClickHouse away is said elsewhere; what it does not understand is ours.
      const isUnderstood = !(error instanceof ClickHouseError) || schemaCodes.has(error.code);
      log(!isUnderstood ? "warn" : "debug", "ClickHouse did not tell of the fleet", { error: error.message });
      return null;
    }
  }

  return {
    async devices(sinceMs, visit) {
      const reader = await read(devicesQuery(sinceMs));
      if (reader === null) return { ok: false };
      while (!reader.done) {
        for (let slice = 0; slice < sliceDevices && !reader.done; slice++) visit(readDevice(reader));
        if (!reader.done) await new Promise((resolve) => setImmediate(resolve));
      }
      return { ok: true };
    },
    async history(nowMs, newMs) {
      const statuses = await read(statusQuery);
      const recent = await read(recentQuery(nowMs, newMs));
      if (statuses === null || recent === null) return { ok: false };
      const silent = new Map<string, number>();
      let empty = true;
      while (!statuses.done) {
        const [deviceId, isSilent, atMs] = [statuses.string(), statuses.uint8() === 1, statuses.int64()];
        empty = false;
        if (isSilent) silent.set(deviceId, atMs);
      }
      const recentlyNew = new Set<string>();
      const counts = { new: new Map<number, number>(), silent: new Map<number, number>() };
      while (!recent.done) {
        const [deviceId, isNew, second] = [recent.string(), recent.uint8() === 1, Number(recent.uint32())];
        empty = false;
        if (isNew) recentlyNew.add(deviceId);
        if (second * 1000 < nowMs - windowMs) continue;
        const of = isNew ? counts.new : counts.silent;
        of.set(second, (of.get(second) ?? 0) + 1);
      }
      return { ok: true, empty, silent, recentlyNew, becameSilent: [...counts.silent], newDevices: [...counts.new] };
    },
    async volatileKeys(nowMs) {
      const reader = await read(volatileQuery(nowMs));
      if (reader === null) return { ok: false };
      const keys = new Set<string>();
      let devices = 0;
      while (!reader.done) {
        const [key, changes, pairs, of] = [reader.string(), reader.uint64(), reader.uint64(), reader.uint64()];
        devices = Math.max(devices, of);
        if (changes > volatileShare * pairs) keys.add(key);
      }
      return { ok: true, keys, devices };
    },
  };
}

function readDevice(reader: RowBinaryReader): StoredDevice {
  return {
    deviceId: reader.string(),
    heardMs: reader.int64(),
    firstHeardMs: reader.int64(),
    silentAfterMs: reader.uint32(),
    intervalMs: reader.float64(),
    metadataText: reader.string(),
  };
}

const at = (ms: number): string => `fromUnixTimestamp64Milli(toInt64(${Math.floor(ms)}), 'UTC')`;

/** Only the rows of devices that were heard say that they were; the other rows of theirs are needed, too. */
function devicesQuery(sinceMs: number | null): string {
  const heard =
    sinceMs === null ? "" : `WHERE device_id IN (SELECT device_id FROM devices WHERE last_received >= ${at(sinceMs)})`;
  return `
    SELECT device_id, toInt64(heard_ms), toInt64(first_heard_ms), silent_after_ms,
      toFloat64(ifNull(interval_seconds * 1000, nan)), metadata_text
    FROM (${fleetDevices(heard)})
    LIMIT ${devicesMax}`;
}

const statusQuery = `
  SELECT device_id, toUInt8(argMax(kind, at) = 'silent'), toInt64(toUnixTimestamp64Milli(max(at)))
  FROM device_changes WHERE kind IN ('silent', 'online')
  GROUP BY device_id`;

const recentQuery = (nowMs: number, newMs: number): string => `
  SELECT device_id, toUInt8(kind = 'new'), toUInt32(at)
  FROM device_changes FINAL
  WHERE (kind = 'new' AND at >= ${at(nowMs - newMs)}) OR (kind = 'silent' AND at >= ${at(nowMs - windowMs)})`;

/** For each key: how often it differs between one event of a device and the next, of how many pairs, in how many devices. */
const volatileQuery = (nowMs: number): string => `
  SELECT key, toUInt64(sum(length(arrayCompact(in_order)) - 1)), toUInt64(sum(length(in_order) - 1)), toUInt64(count())
  FROM (
    SELECT device_id, key, arrayMap(pair -> pair.2, arraySort(pair -> pair.1, groupArray(${sampledEvents})((timestamp, value)))) AS in_order
    FROM (
      SELECT device_id, timestamp, metadata FROM telemetry_events
      WHERE timestamp >= ${at(nowMs - sampledMs)} AND notEmpty(metadata)
        AND device_id IN (
          SELECT device_id FROM devices WHERE last_seen >= ${at(nowMs - sampledMs)}
          GROUP BY device_id ORDER BY cityHash64(device_id) LIMIT ${sampledDevices})
      ORDER BY timestamp DESC LIMIT ${sampledEvents} BY device_id
    )
    ARRAY JOIN mapKeys(metadata) AS key, mapValues(metadata) AS value
    GROUP BY device_id, key
    HAVING length(in_order) >= 2
  )
  GROUP BY key`;
