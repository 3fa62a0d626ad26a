import { Readable } from "node:stream";
import { RowBinaryReader, skipRow } from "../../contract/row.ts";
import { BatchProgress, recordName } from "../journal/batch-progress.ts";
import type { Batch, RowRange } from "../journal/journal.ts";
import type { RedisConnection } from "./connection.ts";
import { keyPrefix } from "./scripts.ts";

/** A sealed cut of a shard, as `take` hands it out. */
export interface RedisBatch extends Batch {
  readonly cut: number;
}

const entriesPerPage = 256;

export interface BatchSource {
  readonly redis: RedisConnection;
  readonly journalId: string;
  readonly shard: number;
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
  { redis, shard, onUnreadable }: BatchSource,
  first: string,
  last: string,
  { from, to }: RowRange,
): AsyncGenerator<Uint8Array> {
  const unreadable = (error: unknown): Error => {
    const failure = error instanceof Error ? error : new Error(String(error));
    onUnreadable(failure.message);
    return failure;
  };
  // Not around the yields: what the reader of the body throws in there is no failure of Redis's.
  const asked = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((error: unknown) => {
      throw unreadable(error);
    });
  const entries = readEntries(redis, `${keyPrefix}s:${shard}`, first, last);
  let row = 0;
  for (;;) {
    const { value: entry, done } = await asked(entries.next());
    if (done) break;
    if (row >= to) return;
    const start = row;
    row += entry.rows;
    if (row <= from) continue;
    const bytes = await asked(redis.bytes(`${keyPrefix}r:${shard}:${entry.id}`));
    if (bytes === null) {
      throw unreadable(`the rows of entry ${entry.id} of shard ${shard} are gone: another writer has stored them`);
    }
    if (start >= from && row <= to) {
      yield bytes;
      continue;
    }
    const reader = new RowBinaryReader(bytes);
    for (let skipped = start; skipped < from; skipped++) skipRow(reader);
    const begin = reader.offset;
    for (let taken = Math.max(start, from); taken < Math.min(row, to); taken++) skipRow(reader);
    yield bytes.subarray(begin, reader.offset);
  }
  if (row < to) {
    throw unreadable(`the batch has ${row} rows, ${to} were expected: another writer has stored it`);
  }
}

async function* readEntries(
  redis: RedisConnection,
  stream: string,
  first: string,
  last: string,
): AsyncGenerator<{ id: string; rows: number }> {
  let from = first;
  for (;;) {
    const page = (await redis.call("XRANGE", [stream, from, last, "COUNT", String(entriesPerPage)])) as [
      string,
      string[],
    ][];
    for (const [id, fields] of page) yield { id, rows: Number(fields[1]) };
    const newest = page[page.length - 1];
    if (newest === undefined || page.length < entriesPerPage) return;
    from = `(${newest[0]}`;
  }
}
