import { Readable } from "node:stream";
import { textOf } from "../../base/error-text.ts";
import { RowBinaryReader, skipRow } from "../../contract/row.ts";
import { BatchProgress, recordName } from "../journal/batch-progress.ts";
import type { Batch, RowRange } from "../journal/journal.ts";
import type { RedisConnection } from "./connection.ts";
import { joinPage, keyPrefix } from "./scripts.ts";

/** A sealed cut of a shard, as `take` hands it out. */
export interface RedisBatch extends Batch {
  readonly cut: number;
}

export interface BatchSource {
  readonly redis: RedisConnection;
  readonly journalId: string;
  readonly shard: number;
  readonly randomId: () => string;
  /** Puts this on record, durably and as the lease's holder. */
  readonly record: (cut: number, name: string) => Promise<void>;
  /** Redis did not give the rows of a body: it is away, or another writer has stored them. What was read fails, too. */
  readonly onUnreadable: (reason: string) => void;
}

/** `text` is "CUT FIRST LAST ROWS BYTES SINCE|split split …". */
export function parseBatch(source: BatchSource, text: string): RedisBatch {
  const [fields = "", ranges = ""] = text.split("|");
  const [cutText, first, last, rowCount, bytes, sinceMs] = fields.split(" ");
  const cut = Number(cutText);
  const progress = new BatchProgress(ranges.split(" ").filter((name) => name !== ""));
  const { journalId, shard } = source;
  const whole: RowRange = { from: 0, to: Number(rowCount) };
  return {
    cut,
    token: `${journalId}-${shard}-${cut}`,
    rowCount: whole.to,
    bytes: Number(bytes),
    sinceMs: Number(sinceMs),
    epoch: 0,
    progress,
    place: null,
    // Another instance, which may know the engine as a server, can take the batch over at any moment.
    ownStates: false,
    body: (range = whole) => Readable.from(readRows(source, first as string, last as string, range)),
    async record(record) {
      await source.record(cut, recordName(record));
      progress.add(record);
    },
  };
}

async function* readRows(
  source: BatchSource,
  first: string,
  last: string,
  { from, to }: RowRange,
): AsyncGenerator<Uint8Array> {
  const unreadable = (error: unknown): never => {
    source.onUnreadable(textOf(error));
    throw error;
  };
  const pageKey = `${keyPrefix}page:${source.randomId()}`;
  let isJoined = false;
  let next = first;
  let row = 0;
  try {
    while (row < to) {
      const request = { first: next, last, skip: Math.max(0, from - row), pageKey };
      // Not around the yield: what the reader of the body throws in there is no failure of Redis's.
      const page = await readPage(source, request).catch(unreadable);
      if (page === null) {
        return unreadable(new Error(`the batch has ${row} rows, ${to} were expected: another writer has stored it`));
      }
      isJoined ||= page.isJoined;
      const start = row + page.skipped;
      row = start + page.rows;
      next = `(${page.newest}`;
      if (page.rows > 0) yield rowsWithin(page.bytes, { from: from - start, to: to - start }, page.rows);
    }
  } finally {
    if (isJoined) source.redis.call("UNLINK", [pageKey]).catch(() => undefined);
  }
}

interface Page {
  readonly newest: string;
  /** Rows before those in `bytes`. */
  readonly skipped: number;
  readonly rows: number;
  readonly bytes: Uint8Array;
  readonly isJoined: boolean;
}

/** Null: there are no more entries. */
async function readPage(
  { redis, shard }: BatchSource,
  { first, last, skip, pageKey }: { first: string; last: string; skip: number; pageKey: string },
): Promise<Page | null> {
  const text = String(await redis.script(joinPage, [String(shard), first, last, String(skip), pageKey]));
  if (text === "") return null;
  const [newest = "", skipped = "", rows = "", key = ""] = text.split(" ");
  const bytes = newest === "gone" ? null : key === "" ? new Uint8Array(0) : await redis.bytes(key);
  if (bytes === null) throw new Error(`rows of shard ${shard} are gone: another writer has stored them`);
  return { newest, skipped: Number(skipped), rows: Number(rows), bytes, isJoined: key === pageKey };
}

/** The part of `bytes`, which hold `rowCount` rows, that a range covers. */
function rowsWithin(bytes: Uint8Array, { from, to }: RowRange, rowCount: number): Uint8Array {
  if (from <= 0 && to >= rowCount) return bytes;
  const reader = new RowBinaryReader(bytes);
  let row = 0;
  for (; row < from; row++) skipRow(reader);
  const begin = reader.offset;
  for (; row < Math.min(to, rowCount); row++) skipRow(reader);
  return bytes.subarray(begin, reader.offset);
}
