/**
 * Makes the rows of a batch (RowBinary, contract/row.ts) into the columns of three blocks. Its only user is ../batch-blocks.ts:
 * `begin`, then `input` and `read` until all rows are in, then `finish`; after that the columns are at `table`.
 */
import { table as columnTable } from "./column-list";
import { orderDevices } from "./device-order";
import { beginDevices, deviceList, writeDevices } from "./devices";
import { writeEvents } from "./events";
import { Numbers, releaseAll, take } from "./heap";
import { Device } from "./records";
import { beginRollups, groups, outOfRange, writeRollups } from "./rollups";
import { boundOfRollups } from "./rollup-memory";
import { orderRows } from "./row-order";
import { beginRows, readRows, rowCount, types } from "./rows";
import { setSeed } from "./table";

let withStates: bool = false;
let inputAt: usize = 0;
let inputBytes: usize = 0;
/** Of what lies in the input: bytes of a row whose rest is still to come. */
let left: usize = 0;
const order = new Numbers();

export function seed(value: u64): void {
  setSeed(value);
}

/** Lets go of the last batch. */
export function begin(rows: u32, states: bool): void {
  releaseAll();
  withStates = states;
  inputBytes = 0;
  left = 0;
  beginRows(rows, states);
  beginDevices();
  beginRollups(states);
}

/** Where the next bytes of rows go: as many as are told, behind what is left of the last ones. */
export function input(bytes: u32): usize {
  if (left + bytes > inputBytes) {
    inputBytes = (left + bytes) * 2;
    const grown = take(inputBytes);
    memory.copy(grown, inputAt, left);
    inputAt = grown;
  }
  return inputAt + left;
}

/** So many more bytes are there. */
export function read(bytes: u32): void {
  const end = inputAt + left + bytes;
  const next = readRows(inputAt, end);
  left = end - next;
  memory.copy(inputAt, next, left);
}

/** How many bytes are not the announced number of rows; then there is nothing to finish. */
export function leftBytes(): u32 {
  return <u32>left;
}

export function rowsRead(): u32 {
  return rowCount;
}

/** Makes the columns; gives whether there are those of the states among them. */
export function finish(): bool {
  orderDevices(deviceList, order);
  let nameBytes: u64 = 0;
  for (let index: u32 = 0; index < order.count; index++) {
    const device = changetype<Device>(<usize>order.get(index));
    nameBytes += <u64>device.bytes * device.rows;
  }
  writeEvents(orderRows(order.count), nameBytes);
  if (!withStates || outOfRange) return false;
  writeDevices(order);
  writeRollups();
  return true;
}

export function table(): usize {
  return columnTable;
}

export function typeCount(): u32 {
  return types.count;
}

export function deviceCount(): u32 {
  return deviceList.count;
}

/** What the rollups of the rows may take in ClickHouse. */
export function rollupBytes(): f64 {
  return boundOfRollups();
}

export function groupCount(): u32 {
  return groups.count;
}
