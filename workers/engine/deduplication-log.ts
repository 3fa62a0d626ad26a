import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * ClickHouse notes an insert's token in `deduplication_logs/` a moment before the part is there (`MergeTreeSink::commitPart`).
 * Killed in between, it would take the retry for a repetition, and the rows would be lost; here, once in a thousand kills.
 * So before the engine opens its folder, notes of parts that never came to be are taken back, as ClickHouse itself does
 * when it drops a part: by another line. Source: MergeTreeDeduplicationLog.cpp.
 *
 * Lines are `1 PART BLOCK_ID` for an addition and `2 PART BLOCK_ID` for its removal, with tabs between.
 */
const added = "1";
const dropped = "2";
const logDirectory = "deduplication_logs";
const partName = /^(.+)_(\d+)_(\d+)_\d+(?:_\d+)?$/;

interface BlockRange {
  readonly min: number;
  readonly max: number;
}

/** Takes back what was noted and never committed, in every table of the data folder. The engine must not be running. */
export function dropUncommittedTokens(dataFolder: string): { table: string; part: string }[] {
  return tableFolders(dataFolder).flatMap((folder) =>
    dropInTable(folder).map((part) => ({ table: folder.slice(dataFolder.length + 1), part })),
  );
}

/**
 * Gives a function that makes all tokens noted so far durable. ClickHouse never does (its issue 111577), whatever it is told about
 * parts: after a power cut a batch that comes again, since the journal had not forgotten it durably, would be stored twice.
 */
export function createTokenSync(dataFolder: string): () => Promise<void> {
  const syncedBytes = new Map<string, number>();

  async function syncLog(log: string): Promise<void> {
    const bytes = statSync(log, { throwIfNoEntry: false })?.size;
    const before = syncedBytes.get(log);
    // Without an entry: dropped with its table meanwhile.
    if (bytes === undefined || bytes === before) return;
    await syncPath(log);
    if (before === undefined) await syncPath(dirname(log));
    syncedBytes.set(log, bytes);
  }

  return async () => {
    // At once: the file system then commits them together.
    await Promise.all(tableFolders(dataFolder).flatMap((folder) => logsOf(folder).slice(-1).map(syncLog)));
  };
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function tableFolders(dataFolder: string): string[] {
  const store = join(dataFolder, "store");
  return directoriesIn(store)
    .flatMap((prefix) => directoriesIn(join(store, prefix)).map((table) => join(store, prefix, table)))
    .filter((folder) => existsSync(join(folder, logDirectory)));
}

function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Oldest first. */
function logsOf(folder: string): string[] {
  const number = (name: string): number => Number(/^deduplication_log_(\d+)\.txt$/.exec(name)?.[1] ?? Number.NaN);
  return readdirSync(join(folder, logDirectory))
    .filter((name) => !Number.isNaN(number(name)))
    .sort((a, b) => number(a) - number(b))
    .map((name) => join(folder, logDirectory, name));
}

function dropInTable(folder: string): string[] {
  const logs = logsOf(folder);
  const newest = logs.at(-1);
  if (newest === undefined) return [];
  cutTornLine(newest);
  const noted = new Map<string, string>();
  for (const log of logs) {
    for (const line of readFileSync(log, "latin1").split("\n").slice(0, -1)) {
      const [operation, part, blockId] = line.split("\t");
      if (part === undefined || blockId === undefined) continue;
      if (operation === added) noted.set(blockId, part);
      else noted.delete(blockId);
    }
  }
  const committed = committedBlocks(folder);
  const lost = [...noted].filter(([, part]) => !isCommitted(part, committed));
  if (lost.length > 0) {
    append(newest, lost.map(([blockId, part]) => `${dropped}\t${part}\t${blockId}\n`).join(""));
  }
  return lost.map(([, part]) => part);
}

/** Blocks of every part that is there, by partition. Of one that was merged since, the part that it was merged into. */
function committedBlocks(folder: string): Map<string, BlockRange[]> {
  const blocks = new Map<string, BlockRange[]>();
  for (const name of directoriesIn(folder)) {
    const [, partition, min, max] = partName.exec(name) ?? [];
    if (partition === undefined) continue;
    const ranges = blocks.get(partition);
    const range = { min: Number(min), max: Number(max) };
    if (ranges === undefined) blocks.set(partition, [range]);
    else ranges.push(range);
  }
  return blocks;
}

function isCommitted(part: string, committed: ReadonlyMap<string, readonly BlockRange[]>): boolean {
  const [, partition, min, max] = partName.exec(part) ?? [];
  // A name that we cannot read is not ours to judge.
  if (partition === undefined) return true;
  const ranges = committed.get(partition) ?? [];
  return ranges.some((range) => range.min <= Number(min) && Number(max) <= range.max);
}

/** A power cut may leave a part of a line, and what is noted next would become one with it. */
function cutTornLine(log: string): void {
  const bytes = readFileSync(log);
  const end = bytes.lastIndexOf("\n") + 1;
  if (end < bytes.length) truncateSync(log, end);
}

function append(log: string, lines: string): void {
  const file = openSync(log, "a");
  try {
    writeSync(file, lines);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
