import { ByteWriter } from "./byte-writer.ts";
import { createNativeBlock, type NativeBlock } from "./native-block.ts";
import { writeNewestMetadata } from "./newest-metadata.ts";
import type { RowTable } from "./row-table.ts";

/**
 * The rows of `devices` that the view would make of the batch: one a device (ddl/003_devices.sql, ddl/005_fleet.sql). A column that
 * is added to that view is added here as well; states.test.ts compares the two, column by column.
 */
export class DeviceStates {
  readonly #table: RowTable;
  readonly #counts: Float64Array;
  readonly #firstSeen: Float64Array;
  readonly #lastSeen: Float64Array;
  readonly #firstReceived: Float64Array;
  readonly #lastReceived: Float64Array;
  /** The row with the newest metadata of each device; -1: none has any. */
  readonly #newest: Int32Array;

  constructor(table: RowTable) {
    const { count } = table.devices;
    this.#table = table;
    this.#counts = new Float64Array(count);
    this.#firstSeen = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
    this.#lastSeen = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    this.#firstReceived = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
    this.#lastReceived = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    this.#newest = new Int32Array(count).fill(-1);
    for (let row = 0; row < table.rowCount; row++) this.#add(row);
  }

  #add(row: number): void {
    const { bytes, deviceIds, timestamps, metadataAt } = this.#table;
    const device = deviceIds[row] as number;
    const timestampMs = timestamps[row] as number;
    const receivedMs = this.#table.receivedMs(row);
    (this.#counts[device] as number)++;
    if (timestampMs < (this.#firstSeen[device] as number)) this.#firstSeen[device] = timestampMs;
    if (timestampMs > (this.#lastSeen[device] as number)) this.#lastSeen[device] = timestampMs;
    if (receivedMs < (this.#firstReceived[device] as number)) this.#firstReceived[device] = receivedMs;
    if (receivedMs > (this.#lastReceived[device] as number)) this.#lastReceived[device] = receivedMs;
    if (bytes[metadataAt[row] as number] === 0) return;
    const newest = this.#newest[device] as number;
    if (newest < 0 || timestampMs > (timestamps[newest] as number)) this.#newest[device] = row;
  }

  /** `ranks`: the place of each device in the order of the table's key. */
  block(ranks: Uint32Array): NativeBlock {
    const { bytes, devices } = this.#table;
    const { count } = devices;
    const order = new Uint32Array(count);
    for (let device = 0; device < count; device++) order[ranks[device] as number] = device;
    const names = new ByteWriter(devices.encodedBytes);
    const times = [this.#firstSeen, this.#lastSeen, this.#firstReceived, this.#lastReceived];
    const [firstSeen, lastSeen, firstReceived, lastReceived] = times.map((values) => {
      const writer = new ByteWriter(count * 8);
      for (const device of order) writer.int64(values[device] as number);
      return [writer.bytes()];
    }) as [Uint8Array[], Uint8Array[], Uint8Array[], Uint8Array[]];
    const counts = new ByteWriter(count * 8);
    const reports = new ByteWriter(count * 9);
    const metadata = new ByteWriter(count * 16);
    for (const device of order) {
      names.string(bytes, devices.startOf(device), devices.endOf(device));
      counts.uint64(this.#counts[device] as number);
      // groupArraySorted(8) of one number: how many, then the numbers.
      reports.uint8(1);
      reports.int64(-(this.#lastSeen[device] as number));
      writeNewestMetadata(metadata, this.#table, this.#newest[device] as number);
    }
    const min = "SimpleAggregateFunction(min, DateTime64(3, 'UTC'))";
    const max = "SimpleAggregateFunction(max, DateTime64(3, 'UTC'))";
    return createNativeBlock(count, [
      { name: "device_id", type: "String", pieces: [names.bytes()] },
      { name: "first_seen", type: min, pieces: firstSeen },
      { name: "last_seen", type: max, pieces: lastSeen },
      { name: "event_count", type: "SimpleAggregateFunction(sum, UInt64)", pieces: [counts.bytes()] },
      { name: "recent_reports", type: "AggregateFunction(groupArraySorted(8), Int64)", pieces: [reports.bytes()] },
      { name: "first_received", type: min, pieces: firstReceived },
      { name: "last_received", type: max, pieces: lastReceived },
      {
        name: "newest_metadata",
        type: "AggregateFunction(argMax, String, DateTime64(3, 'UTC'))",
        pieces: [metadata.bytes()],
      },
    ]);
  }
}
