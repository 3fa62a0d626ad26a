import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RowEncoder } from "../../server/contract/row.ts";
import { type DiskJournalOptions, openDiskJournal } from "./disk.ts";
import { realFiles } from "./files.ts";
import type { Batch, FrameGroup, RowRange } from "./journal.ts";

const encoder = new RowEncoder();

function rowsOf(first: number, count: number): Uint8Array {
  encoder.reset();
  for (let row = first; row < first + count; row++) {
    encoder.encode({ device_id: `d-${row}`, event_type: "t", value_float: row }, 1_700_000_000_000 + row, 0);
  }
  return encoder.bytes().slice();
}

const noMeta = new Uint8Array(0);
const group = (first: number, count: number, meta = noMeta): FrameGroup => ({
  rows: rowsOf(first, count),
  rowCount: count,
  meta,
  epoch: first,
  atMs: 1_700_000_000_000,
});

async function bodyOf(batch: Batch, range?: RowRange): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of batch.body(range) as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

let directory: string;
let messages: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sluice-journal-"));
  messages = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (options: Partial<DiskJournalOptions> = {}) =>
  openDiskJournal({
    files: realFiles,
    directory,
    maxBytes: 1 << 30,
    nowMs: () => 1_700_000_000_000,
    log: (level, message) => messages.push(`${level} ${message}`),
    ...options,
  });

describe("the journal on a disk", () => {
  test("hands out what was appended, in order, and forgets what was committed", async () => {
    const { journal } = await open();
    expect(journal.append(group(0, 10))).toEqual({ ok: true });
    expect(journal.append(group(10, 5))).toEqual({ ok: true });
    expect(journal.open).toMatchObject({ rowCount: 15, epoch: 10 });
    journal.seal();
    expect(journal.open.rowCount).toBe(0);
    journal.append(group(15, 1));
    const [batch] = journal.sealed as [Batch];
    expect(batch.rowCount).toBe(15);
    expect(await bodyOf(batch)).toEqual(Buffer.from(rowsOf(0, 15)));
    for (const range of [
      { from: 0, to: 1 },
      { from: 3, to: 12 },
      { from: 10, to: 15 },
      { from: 9, to: 10 },
    ]) {
      expect(await bodyOf(batch, range)).toEqual(Buffer.from(rowsOf(range.from, range.to - range.from)));
    }
    await journal.commit(batch);
    expect(journal.sealed).toEqual([]);
    journal.close();
    const second = await open();
    expect(second.journal.sealed.map((each) => each.rowCount)).toEqual([1]);
    expect(await bodyOf(second.journal.sealed[0] as Batch)).toEqual(Buffer.from(rowsOf(15, 1)));
    second.journal.close();
    expect(readdirSync(directory).length).toBe(2);
  });
});
