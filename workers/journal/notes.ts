import { BatchProgress, type ProgressRecord, recordName } from "./batch-progress.ts";
import type { Files, OpenFile } from "./files.ts";
import type { Extent } from "./frame-scan.ts";

/**
 * What becomes known about a segment after it was written, in a file beside it: ranges that hold a refused row, where the
 * segment ends if a failing disk did not let it be cut there, and parts that the disk did not give back when the rest was
 * handed out. One line a record: checksum, JSON.
 */
export interface Notes {
  readonly progress: BatchProgress;
  /** What lies behind this offset was refused and does not count. */
  readonly end: number | null;
  readonly gaps: readonly Extent[];
}

export const noNotes: Notes = { progress: new BatchProgress(), end: null, gaps: [] };

export const notesSuffix = ".notes";
const maxBytes = 1 << 26;

function encodeLine(record: object, seed: number): Uint8Array {
  const json = JSON.stringify(record);
  // A line break first, too: what a failed write left of a line does not spoil the next one.
  return Buffer.from(`\n${Bun.hash.crc32(json, seed).toString(16)} ${json}\n`);
}

/** Lines of another segment that had the same number do not pass: the checksum starts from the segment's own. */
export function decodeNotes(bytes: Uint8Array, seed: number): Notes {
  const progress = new BatchProgress();
  const gaps: Extent[] = [];
  let end: number | null = null;
  for (const line of Buffer.from(bytes).toString("utf8").split("\n")) {
    const blank = line.indexOf(" ");
    const json = line.slice(blank + 1);
    if (blank < 0 || line.slice(0, blank) !== Bun.hash.crc32(json, seed).toString(16)) continue;
    const record: unknown = JSON.parse(json);
    if (typeof record !== "object" || record === null) continue;
    if ("split" in record && typeof record.split === "string") progress.addName(record.split);
    if ("end" in record && typeof record.end === "number") end = Math.min(end ?? record.end, record.end);
    if ("gap" in record && Array.isArray(record.gap))
      gaps.push({ start: Number(record.gap[0]), end: Number(record.gap[1]) });
  }
  return { progress, end, gaps };
}

/** Durable when it returns. When it throws, the record may or may not be there. */
function appendNote(files: Files, { directory, path, seed }: NotesPlace, record: object): void {
  let file: OpenFile;
  try {
    file = files.open(path, "update");
  } catch {
    file = files.open(path, "create");
  }
  try {
    file.write([encodeLine(record, seed)], file.bytes);
    file.sync();
  } finally {
    file.close();
  }
  // Each time: that the file was there does not say that an earlier, failed call made its name durable.
  files.syncDirectory(directory);
}

/** Where a segment's notes are, and what their checksums start from. */
export interface NotesPlace {
  readonly directory: string;
  readonly path: string;
  readonly seed: number;
}

export const recordProgress = (files: Files, place: NotesPlace, record: ProgressRecord): void =>
  appendNote(files, place, { split: recordName(record) });

export const recordEnd = (files: Files, place: NotesPlace, end: number): void => appendNote(files, place, { end });

export const recordGap = (files: Files, place: NotesPlace, gap: Extent): void =>
  appendNote(files, place, { gap: [gap.start, gap.end] });

export function readNotes(files: Files, path: string, seed: number): Notes {
  const file = files.open(path, "read");
  try {
    const bytes = new Uint8Array(Math.min(file.bytes, maxBytes));
    return decodeNotes(bytes.subarray(0, file.read(bytes, 0)), seed);
  } finally {
    file.close();
  }
}
