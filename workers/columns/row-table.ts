import { TruncatedRowError } from "../../contract/row.ts";
import type { Arena } from "./arena.ts";
import { StringIds } from "./string-ids.ts";

const two32 = 2 ** 32;

/**
 * The rows of a batch (RowBinary, contract/row.ts) as they lie in one run of bytes, and what is needed to write them out by
 * columns: where each begins, its time, and numbers for its device and its type.
 */
export class RowTable {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly devices: StringIds;
  readonly types: StringIds;
  readonly rowCount: number;
  readonly rowAt: Uint32Array;
  /** Where the flag of the value is; what precedes it is known from the ids. */
  readonly valueAt: Uint32Array;
  /** Where the number of its metadata's pairs is. */
  readonly metadataAt: Uint32Array;
  readonly timestamps: Float64Array;
  readonly deviceIds: Uint32Array;
  readonly typeIds: Uint32Array;
  /** Sums of lengths, for the columns' sizes. */
  deviceBytes = 0;
  textBytes = 0;
  metadataBytes = 0;

  /** Throws `TruncatedRowError` when the bytes are not exactly so many rows. */
  constructor(bytes: Uint8Array, rowCount: number, arena: Arena) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.devices = new StringIds(bytes);
    this.types = new StringIds(bytes);
    this.rowCount = rowCount;
    this.rowAt = arena.uint32s(rowCount);
    this.valueAt = arena.uint32s(rowCount);
    this.metadataAt = arena.uint32s(rowCount);
    this.timestamps = arena.float64s(rowCount);
    this.deviceIds = arena.uint32s(rowCount);
    this.typeIds = arena.uint32s(rowCount);
    let at = 0;
    for (let row = 0; row < rowCount; row++) at = this.#readRow(row, at);
    if (at !== bytes.length) throw new TruncatedRowError(`${rowCount} rows end at byte ${at} of ${bytes.length}`);
  }

  /** What a row's value is; NaN where there is none, which JSON cannot say. */
  valueOf(row: number): number {
    const at = this.valueAt[row] as number;
    return this.bytes[at] === 0 ? this.view.getFloat64(at + 1, true) : Number.NaN;
  }

  receivedMs(row: number): number {
    const at = (this.rowAt[row] as number) + 8;
    return this.view.getInt32(at + 4, true) * two32 + this.view.getUint32(at, true);
  }

  /** Gives where the row ends. */
  #readRow(row: number, start: number): number {
    const { bytes, view } = this;
    let at = start;
    this.rowAt[row] = at;
    this.timestamps[row] = view.getInt32(at + 4, true) * two32 + view.getUint32(at, true);
    at += 16;

    let length = bytes[at++] as number;
    if (length > 127) {
      length = readLength(bytes, at - 1);
      at += lengthBytes(length) - 1;
    }
    this.deviceIds[row] = this.devices.idOf(at, at + length);
    this.deviceBytes += length + 5;
    at += length;

    length = bytes[at++] as number;
    if (length > 127) {
      length = readLength(bytes, at - 1);
      at += lengthBytes(length) - 1;
    }
    this.typeIds[row] = this.types.idOf(at, at + length);
    at += length;

    this.valueAt[row] = at;
    if (bytes[at++] === 0) at += 8;
    if (bytes[at++] === 0) {
      const textAt = at;
      at = this.#skipString(at);
      this.textBytes += at - textAt;
    }
    this.metadataAt[row] = at;
    const pairs = readLength(bytes, at);
    at += lengthBytes(pairs);
    const pairsAt = at;
    for (let left = 2 * pairs; left > 0; left--) at = this.#skipString(at);
    this.metadataBytes += at - pairsAt;
    if (at > bytes.length) throw new TruncatedRowError(`row ${row} ends behind the last byte`);
    return at;
  }

  #skipString(at: number): number {
    const length = readLength(this.bytes, at);
    return at + lengthBytes(length) + length;
  }
}

/** A LEB128 length, of at most 2^31. */
export function readLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 128) return first;
  let value = first & 127;
  for (let shift = 7, next = at + 1; ; shift += 7, next++) {
    const byte = bytes[next];
    if (byte === undefined) throw new TruncatedRowError("a length ends behind the last byte");
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
}

/** How many bytes such a length takes. */
export function lengthBytes(length: number): number {
  return length < 1 << 7 ? 1 : length < 1 << 14 ? 2 : length < 1 << 21 ? 3 : length < 1 << 28 ? 4 : 5;
}
