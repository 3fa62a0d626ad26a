import type { Arena } from "./arena.ts";
import { ByteWriter } from "./byte-writer.ts";
import { createNativeBlock, DictionaryColumn, type NativeBlock } from "./native-block.ts";
import { lengthBytes, type RowTable, readLength } from "./row-table.ts";

/** The rows as a block of `telemetry_events`, in the given order. */
export function createEventBlock(table: RowTable, order: Uint32Array, arena: Arena): NativeBlock {
  const { rowCount } = table;
  const columns = new EventColumns(table, arena);
  for (let index = 0; index < rowCount; index++) columns.add(order[index] as number);
  return columns.block();
}

class EventColumns {
  readonly #table: RowTable;
  readonly #timestamps: ByteWriter;
  readonly #received: ByteWriter;
  readonly #devices: ByteWriter;
  readonly #types: DictionaryColumn;
  readonly #valueNulls: ByteWriter;
  readonly #values: ByteWriter;
  readonly #textNulls: ByteWriter;
  readonly #texts: ByteWriter;
  readonly #pairEnds: ByteWriter;
  readonly #metadataKeys: ByteWriter;
  readonly #metadataValues: ByteWriter;
  #pairs = 0;

  constructor(table: RowTable, arena: Arena) {
    const { rowCount } = table;
    this.#table = table;
    this.#timestamps = new ByteWriter(rowCount * 8, arena);
    this.#received = new ByteWriter(rowCount * 8, arena);
    this.#devices = new ByteWriter(table.deviceBytes, arena);
    this.#types = new DictionaryColumn(table.types.encode(), table.types.count, rowCount, arena);
    this.#valueNulls = new ByteWriter(rowCount, arena);
    this.#values = new ByteWriter(rowCount * 8, arena);
    this.#textNulls = new ByteWriter(rowCount, arena);
    this.#texts = new ByteWriter(rowCount + table.textBytes, arena);
    this.#pairEnds = new ByteWriter(rowCount * 8, arena);
    this.#metadataKeys = new ByteWriter(table.metadataBytes, arena);
    this.#metadataValues = new ByteWriter(table.metadataBytes, arena);
  }

  add(row: number): void {
    const { bytes, view, rowAt, valueAt, metadataAt, deviceIds, typeIds, devices } = this.#table;
    let at = rowAt[row] as number;
    this.#timestamps.uint32(view.getUint32(at, true));
    this.#timestamps.uint32(view.getUint32(at + 4, true));
    this.#received.uint32(view.getUint32(at + 8, true));
    this.#received.uint32(view.getUint32(at + 12, true));
    const device = deviceIds[row] as number;
    this.#devices.string(bytes, devices.startOf(device), devices.endOf(device));
    this.#types.add(typeIds[row] as number);

    at = valueAt[row] as number;
    const noValue = bytes[at++] as number;
    this.#valueNulls.uint8(noValue);
    if (noValue === 0) {
      this.#values.uint32(view.getUint32(at, true));
      this.#values.uint32(view.getUint32(at + 4, true));
      at += 8;
    } else this.#values.float64(0);
    const noText = bytes[at++] as number;
    this.#textNulls.uint8(noText);
    if (noText === 0) copyString(this.#texts, bytes, at);
    else this.#texts.uint8(0);

    at = metadataAt[row] as number;
    const pairs = readLength(bytes, at);
    at += lengthBytes(pairs);
    for (let left = pairs; left > 0; left--) {
      at = copyString(this.#metadataKeys, bytes, at);
      at = copyString(this.#metadataValues, bytes, at);
    }
    this.#pairs += pairs;
    this.#pairEnds.uint64(this.#pairs);
  }

  block(): NativeBlock {
    const time = "DateTime64(3, 'UTC')";
    return createNativeBlock(this.#table.rowCount, [
      { name: "timestamp", type: time, pieces: [this.#timestamps.bytes()] },
      { name: "received_at", type: time, pieces: [this.#received.bytes()] },
      { name: "device_id", type: "String", pieces: [this.#devices.bytes()] },
      { name: "event_type", type: "LowCardinality(String)", pieces: this.#types.pieces() },
      { name: "value_float", type: "Nullable(Float64)", pieces: [this.#valueNulls.bytes(), this.#values.bytes()] },
      { name: "value_string", type: "Nullable(String)", pieces: [this.#textNulls.bytes(), this.#texts.bytes()] },
      {
        name: "metadata",
        type: "Map(String, String)",
        pieces: [this.#pairEnds.bytes(), this.#metadataKeys.bytes(), this.#metadataValues.bytes()],
      },
    ]);
  }
}

/** A string with its length, as it stands; gives the place behind it. */
function copyString(to: ByteWriter, bytes: Uint8Array, at: number): number {
  const length = readLength(bytes, at);
  const end = at + lengthBytes(length) + length;
  to.copy(bytes, at, end);
  return end;
}
