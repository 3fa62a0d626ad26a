import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { RowEncoder } from "../../contract/row.ts";
import { until } from "../../testing/until.ts";
import { type DiskJournalOptions, openDiskJournal } from "./disk.ts";
import { realFiles } from "./files.ts";
import { fileHeaderBytes, frameHeaderBytes } from "./frame.ts";
import { encodeKey, keyLifeMs } from "./idempotency-keys.ts";
import type { Batch, FrameGroup, Journal, RowRange } from "./journal.ts";

const seed = Number(process.env.JOURNAL_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const encoder = new RowEncoder();
const noMeta = new Uint8Array(0);
const startMs = 1_700_000_000_000;

function rowsOf(first: number, count: number, textBytes = 0): Uint8Array<ArrayBuffer> {
  encoder.reset();
  const value_string = "v".repeat(textBytes);
  for (let row = first; row < first + count; row++) {
    encoder.encode({ device_id: `d-${row}`, event_type: "t", value_float: row, value_string }, startMs + row, 0);
  }
  return new Uint8Array(encoder.bytes());
}

const group = (first: number, count: number, meta: Uint8Array = noMeta): FrameGroup => ({
  rows: rowsOf(first, count),
  rowCount: count,
  meta,
  epoch: first,
  atMs: startMs,
});

const keyMeta = (key: string, atMs = startMs): Uint8Array => encodeKey({ key, atMs, answer: `"${key}"` });

async function bodyOf(batch: Batch, range?: RowRange): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of batch.body(range) as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const contents = (journal: Journal): Promise<Buffer[]> => Promise.all(journal.sealed.map((batch) => bodyOf(batch)));

let directory: string;
let messages: string[];
let nowMs: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sluice-journal-"));
  messages = [];
  nowMs = startMs;
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (options: Partial<DiskJournalOptions> = {}) =>
  openDiskJournal({
    files: realFiles,
    directory,
    maxBytes: 1 << 30,
    ownStatesRows: 3,
    nowMs: () => nowMs,
    log: (level, message) => messages.push(`${level} ${message}`),
    ...options,
  });

/** A journal that an earlier run left, a segment for each. */
async function leave(...segments: FrameGroup[][]): Promise<void> {
  const { journal } = await open();
  for (const groups of segments) {
    for (const each of groups) expect(journal.append(each)).toEqual({ ok: true });
    journal.seal();
  }
  await journal.close();
}

const filesWith = (suffix: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith(suffix))
    .sort();
const pathOf = (name: string | undefined): string => join(directory, name ?? "none");

describe("the journal on a disk", () => {
  test("hands out what was appended, in order, and forgets what was committed", async () => {
    const { journal } = await open();
    expect(journal.append(group(0, 10))).toEqual({ ok: true });
    expect(journal.append(group(10, 5))).toEqual({ ok: true });
    expect(journal.open).toMatchObject({ rowCount: 15, epoch: 10, sinceMs: startMs });
    journal.seal();
    journal.seal();
    expect(journal.open.rowCount).toBe(0);
    journal.append(group(15, 1));
    const [batch] = journal.sealed as [Batch];
    expect(batch).toMatchObject({ rowCount: 15, bytes: rowsOf(0, 15).length, epoch: 10, sinceMs: startMs });
    expect(await bodyOf(batch)).toEqual(Buffer.from(rowsOf(0, 15)));
    expect(await bodyOf(batch)).toEqual(Buffer.from(rowsOf(0, 15)));
    await journal.commit(batch);
    expect(journal.sealed).toEqual([]);
    expect(journal.bytes).toBe(statSync(pathOf(filesWith(".seg")[0])).size);
    await journal.close();
    const second = await open();
    expect(await contents(second.journal)).toEqual([Buffer.from(rowsOf(15, 1))]);
    expect(second.journal.sealed[0]).toMatchObject({ epoch: 0, sinceMs: startMs });
    expect(second.recovered).toMatchObject({ segments: 1, rows: 1, tornBytes: 0, damagedBytes: 0, setAside: 0 });
    await second.journal.close();
  });

  test(`streams any range of rows, whatever the frames (seed ${seed})`, async () => {
    const frames = fc.array(
      fc.record({
        rows: fc.integer({ min: 1, max: 5 }),
        textBytes: fc.oneof(fc.nat(200), fc.nat(700_000)),
        metaBytes: fc.oneof(fc.constant(0), fc.nat(300), fc.nat(2_500_000)),
      }),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 }), async (plan, cuts) => {
        const { journal } = await open();
        const rows: Uint8Array[] = [];
        for (const { rows: count, textBytes, metaBytes } of plan) {
          const each = Array.from({ length: count }, (_, index) => rowsOf(rows.length + index, 1, textBytes));
          rows.push(...each);
          const meta = new Uint8Array(metaBytes).fill(10);
          journal.append({ ...group(0, 1), rows: Buffer.concat(each), rowCount: count, meta });
        }
        journal.seal();
        const [batch] = journal.sealed as [Batch];
        expect((await bodyOf(batch)).equals(Buffer.concat(rows))).toBe(true);
        for (const [a, b] of cuts) {
          const from = a % rows.length;
          const to = from + 1 + (b % (rows.length - from));
          const wanted = Buffer.concat(rows.slice(from, to));
          expect((await bodyOf(batch, { from, to })).equals(wanted)).toBe(true);
        }
        await journal.commit(batch);
        await journal.close();
      }),
      { numRuns: 25, seed },
    );
  }, 60_000);

  test("streams 200 MB in chunks of a megabyte, all of it", async () => {
    const { journal } = await open();
    const rows = new Uint8Array(4 << 20).map((_, index) => index * 7);
    for (let bytes = 0; bytes < 200e6; bytes += rows.length) journal.append({ ...group(0, 1), rows, rowCount: 1 });
    journal.seal();
    const [batch] = journal.sealed as [Batch];
    let bytes = 0;
    let crc = 0;
    for await (const chunk of batch.body() as AsyncIterable<Uint8Array>) {
      expect(chunk.length).toBeLessThanOrEqual(1 << 20);
      crc = Bun.hash.crc32(chunk, crc);
      bytes += chunk.length;
    }
    let wanted = 0;
    for (let at = 0; at < bytes; at += rows.length) wanted = Bun.hash.crc32(rows, wanted);
    expect([bytes, crc]).toEqual([batch.bytes, wanted]);
    await journal.close();
  }, 60_000);

  test("a body that is given up closes its file", async () => {
    await leave([group(0, 1000)]);
    const { journal } = await open();
    const before = readdirSync("/proc/self/fd").length;
    const body = (journal.sealed[0] as Batch).body();
    for await (const _ of body) break;
    body.destroy();
    await new Promise((resolve) => body.once("close", resolve).resume());
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });

  test("a body that cannot be read ends in an error, not early", async () => {
    await leave([group(0, 1000)]);
    const { journal } = await open();
    const path = pathOf(filesWith(".seg")[0]);
    writeFileSync(path, readFileSync(path).subarray(0, 2000));
    await expect(bodyOf(journal.sealed[0] as Batch)).rejects.toThrow(/shorter/);
    rmSync(path);
    await expect(bodyOf(journal.sealed[0] as Batch)).rejects.toThrow(/ENOENT/);
  });

  test("a full journal refuses with nothing written, and takes events again once a batch is committed", async () => {
    const one = group(0, 100);
    const room = fileHeaderBytes + 2 * (frameHeaderBytes + one.rows.length);
    const { journal } = await open({ maxBytes: room });
    expect(journal.append(one)).toEqual({ ok: true });
    expect(journal.append(one)).toEqual({ ok: true });
    expect(journal.bytes).toBe(room);
    expect(journal.append(group(0, 1))).toMatchObject({ ok: false, reason: "journal_full" });
    expect(statSync(pathOf(filesWith(".seg")[0])).size).toBe(room);
    journal.seal();
    expect(journal.append(group(0, 1))).toMatchObject({ ok: false, reason: "journal_full" });
    expect(filesWith(".seg").length).toBe(1);
    await journal.commit(journal.sealed[0] as Batch);
    expect(journal.append(one)).toEqual({ ok: true });
    await journal.close();
  });

  test("a batch keeps its splits, and how far it was settled", async () => {
    await leave([group(0, 8)], [group(8, 8)]);
    const first = await open();
    const [, batch] = first.journal.sealed as [Batch, Batch];
    batch.record({ kind: "split", range: { from: 0, to: 8 } });
    batch.record({ kind: "settled", before: 3 });
    batch.record({ kind: "split", range: { from: 0, to: 4 } });
    batch.record({ kind: "settled", before: 2 });
    expect([...batch.progress.splits]).toEqual(["0-8", "0-4"]);
    await first.journal.close();
    const second = await open();
    const [before, again] = second.journal.sealed as [Batch, Batch];
    expect([...before.progress.splits]).toEqual([]);
    expect([...again.progress.splits]).toEqual(["0-8", "0-4"]);
    expect(again.progress.settledBefore).toBe(3);
    for (const each of [...second.journal.sealed]) await second.journal.commit(each);
    second.journal.append(group(0, 1));
    expect(filesWith(".notes")).toEqual([]);
    await second.journal.close();
  });

  test("the batch before decides whether a batch comes with states, and so it stays", async () => {
    const { journal } = await open();
    for (const count of [3, 2, 3, 1]) {
      journal.append(group(0, count));
      journal.seal();
    }
    expect(journal.sealed.map((batch) => batch.ownStates)).toEqual([false, true, false, true]);
    await journal.close();
    const again = (await open({ ownStatesRows: 1 })).journal;
    expect(again.sealed.map((batch) => batch.ownStates)).toEqual([false, true, false, true]);
    again.append(group(0, 1));
    again.seal();
    expect(again.sealed.at(-1)?.ownStates).toBe(true);
    await again.close();
  });

  test("tokens never come again: not when everything was committed, not when the directory was wiped", async () => {
    const tokens = new Set<string>();
    for (let run = 0; run < 6; run++) {
      if (run === 3) for (const name of readdirSync(directory)) rmSync(pathOf(name));
      const { journal } = await open();
      journal.append(group(run, 1));
      journal.seal();
      for (const batch of [...journal.sealed]) {
        tokens.add(batch.token);
        await journal.commit(batch);
      }
      await journal.close();
    }
    expect(tokens.size).toBe(6);
    expect(new Set([...tokens].map((token) => token.split("-")[0])).size).toBe(2);
  });
});

describe("idempotency keys", () => {
  test("survive restart and commit for an hour, and then go, with their files", async () => {
    await leave([group(0, 1, keyMeta("a")), group(1, 1)], [group(2, 1, keyMeta("b", startMs + 1000))]);
    const second = await open();
    expect(second.keys.map((record) => record.key).sort()).toEqual(["a", "b"]);
    for (const batch of [...second.journal.sealed]) await second.journal.commit(batch);
    expect(filesWith(".seg")).toEqual([]);
    expect(filesWith(".log").length).toBe(1);
    await second.journal.close();

    nowMs = startMs + keyLifeMs;
    const third = await open();
    expect(third.keys).toEqual([{ key: "b", atMs: startMs + 1000, answer: '"b"' }]);
    expect(third.journal.bytes).toBe(statSync(pathOf(filesWith(".log")[0])).size);
    await third.journal.close();

    nowMs += 2 * keyLifeMs;
    const fourth = await open();
    expect(fourth.keys).toEqual([]);
    fourth.journal.append({ ...group(3, 1, keyMeta("c", nowMs)), atMs: nowMs });
    fourth.journal.seal();
    await fourth.journal.commit(fourth.journal.sealed[0] as Batch);
    expect(filesWith(".log")).toEqual(["keys-2.log"]);
    await fourth.journal.close();
  });

  test("that are too many are forgotten oldest first, loudly, and never fill the journal", async () => {
    const { journal } = await open({ maxBytes: 1 << 20 });
    const answer = "x".repeat(50_000);
    for (let run = 0; run < 30; run++) {
      nowMs += keyLifeMs / 6;
      const meta = encodeKey({ key: `k${run}`, atMs: nowMs, answer });
      expect(journal.append({ ...group(run, 1, meta), atMs: nowMs })).toEqual({ ok: true });
      journal.seal();
      await journal.commit(journal.sealed[0] as Batch);
      expect(journal.bytes).toBeLessThan((1 << 18) + 60_000);
    }
    expect(messages.some((message) => message.startsWith("error too many idempotency keys"))).toBe(true);
    await journal.close();
  });
});

describe("a file prepared for the next segment", () => {
  const spareSizes = { segmentMinBytes: 1, segmentMaxBytes: 1 << 20, roundToBytes: 4096 };
  const spare = (): string => join(directory, "spare.new");
  const sizes = (): number[] =>
    readdirSync(directory)
      .filter((name) => name.endsWith(".seg"))
      .sort()
      .map((name) => statSync(join(directory, name)).size);

  test("becomes it, counts as what it takes, and holds nothing but what was appended", async () => {
    let prepared = 0;
    const prepare = async (path: string, bytes: number): Promise<void> => {
      await realFiles.prepare(path, bytes);
      setImmediate(() => prepared++);
    };
    const { journal } = await open({ spareSizes, files: { ...realFiles, prepare } });
    const appended: Uint8Array[] = [];
    for (let segment = 0; segment < 4; segment++) {
      const frame = group(segment * 5, 5);
      appended.push(frame.rows);
      expect(journal.append(frame)).toEqual({ ok: true });
      // The first follows nothing, so nothing is prepared for the second.
      await until("it is prepared", () => prepared === segment);
      journal.seal();
    }
    expect(sizes().map((size) => size === 4096)).toEqual([false, false, true, true]);
    expect(journal.bytes).toBe(sizes().reduce((sum, size) => sum + size, 0) + 4096);
    await journal.close();
    expect(existsSync(spare())).toBe(false);
    const again = (await open()).journal;
    const bodies = await contents(again);
    expect(bodies.map((body) => body.equals(appended.shift() as Uint8Array))).toEqual([true, true, true, true]);
    expect(messages.filter((message) => !message.startsWith("info"))).toEqual([]);
    expect(again.bytes).toBe(sizes().reduce((sum, size) => sum + size, 0));
    for (const batch of [...again.sealed]) await again.commit(batch);
    expect(again.bytes).toBe(0);
    await again.close();
  });

  test("that an earlier run left is removed, and takes nothing of a journal that has no room for it", async () => {
    writeFileSync(spare(), new Uint8Array(4096));
    const { journal } = await open({ spareSizes, maxBytes: 16_000 });
    expect(existsSync(spare())).toBe(false);
    for (let segment = 0; segment < 3; segment++) {
      expect(journal.append(group(segment, 1))).toEqual({ ok: true });
      journal.seal();
      await Bun.sleep(0);
    }
    expect(existsSync(spare())).toBe(false);
    await journal.close();
  });
});

describe("recovery", () => {
  const loud = (text: string): boolean => messages.some((each) => /^(warn|error) /.test(each) && each.includes(text));
  const expectAll = async (...wanted: Uint8Array[]): Promise<void> => {
    const { journal } = await open();
    expect(await contents(journal)).toEqual(wanted.map((rows) => Buffer.from(rows)));
    await journal.close();
  };

  test("cuts a torn end, keeps it for a look, and finds the same from then on", async () => {
    await leave([group(0, 5), group(5, 5)]);
    const path = pathOf(filesWith(".seg")[0]);
    const whole = readFileSync(path);
    writeFileSync(path, Buffer.concat([whole, whole.subarray(fileHeaderBytes, fileHeaderBytes + 60)]));
    await expectAll(rowsOf(0, 10));
    expect(loud("ends in the middle")).toBe(true);
    expect(readFileSync(path)).toEqual(whole);
    expect(readdirSync(pathOf("corrupt")).length).toBe(1);
    messages = [];
    await expectAll(rowsOf(0, 10));
    expect(messages.filter((each) => !each.startsWith("info"))).toEqual([]);
  });

  test("reads on behind damage, and says how many rows are missing", async () => {
    await leave([group(0, 5), group(5, 7), group(12, 3)]);
    const path = pathOf(filesWith(".seg")[0]);
    const bytes = readFileSync(path);
    const at = fileHeaderBytes + 2 * frameHeaderBytes + rowsOf(0, 5).length + 20;
    bytes[at] = (bytes[at] as number) ^ 4;
    writeFileSync(path, bytes);
    for (let start = 0; start < 2; start++) {
      const { journal, recovered } = await open();
      expect(recovered).toMatchObject({
        rows: 8,
        missingRows: 7,
        damagedBytes: frameHeaderBytes + rowsOf(5, 7).length,
      });
      const [batch] = journal.sealed as [Batch];
      expect(await bodyOf(batch)).toEqual(Buffer.concat([rowsOf(0, 5), rowsOf(12, 3)]));
      expect(await bodyOf(batch, { from: 4, to: 6 })).toEqual(Buffer.concat([rowsOf(4, 1), rowsOf(12, 1)]));
      expect(readdirSync(pathOf("corrupt")).length).toBe(1);
      await journal.close();
    }
    expect(loud("is damaged")).toBe(true);
  });

  test("sets garbage and foreign versions aside, removes empty files, and starts", async () => {
    await leave([group(0, 5)]);
    const version = readFileSync(pathOf(filesWith(".seg")[0]));
    version.writeUInt32LE(99, 8);
    version.writeUInt32LE(99, 520);
    writeFileSync(pathOf("0000000000000007.seg"), version);
    writeFileSync(pathOf("0000000000000008.seg"), "garbage");
    writeFileSync(pathOf("0000000000000009.seg"), "");
    writeFileSync(pathOf("keys-3.log"), "garbage");
    writeFileSync(pathOf("journal-id"), "garbage");
    writeFileSync(pathOf("unrelated.txt"), "not ours");
    mkdirSync(pathOf("0000000000000010.seg"));
    await expectAll(rowsOf(0, 5));
    expect(loud("was set aside")).toBe(true);
    expect(loud("is empty")).toBe(true);
    const aside = readdirSync(pathOf("corrupt")).sort();
    expect(aside).toEqual(["0000000000000007.seg", "0000000000000008.seg", "journal-id", "keys-3.log"]);
    expect(existsSync(pathOf("unrelated.txt"))).toBe(true);
    await leave([group(5, 1)]);
    // Above every number that was seen, also in names that hold nothing.
    expect(filesWith(".seg")).toEqual(["0000000000000001.seg", "0000000000000010.seg", "0000000000000011.seg"]);
  });

  test("hands a segment of another journal out under that journal's token, and a copy of a segment once", async () => {
    const other = mkdtempSync(join(tmpdir(), "sluice-journal-"));
    const foreign = await open({ directory: other });
    foreign.journal.append(group(50, 3));
    foreign.journal.seal();
    const token = foreign.journal.sealed[0]?.token ?? "";
    await foreign.journal.close();
    await leave([group(0, 5)]);
    copyFileSync(join(other, "0000000000000001.seg"), pathOf("from the other machine.seg"));
    copyFileSync(pathOf("0000000000000001.seg"), pathOf("0000000000000001 (copy).seg"));
    rmSync(other, { recursive: true });
    const { journal } = await open();
    expect(journal.sealed.length).toBe(2);
    expect(await bodyOf(journal.sealed.find((batch) => batch.token === token) as Batch)).toEqual(
      Buffer.from(rowsOf(50, 3)),
    );
    await journal.close();
  });

  test("survives the loss of either copy of a segment's header", async () => {
    await leave([group(0, 5)]);
    const path = pathOf(filesWith(".seg")[0]);
    const whole = readFileSync(path);
    for (const half of [0, 512]) {
      const bytes = Buffer.from(whole);
      bytes.fill(0xff, half, half + 512);
      writeFileSync(path, bytes);
      await expectAll(rowsOf(0, 5));
    }
  });

  test("takes no row for a frame, even one that a device made look like it", async () => {
    const inner = await open();
    inner.journal.append(group(0, 2));
    await inner.journal.close();
    const [name] = filesWith(".seg");
    const forged = readFileSync(pathOf(name)).subarray(fileHeaderBytes);
    rmSync(pathOf(name));
    const rows = Buffer.concat([rowsOf(0, 1), forged]);
    await leave([{ ...group(0, 1), rows }, group(9, 1)]);
    const path = pathOf(filesWith(".seg")[0]);
    const bytes = readFileSync(path);
    bytes[fileHeaderBytes + 5] = (bytes[fileHeaderBytes + 5] as number) ^ 1;
    writeFileSync(path, bytes);
    await expectAll(rowsOf(9, 1));
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)("on a disk that is really full (needs root, for a tmpfs of its own)", () => {
  const mebibyte = 1 << 20;
  let mounted = false;

  beforeEach(() => {
    mounted = false;
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "sluice-test", directory], { stdio: "ignore" });
      mounted = true;
    } catch (error) {
      console.warn(`no tmpfs here, so not tested: ${error}`);
    }
  });
  afterEach(() => {
    if (mounted) execFileSync("umount", [directory]);
  });

  test("refuses what does not fit, loses nothing, and goes on when there is room", async () => {
    if (!mounted) return;
    const { journal } = await open();
    const rows = rowsOf(0, 3000, 200);
    let accepted = 0;
    let refused = 0;
    for (let step = 0; step < 40; step++) {
      const meta = keyMeta(`k${step}`);
      const result = journal.append({ rows, rowCount: 3000, meta, epoch: step, atMs: nowMs });
      if (result.ok) accepted++;
      else {
        refused++;
        expect(result).toMatchObject({ reason: "journal_failed" });
        expect(result.message).toContain("ENOSPC");
      }
      if (step % 2 === 1) journal.seal();
    }
    expect(accepted).toBeGreaterThan(2);
    expect(refused).toBeGreaterThan(10);
    // The last bytes go to somebody else: now not even a key can be written.
    const filler = pathOf("filler");
    try {
      writeFileSync(filler, new Uint8Array(4 * mebibyte));
    } catch (error) {
      expect(String(error)).toContain("ENOSPC");
    }
    journal.seal();
    expect(journal.sealed.reduce((sum, batch) => sum + batch.rowCount, 0)).toBe(accepted * 3000);
    for (const batch of [...journal.sealed]) await journal.commit(batch);
    expect(journal.sealed).toEqual([]);
    expect(filesWith(".done").length).toBeGreaterThan(0);
    await journal.close();

    const second = await open();
    expect(second.journal.sealed).toEqual([]);
    expect(second.keys.length).toBe(accepted);
    rmSync(filler);
    second.journal.seal();
    expect(filesWith(".done")).toEqual([]);
    expect(second.journal.append({ rows, rowCount: 3000, meta: noMeta, epoch: 1, atMs: nowMs })).toEqual({ ok: true });
    await second.journal.close();
    const third = await open();
    expect(third.keys.length).toBe(accepted);
    expect(await contents(third.journal)).toEqual([Buffer.from(rows)]);
    await third.journal.close();
  });

  test("starts on a full disk, refuses, and goes on when there is room", async () => {
    if (!mounted) return;
    const filler = pathOf("filler");
    try {
      writeFileSync(filler, new Uint8Array(8 * mebibyte));
    } catch (error) {
      expect(String(error)).toContain("ENOSPC");
    }
    const { journal } = await open();
    expect(journal.append(group(0, 10))).toMatchObject({ ok: false, reason: "journal_failed" });
    expect(journal.bytes).toBe(0);
    rmSync(filler);
    expect(journal.append(group(0, 10))).toEqual({ ok: true });
    await journal.close();
    expect((await open()).recovered.rows).toBe(10);
  });
});
