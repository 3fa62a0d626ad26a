import { closeSync, mkdirSync, openSync, readdirSync, rmSync, unlinkSync, writevSync } from "node:fs";
import { join } from "node:path";
import { realFiles } from "../journal/files.ts";
import { readBody } from "../journal/segment-body.ts";
import { BlockMaker } from "./batch-blocks.ts";
import type { NativeBlock } from "./native-block.ts";
import type { ColumnRequest, MadeBlock, MadeColumns, RowSource } from "./protocol.ts";

/** Pieces that one call writes; Linux takes 1,024. */
const piecesPerWrite = 512;
const blockSuffix = ".native";
/** What is read from a segment at once. */
const readBytes = 1 << 18;

/** Reads the rows and makes their blocks. Keeps its memory, so that a batch does not need fresh one each time. */
export function createColumnWork(): (request: ColumnRequest) => MadeColumns {
  const buffer = new Uint8Array(readBytes);
  const maker = new BlockMaker();

  return ({ id, source, rowCount, wantsStates, directory }) => {
    const chunks = source.kind === "bytes" ? source.chunks : chunksOf(source, buffer);
    const { events, states, rollupBytes } = maker.make(chunks, rowCount, wantsStates);
    const keep = (name: string, block: NativeBlock): MadeBlock => {
      if (directory === null) return { kind: "bytes", pieces: block.map((piece) => new Uint8Array(piece)) };
      const path = join(directory, `${id}-${name}${blockSuffix}`);
      writeBlock(path, block);
      return { kind: "file", path };
    };
    return {
      events: keep("events", events),
      states: states && { rollups: keep("rollups", states.rollups), devices: keep("devices", states.devices) },
      rollupBytes,
    };
  };
}

const chunksOf = ({ place, range }: Extract<RowSource, { kind: "place" }>, buffer: Uint8Array): Iterable<Uint8Array> =>
  readBody({ files: realFiles, ...place }, range ?? undefined, buffer);

/** Not synced: it is made again from the journal when it is lost. */
function writeBlock(path: string, block: NativeBlock): void {
  const file = openSync(path, "w", 0o600);
  try {
    for (let first = 0; first < block.length; first += piecesPerWrite) {
      writeAll(file, block.slice(first, first + piecesPerWrite));
    }
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, pieces: readonly Uint8Array[]): void {
  let left = pieces.filter((piece) => piece.length > 0);
  while (left.length > 0) {
    let written = writevSync(file, left);
    if (written === 0) throw new Error("write made no progress");
    while (left[0] !== undefined && written >= left[0].length) {
      written -= left[0].length;
      left = left.slice(1);
    }
    if (left[0] !== undefined) left = [left[0].subarray(written), ...left.slice(1)];
  }
}

/** Makes the directory, and removes the blocks that an earlier run left in it. */
export function prepareBlockDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) if (name.endsWith(blockSuffix)) rmSync(join(directory, name));
}
