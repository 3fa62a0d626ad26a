/**
 * One block in ClickHouse's Native format, as files and HTTP bodies carry it (without the extras of the TCP protocol): the
 * numbers of columns and rows, then for each column its name, its type and its values.
 * Source: ClickHouse documentation, "Native"; ClickHouse's SerializationLowCardinality.cpp for the dictionary's header.
 */
export interface NativeColumn {
  readonly name: string;
  readonly type: string;
  /** The values' bytes, one piece after the other. */
  readonly pieces: readonly Uint8Array[];
}

/** A block as pieces to be written one after the other. */
export type NativeBlock = readonly Uint8Array[];

export function createNativeBlock(rowCount: number, columns: readonly NativeColumn[]): NativeBlock {
  const pieces: Uint8Array[] = [Buffer.from([...varUint(columns.length), ...varUint(rowCount)])];
  for (const { name, type, pieces: values } of columns) pieces.push(string(name), string(type), ...values);
  return pieces;
}

/** The serialization with a dictionary of its own in the block, and no global one. */
const sharedDictionaries = 1n;
const hasAdditionalKeys = 1 << 9;
const needsUpdate = 1 << 10;

/**
 * The pieces of a column of LowCardinality(String): its dictionary, then an index a row, in as few bytes as the keys let it. The
 * dictionary begins with the empty string, as ClickHouse's own does; `keys` are the others, each with its length.
 */
export function createDictionary(
  keys: Uint8Array,
  keyCount: number,
  indexes: Uint8Array,
  rowCount: number,
): Uint8Array[] {
  const size = keyCount + 1;
  const width = size <= 0xff ? 0 : size <= 0xffff ? 1 : 2;
  const head = Buffer.alloc(25);
  head.writeBigUInt64LE(sharedDictionaries, 0);
  head.writeBigUInt64LE(BigInt(width | hasAdditionalKeys | needsUpdate), 8);
  head.writeBigUInt64LE(BigInt(size), 16);
  const count = Buffer.alloc(8);
  count.writeBigUInt64LE(BigInt(rowCount));
  return [head, keys, count, indexes];
}

/** LEB128. */
function varUint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return bytes;
}

function string(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.from([...varUint(bytes.length), ...bytes]);
}
