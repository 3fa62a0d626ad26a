import { ByteWriter } from "./byte-writer.ts";
import { lengthBytes, type RowTable, readLength } from "./row-table.ts";

/** Between the keys and values of the text; ddl/005_fleet.sql describes it, and the state round it. */
const separator = 0x1f;
const none = 0xffff_ffff;
const stateFixedBytes = 4 + 1 + 1 + 8;

/** Appends the state of argMax(metadata as a text, timestamp) of one device. `row` -1: it has no event with metadata. */
export function writeNewestMetadata(to: ByteWriter, table: RowTable, row: number): void {
  if (row < 0) {
    to.reserve(5);
    to.uint32(none);
    to.uint8(0);
    return;
  }
  const text = joinedText(table, row) ?? jsonText(table, row);
  to.reserve(stateFixedBytes + text.length);
  to.uint32(text.length + 1);
  to.copy(text, 0, text.length);
  to.uint8(0);
  to.uint8(1);
  to.int64(table.timestamps[row] as number);
}

/** The places of the keys and values, in turn: start, end, start, end. */
function stringsOf({ bytes, metadataAt }: RowTable, row: number): number[] {
  const places: number[] = [];
  let at = metadataAt[row] as number;
  const pairs = readLength(bytes, at);
  at += lengthBytes(pairs);
  for (let left = 2 * pairs; left > 0; left--) {
    const length = readLength(bytes, at);
    at += lengthBytes(length);
    places.push(at, at + length);
    at += length;
  }
  return places;
}

/** All keys, then all values, each behind a separator; null when one of them contains the separator. */
function joinedText(table: RowTable, row: number): Uint8Array | null {
  const places = stringsOf(table, row);
  const size = places.reduce((sum, place, index) => sum + (index % 2 === 0 ? 1 - place : place), 0);
  const text = new ByteWriter(size);
  for (const first of [0, 2]) {
    for (let index = first; index < places.length; index += 4) {
      const [start, end] = [places[index] as number, places[index + 1] as number];
      if (table.bytes.subarray(start, end).includes(separator)) return null;
      text.uint8(separator);
      text.copy(table.bytes, start, end);
    }
  }
  return text.bytes();
}

/** As ClickHouse's toJSONString writes it. */
function jsonText(table: RowTable, row: number): Uint8Array {
  const places = stringsOf(table, row);
  const bytes = Buffer.from(table.bytes.buffer, table.bytes.byteOffset, table.bytes.byteLength);
  const quoted = (index: number): string =>
    JSON.stringify(bytes.toString("utf8", places[index] as number, places[index + 1] as number))
      .replaceAll("/", "\\/")
      // Escape by escape, so that a backslash of the text itself is not taken for one.
      .replaceAll(/\\(?:u00[0-9a-f]{2}|.)/g, (found) => `${found.slice(0, 2)}${found.slice(2).toUpperCase()}`)
      .replaceAll("\u2028", "\\u2028")
      .replaceAll("\u2029", "\\u2029");
  const pairs: string[] = [];
  for (let index = 0; index < places.length; index += 4) pairs.push(`${quoted(index)}:${quoted(index + 2)}`);
  return Buffer.from(`{${pairs.join(",")}}`);
}
