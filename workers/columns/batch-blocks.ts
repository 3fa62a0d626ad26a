import { Arena } from "./arena.ts";
import { DeviceStates } from "./device-states.ts";
import { createEventBlock } from "./event-block.ts";
import type { NativeBlock } from "./native-block.ts";
import { RollupStates } from "./rollup-states.ts";
import { sortRows } from "./row-order.ts";
import { RowTable } from "./row-table.ts";

/** A batch, or a range of one, by columns. */
export interface BatchBlocks {
  readonly events: NativeBlock;
  /** What the views would make of it; null where that is left to them. */
  readonly states: { readonly rollups: NativeBlock; readonly devices: NativeBlock } | null;
}

/**
 * Makes the blocks of so many rows (RowBinary). Whether there are states depends on `wantsStates` and on the rows alone: it decides
 * the batch's tokens, so a repetition has to come to the same. The blocks lie in the arena, up to the next batch.
 */
export function createBatchBlocks(
  bytes: Uint8Array,
  rowCount: number,
  wantsStates: boolean,
  arena = new Arena(),
): BatchBlocks {
  arena.reset();
  const table = new RowTable(bytes, rowCount, arena);
  const ranks = table.devices.ranks();
  const events = createEventBlock(table, sortRows(table, ranks, arena), arena);
  if (!wantsStates) return { events, states: null };
  const rollups = new RollupStates(table);
  if (rollups.outOfRange) return { events, states: null };
  return { events, states: { rollups: rollups.block(), devices: new DeviceStates(table).block(ranks) } };
}
