import type { Arena } from "./arena.ts";
import { ByteWriter } from "./byte-writer.ts";

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
  const head = new ByteWriter(16);
  head.varUint(columns.length);
  head.varUint(rowCount);
  const pieces: Uint8Array[] = [head.bytes()];
  for (const { name, type, pieces: values } of columns) {
    const title = new ByteWriter(16);
    title.text(name);
    title.text(type);
    pieces.push(title.bytes(), ...values);
  }
  return pieces;
}

/** The serialization with a dictionary of its own in the block, and no global one. */
const sharedDictionaries = 1;
const hasAdditionalKeys = 1 << 9;
const needsUpdate = 1 << 10;
const indexWidths = [1, 2, 4] as const;
type IndexWidth = (typeof indexWidths)[number];

/**
 * A column of LowCardinality(String): its dictionary, then an index a row. The dictionary begins with the empty string, as
 * ClickHouse's own does, so the index of a value is its id and one.
 */
export class DictionaryColumn {
  readonly #indexes: ByteWriter;
  readonly #width: IndexWidth;
  readonly #keys: Uint8Array;
  readonly #keyCount: number;
  #rows = 0;

  /** `keys`: the strings of all ids, each with its length, in the order of the ids. */
  constructor(keys: Uint8Array, keyCount: number, rowCapacity: number, arena?: Arena) {
    this.#keys = keys;
    this.#keyCount = keyCount;
    this.#width = keyCount + 1 <= 0xff ? 1 : keyCount + 1 <= 0xffff ? 2 : 4;
    this.#indexes = new ByteWriter(rowCapacity * this.#width, arena);
  }

  add(id: number): void {
    this.#rows++;
    if (this.#width === 1) this.#indexes.uint8(id + 1);
    else if (this.#width === 2) this.#indexes.uint16(id + 1);
    else this.#indexes.uint32(id + 1);
  }

  pieces(): Uint8Array[] {
    const head = new ByteWriter(32);
    head.uint64(sharedDictionaries);
    head.uint64(indexWidths.indexOf(this.#width) | hasAdditionalKeys | needsUpdate);
    head.uint64(this.#keyCount + 1);
    head.uint8(0);
    const count = new ByteWriter(8);
    count.uint64(this.#rows);
    return [head.bytes(), this.#keys, count.bytes(), this.#indexes.bytes()];
  }
}
