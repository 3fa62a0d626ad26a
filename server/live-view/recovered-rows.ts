import { hashDeviceId, RowBinaryReader, TruncatedRowError } from "../../contract/row.ts";
import type { Epoch } from "./epoch.ts";
import type { LiveView } from "./live-view.ts";
import type { Shard } from "./shard.ts";

const nothing = new Uint8Array(0);

interface RecoveredPiece {
  readonly epoch: Epoch;
  readonly rows: Uint8Array;
  readonly last: boolean;
}

export type RecoveredFold = (piece: RecoveredPiece) => void;

/**
 * Folds the rows that an earlier run left, a piece at a time and in order: one epoch a batch, before those of this run. A piece
 * may end in the middle of a row. `taken` is called for each piece once it is folded, for the next one.
 */
export function createRecoveredFold(deps: {
  /** Resolves to where the last whole row ends. */
  readonly foldRows: (epoch: Epoch, rows: Uint8Array) => Promise<number>;
  readonly taken: () => void;
}): RecoveredFold {
  let rest: Uint8Array = nothing;
  let folded: Promise<void> = Promise.resolve();

  async function fold({ epoch, rows, last }: RecoveredPiece): Promise<void> {
    const bytes = rest.length === 0 ? rows : Buffer.concat([rest, rows]);
    const end = await deps.foldRows(epoch, bytes);
    rest = last ? nothing : bytes.slice(end);
    deps.taken();
  }

  return (piece) => {
    folded = folded.then(() => fold(piece));
  };
}

/** Rows folded before other work has its turn: 1 to 2 ms. */
const sliceRows = 4096;

/**
 * Aggregates rows of `telemetry_events` (RowBinary) as pending of `epoch`, in slices with a pause behind each. Resolves to
 * where the last whole row ends: of one that is cut off there nothing is aggregated.
 */
export async function foldStoredRows(
  view: LiveView,
  rows: Uint8Array,
  epoch: Epoch,
  { pause, stopped }: { readonly pause: () => Promise<void>; readonly stopped: () => boolean },
): Promise<number> {
  const reader = new RowBinaryReader(rows);
  // Recovered batches are of a journal on disk, which is one shard.
  const shard = view.shards[0] as Shard;
  let end = 0;
  while (!reader.done && !stopped()) {
    view.advance();
    view.collect(shard, epoch);
    try {
      for (let slice = 0; slice < sliceRows && !reader.done; slice++, end = reader.offset) foldRow(view, shard, reader);
    } catch (error) {
      if (error instanceof TruncatedRowError) break;
      throw error;
    }
    await pause();
  }
  return end;
}

function foldRow({ window, types, devices }: LiveView, { collector }: Shard, reader: RowBinaryReader): void {
  const second = Math.floor(reader.int64() / 1000);
  reader.int64();
  if (second < window.fromSecond || second > window.toSecond) {
    reader.skipString();
    reader.skipString();
    if (reader.uint8() === 0) reader.float64();
    skipFromText(reader);
    return;
  }
  const [hashA, hashB] = hashDeviceId(reader.string());
  const type = types.indexOf(reader.string());
  const value = reader.uint8() === 0 ? reader.float64() : Number.NaN;
  skipFromText(reader);
  collector.observe(type, second, value);
  devices.observe(hashA, hashB, second);
}

function skipFromText(reader: RowBinaryReader): void {
  if (reader.uint8() === 0) reader.skipString();
  for (let left = reader.length(); left > 0; left--) {
    reader.skipString();
    reader.skipString();
  }
}
