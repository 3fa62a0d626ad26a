import type { Arena } from "./arena.ts";
import type { RowTable } from "./row-table.ts";

const bucketMs = 600_000;
/** A longer run of one device that is out of order is left to ClickHouse, which sorts what is not sorted. */
const runMaxRows = 64;

/**
 * The rows in the order of the table's key (ddl/001_telemetry_events.sql): ten minutes, device, time. A block that is sorted
 * already costs ClickHouse one look; one that is not is sorted there, so this may leave a few rows for it.
 */
export function sortRows(table: RowTable, deviceRanks: Uint32Array, arena: Arena): Uint32Array {
  const { rowCount, deviceIds, timestamps } = table;
  const ranks = arena.uint32s(rowCount);
  for (let row = 0; row < rowCount; row++) ranks[row] = deviceRanks[deviceIds[row] as number] as number;
  const byDevice = countingSort(null, ranks, table.devices.count, arena);
  const { buckets, count } = bucketsOf(timestamps, arena);
  const order = count === 1 ? byDevice : countingSort(byDevice, buckets, count, arena);
  let start = 0;
  for (let end = 1; end <= rowCount; end++) {
    const [first, next] = [order[start] as number, order[end] as number];
    if (end < rowCount && ranks[next] === ranks[first] && buckets[next] === buckets[first]) continue;
    sortRun(order, start, end, timestamps);
    start = end;
  }
  return order;
}

/** Stable: rows of one key stay in the order that they had. `order` null: that of the rows themselves. */
function countingSort(order: Uint32Array | null, keys: Uint32Array, keyCount: number, arena: Arena): Uint32Array {
  const rowCount = keys.length;
  const next = new Uint32Array(keyCount + 1);
  for (let row = 0; row < rowCount; row++) (next[(keys[row] as number) + 1] as number)++;
  for (let key = 1; key <= keyCount; key++) next[key] = (next[key] as number) + (next[key - 1] as number);
  const sorted = arena.uint32s(rowCount);
  for (let index = 0; index < rowCount; index++) {
    const row = order === null ? index : (order[index] as number);
    const key = keys[row] as number;
    const place = next[key] as number;
    next[key] = place + 1;
    sorted[place] = row;
  }
  return sorted;
}

/** For each row the place of its ten minutes among those that occur. */
function bucketsOf(timestamps: Float64Array, arena: Arena): { buckets: Uint32Array; count: number } {
  const ids = new Map<number, number>();
  const buckets = arena.uint32s(timestamps.length);
  let last = Number.NaN;
  let id = 0;
  for (let row = 0; row < timestamps.length; row++) {
    const bucket = Math.floor((timestamps[row] as number) / bucketMs);
    if (bucket !== last) {
      last = bucket;
      id = ids.get(bucket) ?? ids.size;
      ids.set(bucket, id);
    }
    buckets[row] = id;
  }
  const places = new Uint32Array(ids.size);
  for (const [place, [, of]] of [...ids].sort(([a], [b]) => a - b).entries()) places[of] = place;
  for (let row = 0; row < buckets.length; row++) buckets[row] = places[buckets[row] as number] as number;
  return { buckets, count: ids.size };
}

/** By insertion: a device's events come in order, or nearly so. */
function sortRun(order: Uint32Array, start: number, end: number, timestamps: Float64Array): void {
  if (end - start > runMaxRows) return;
  for (let index = start + 1; index < end; index++) {
    const row = order[index] as number;
    const timestamp = timestamps[row] as number;
    let place = index;
    while (place > start && (timestamps[order[place - 1] as number] as number) > timestamp) {
      order[place] = order[place - 1] as number;
      place--;
    }
    order[place] = row;
  }
}
