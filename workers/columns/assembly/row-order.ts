import { take, takeZeroed } from "./heap";
import { Device } from "./records";
import { bucketOf, firstBucket, lastBucket, rowAt, rowCount } from "./rows";

/** Rows over more than 19 years of ten minutes are left to ClickHouse, which sorts what is not sorted. */
const bucketsMax: i64 = 1 << 20;
/** So is a longer run of one device that is out of order. */
const runMaxRows: u32 = 64;

@inline
export function rowIn(order: usize, index: u32): u32 {
  return load<u32>(order + (<usize>index << 2));
}

/**
 * The rows in the order of the table's key (ddl/001_telemetry_events.sql): ten minutes, device, time. The last is left to
 * `sortRun`. A block that is sorted already costs ClickHouse one look; one that is not is sorted there.
 */
export function orderRows(deviceCount: u32): usize {
  const byDevice = takePlaces(deviceCount);
  for (let row: u32 = 0; row < rowCount; row++) countKey(byDevice, rankOf(row));
  addUp(byDevice, deviceCount);
  const order = take(<u64>rowCount * 4);
  for (let row: u32 = 0; row < rowCount; row++) place(order, byDevice, rankOf(row), row);
  const buckets = lastBucket - firstBucket + 1;
  if (buckets <= 1 || buckets > bucketsMax) return order;
  const byBucket = takePlaces(<u32>buckets);
  for (let row: u32 = 0; row < rowCount; row++) countKey(byBucket, bucketPlace(row));
  addUp(byBucket, <u32>buckets);
  const sorted = take(<u64>rowCount * 4);
  for (let index: u32 = 0; index < rowCount; index++) {
    const row = rowIn(order, index);
    place(sorted, byBucket, bucketPlace(row), row);
  }
  return sorted;
}

@inline
function rankOf(row: u32): u32 {
  return changetype<Device>(<usize>rowAt(row).device).rank;
}

@inline
function bucketPlace(row: u32): u32 {
  return <u32>(bucketOf(rowAt(row).timestamp) - firstBucket);
}

// ---- counting sort: stable, so rows of one key stay in the order that they had --------------------------------------

function takePlaces(keys: u32): usize {
  return takeZeroed((<u64>keys + 1) * 4);
}

@inline
function countKey(places: usize, key: u32): void {
  const at = places + (<usize>key << 2);
  store<u32>(at, load<u32>(at, 4) + 1, 4);
}

function addUp(places: usize, keys: u32): void {
  let sum: u32 = 0;
  for (let key: u32 = 0; key <= keys; key++) {
    const at = places + (<usize>key << 2);
    sum += load<u32>(at);
    store<u32>(at, sum);
  }
}

@inline
function place(order: usize, places: usize, key: u32, row: u32): void {
  const at = places + (<usize>key << 2);
  const next = load<u32>(at);
  store<u32>(at, next + 1);
  store<u32>(order + (<usize>next << 2), row);
}

// ---- runs of one device -----------------------------------------------------------------------------------------------

/** Puts the run in the order of time, by insertion: a device's events come in order, or nearly so. */
export function sortRun(order: usize, start: u32, end: u32): void {
  if (end - start > runMaxRows) return;
  for (let index = start + 1; index < end; index++) {
    const row = rowIn(order, index);
    const timestamp = rowAt(row).timestamp;
    let to = index;
    while (to > start && rowAt(rowIn(order, to - 1)).timestamp > timestamp) {
      store<u32>(order + (<usize>to << 2), rowIn(order, to - 1));
      to--;
    }
    store<u32>(order + (<usize>to << 2), row);
  }
}
