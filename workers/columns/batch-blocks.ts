import { loadAssembly } from "../../base/wasm/load.ts";
import { TruncatedRowError } from "../../contract/row.ts";
import { createDictionary, createNativeBlock, type NativeBlock } from "./native-block.ts";

/** A batch, or a range of one, by columns. The bytes lie in the module's memory, and are gone with the next batch. */
export interface BatchBlocks {
  readonly events: NativeBlock;
  /** What the views would make of it; null where that is left to them. */
  readonly states: { readonly rollups: NativeBlock; readonly devices: NativeBlock } | null;
  /**
   * At most so much memory do the quantile states of all its (second, event type) groups take in ClickHouse. It decides how a batch
   * is cut, so which tokens its rows have: the same rows always come to the same figure, and a change of it is one of the journal's
   * format.
   */
  readonly rollupBytes: number;
}

/** The exports of assembly/index.ts. */
interface ColumnModule {
  readonly memory: WebAssembly.Memory;
  seed(value: bigint): void;
  begin(rows: number, states: boolean): void;
  input(bytes: number): number;
  read(bytes: number): void;
  leftBytes(): number;
  rowsRead(): number;
  finish(): number;
  table(): number;
  typeCount(): number;
  deviceCount(): number;
  groupCount(): number;
  rollupBytes(): number;
}

/** In the order of assembly/column-list.ts. */
const columnNames = [
  "timestamps",
  "received",
  "deviceIds",
  "typeIndexes",
  "valueNulls",
  "values",
  "textNulls",
  "texts",
  "pairEnds",
  "keys",
  "pairValues",
  "typeNames",
  "deviceNames",
  "firstSeen",
  "lastSeen",
  "eventCounts",
  "reports",
  "firstReceived",
  "lastReceived",
  "newestMetadata",
  "seconds",
  "groupTypeIndexes",
  "groupEvents",
  "groupValues",
  "sums",
  "groupNulls",
  "lows",
  "highs",
  "quantiles",
] as const;

type Columns = Readonly<Record<(typeof columnNames)[number], Uint8Array>>;

export const moduleUrl = new URL("./assembly/index.wasm", import.meta.url);
/** What the module takes in at once: small enough to stay in the processor's cache until it is in columns. */
const pieceBytes = 1 << 18;
/** A module's memory never shrinks; one with more than this is let go after its batch. */
const keptBytesMax = 256 * 2 ** 20;

/** Makes the blocks of one batch after the other, in memory that it keeps. */
export class BlockMaker {
  #module: ColumnModule | null = null;

  /**
   * Reads so many rows (RowBinary), in chunks that are cut anywhere, and makes their blocks. Whether there are states depends on
   * `wantsStates` and on the rows alone: it decides the batch's tokens, so a repetition has to come to the same.
   * Throws `TruncatedRowError` when the bytes are not exactly so many rows.
   */
  make(chunks: Iterable<Uint8Array>, rowCount: number, wantsStates: boolean): BatchBlocks {
    if (this.#module !== null && this.#module.memory.buffer.byteLength > keptBytesMax) this.#module = null;
    this.#module ??= createModule();
    const module = this.#module;
    module.begin(rowCount, wantsStates);
    for (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += pieceBytes)
        readPiece(module, chunk.subarray(start, start + pieceBytes));
      if (module.rowsRead() === rowCount && module.leftBytes() > 0) break;
    }
    if (module.rowsRead() !== rowCount || module.leftBytes() > 0) {
      throw new TruncatedRowError(
        `${module.rowsRead()} rows of ${rowCount} are whole, and ${module.leftBytes()} bytes behind them belong to none`,
      );
    }
    const hasStates = module.finish() !== 0;
    const columns = columnsOf(module);
    return {
      events: eventBlock(module, columns, rowCount),
      states: hasStates ? { rollups: rollupBlock(module, columns), devices: deviceBlock(module, columns) } : null,
      rollupBytes: module.rollupBytes(),
    };
  }
}

function readPiece(module: ColumnModule, piece: Uint8Array): void {
  const at = module.input(piece.length);
  new Uint8Array(module.memory.buffer, at, piece.length).set(piece);
  module.read(piece.length);
}

function createModule(): ColumnModule {
  const module = loadAssembly<ColumnModule>(moduleUrl);
  module.seed(crypto.getRandomValues(new BigUint64Array(1))[0] as bigint);
  return module;
}

function columnsOf({ memory, table }: ColumnModule): Columns {
  const places = new Uint32Array(memory.buffer, table(), columnNames.length * 2);
  const bytesOf = (index: number): Uint8Array =>
    new Uint8Array(memory.buffer, places[index * 2] as number, places[index * 2 + 1] as number);
  return Object.fromEntries(columnNames.map((name, index) => [name, bytesOf(index)])) as Columns;
}

/** The rows as a block of `telemetry_events`. */
function eventBlock(module: ColumnModule, columns: Columns, rowCount: number): NativeBlock {
  const time = "DateTime64(3, 'UTC')";
  return createNativeBlock(rowCount, [
    { name: "timestamp", type: time, pieces: [columns.timestamps] },
    { name: "received_at", type: time, pieces: [columns.received] },
    { name: "device_id", type: "String", pieces: [columns.deviceIds] },
    typeColumn(module, columns.typeNames, columns.typeIndexes, rowCount),
    { name: "value_float", type: "Nullable(Float64)", pieces: [columns.valueNulls, columns.values] },
    { name: "value_string", type: "Nullable(String)", pieces: [columns.textNulls, columns.texts] },
    { name: "metadata", type: "Map(String, String)", pieces: [columns.pairEnds, columns.keys, columns.pairValues] },
  ]);
}

/**
 * The rows of `telemetry_1s` that the view would make of the batch (ddl/002_rollups.sql). A column that is added to that view, or to
 * the one below, is added here as well; states.test.ts compares the two, column by column.
 */
function rollupBlock(module: ColumnModule, columns: Columns): NativeBlock {
  const count = "SimpleAggregateFunction(sum, UInt64)";
  const rows = module.groupCount();
  return createNativeBlock(rows, [
    { name: "time", type: "DateTime('UTC')", pieces: [columns.seconds] },
    typeColumn(module, columns.typeNames, columns.groupTypeIndexes, rows),
    { name: "event_count", type: count, pieces: [columns.groupEvents] },
    { name: "value_count", type: count, pieces: [columns.groupValues] },
    { name: "value_sum", type: "SimpleAggregateFunction(sum, Float64)", pieces: [columns.sums] },
    {
      name: "value_min",
      type: "SimpleAggregateFunction(min, Nullable(Float64))",
      pieces: [columns.groupNulls, columns.lows],
    },
    {
      name: "value_max",
      type: "SimpleAggregateFunction(max, Nullable(Float64))",
      pieces: [columns.groupNulls, columns.highs],
    },
    {
      name: "value_quantiles",
      type: "AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64))",
      pieces: [columns.quantiles],
    },
  ]);
}

/** The rows of `devices` that the view would make of the batch: one a device (ddl/003_devices.sql, ddl/005_fleet.sql). */
function deviceBlock(module: ColumnModule, columns: Columns): NativeBlock {
  const min = "SimpleAggregateFunction(min, DateTime64(3, 'UTC'))";
  const max = "SimpleAggregateFunction(max, DateTime64(3, 'UTC'))";
  return createNativeBlock(module.deviceCount(), [
    { name: "device_id", type: "String", pieces: [columns.deviceNames] },
    { name: "first_seen", type: min, pieces: [columns.firstSeen] },
    { name: "last_seen", type: max, pieces: [columns.lastSeen] },
    { name: "event_count", type: "SimpleAggregateFunction(sum, UInt64)", pieces: [columns.eventCounts] },
    { name: "recent_reports", type: "AggregateFunction(groupArraySorted(8), Int64)", pieces: [columns.reports] },
    { name: "first_received", type: min, pieces: [columns.firstReceived] },
    { name: "last_received", type: max, pieces: [columns.lastReceived] },
    {
      name: "newest_metadata",
      type: "AggregateFunction(argMax, String, DateTime64(3, 'UTC'))",
      pieces: [columns.newestMetadata],
    },
  ]);
}

const typeColumn = (module: ColumnModule, names: Uint8Array, indexes: Uint8Array, rows: number) => ({
  name: "event_type",
  type: "LowCardinality(String)",
  pieces: createDictionary(names, module.typeCount(), indexes, rows),
});
