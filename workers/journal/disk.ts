import { randomBytes } from "node:crypto";
import { textOf } from "../../base/error-text.ts";
import type { Log } from "../../base/log.ts";
import type { Files, OpenFile } from "./files.ts";
import { encodeFileHeader, encodeFrameHeader, fileHeaderBytes, frameHeaderBytes } from "./frame.ts";
import { keyLifeMs } from "./idempotency-keys.ts";
import type { AppendResult, Batch, FrameGroup, Journal, KeyRecord, OpenBatch } from "./journal.ts";
import { KeyLog } from "./key-log.ts";
import { recordEnd } from "./notes.ts";
import { journalIdName, type RecoveredFiles, type RecoveryReport, recoverFiles } from "./recover.ts";
import { doneSuffix, Segment, segmentStem } from "./segment.ts";
import { SpareFile, type SpareSizes } from "./spare-file.ts";

/**
 * Removals that may wait for the directory to be made durable. A segment that a power cut brings back is inserted again
 * under its old token, so this has to stay far below the number of tokens that ClickHouse remembers.
 */
const unsyncedRemovalsMax = 8;

export interface DiskJournalOptions {
  readonly files: Files;
  readonly directory: string;
  /** Segments and key logs together never take more. */
  readonly maxBytes: number;
  /**
   * A batch that follows one of at least so many rows is begun as one whose rollups are ours to make (`Batch.ownStates`): below,
   * two more inserts cost more than the views do. That the batch before decides leaves nothing open once a batch has begun.
   */
  readonly ownStatesRows: number;
  readonly nowMs: () => number;
  readonly log: Log;
  /** When a file is prepared for the next segment; by default as it suits a real disk. */
  readonly spareSizes?: SpareSizes;
  /** 16 hexadecimal digits, never the same again. */
  readonly randomId?: () => string;
}

export interface OpenedDiskJournal {
  readonly journal: DiskJournal;
  readonly recovered: RecoveryReport;
  /** Idempotency keys younger than an hour, whether their rows are still here or in ClickHouse. */
  readonly keys: KeyRecord[];
}

/** Opens the journal in the directory, which it must have for itself; recovers what an earlier run left as sealed batches. */
export async function openDiskJournal(options: DiskJournalOptions): Promise<OpenedDiskJournal> {
  const found = await recoverFiles(options);
  const { report, keys } = found;
  if (report.segments > 0) {
    const { segments, rows, bytes } = report;
    options.log("info", "the journal holds batches of an earlier run", { segments, rows, bytes });
  }
  return { journal: new DiskJournal(options, found), recovered: report, keys };
}

/** The segment that is appended to. */
interface OpenSegment {
  readonly segment: Segment;
  readonly file: OpenFile;
  readonly headerBytes: Uint8Array;
  /** Up to here it is durable; 0 until its first frame is. */
  end: number;
  /** How long the file is: longer than `end` where it was prepared. */
  fileBytes: number;
  /** Bytes of a refused group may lie behind `end`: nothing goes on before they are surely gone. */
  inDoubt: boolean;
  /** A note of its end may be on the disk, or come to be: it must not grow any more. */
  ended: boolean;
}

/** What is prepared takes no more than this part of the room that is left. */
const spareShare = 4;

const nothingOpen: OpenBatch = { rowCount: 0, bytes: 0, sinceMs: 0, epoch: 0 };
const accepted: AppendResult = { ok: true };

export class DiskJournal implements Journal {
  readonly #options: DiskJournalOptions;
  readonly #randomId: () => string;
  readonly #keyLog: KeyLog;
  readonly #spare: SpareFile;
  readonly #sealed: Segment[];
  /** Committed, but the disk was too full to carry their keys over. */
  readonly #done: Segment[];
  readonly #frameHeader = Buffer.alloc(frameHeaderBytes);
  #journalId: string | null;
  #nextNumber: number;
  #open: OpenSegment | null = null;
  #segmentBytes = 0;
  /** Notes of removed segments: they go after the removal is durable, since the segment could come back without them. */
  #orphanNotes: string[] = [];
  #unsyncedRemovals = 0;
  #lastBatchRows = 0;
  #lastSegmentBytes = 0;

  constructor(options: DiskJournalOptions, found: RecoveredFiles) {
    this.#options = options;
    this.#randomId = options.randomId ?? (() => randomBytes(8).toString("hex"));
    this.#journalId = found.journalId;
    this.#nextNumber = found.nextSegmentNumber;
    this.#sealed = found.segments;
    this.#lastBatchRows = found.segments.at(-1)?.rowCount ?? 0;
    this.#done = found.done;
    for (const segment of [...found.segments, ...found.done]) this.#segmentBytes += segment.fileBytes;
    this.#spare = new SpareFile(options);
    this.#keyLog = new KeyLog({
      files: options.files,
      directory: options.directory,
      journalMaxBytes: options.maxBytes,
      nowMs: options.nowMs,
      log: options.log,
      nextNumber: found.nextKeyLogNumber,
      closed: found.keyLogs,
      identify: () => ({ journalId: this.#requireJournalId(), nonce: this.#randomId() }),
    });
  }

  get open(): OpenBatch {
    return this.#open?.segment ?? nothingOpen;
  }

  get sealed(): readonly Batch[] {
    return this.#sealed;
  }

  get bytes(): number {
    return this.#segmentBytes + this.#spare.bytes + this.#keyLog.bytes;
  }

  /** Bytes of a group that was refused may lie in the open segment, and would be read back from a copy of it. */
  get inDoubt(): boolean {
    return this.#open?.inDoubt ?? false;
  }

  append(group: FrameGroup): AppendResult {
    const { rows, meta, rowCount } = group;
    if (rowCount === 0) throw new RangeError("a group holds rows");
    try {
      this.#settle();
      const end = (this.#open?.end ?? fileHeaderBytes) + frameHeaderBytes + meta.length + rows.length;
      const growth = Math.max(0, end - (this.#open?.fileBytes ?? 0));
      if (this.bytes + growth > this.#options.maxBytes) {
        return { ok: false, reason: "journal_full", message: `the journal holds ${this.bytes} bytes, its maximum` };
      }
      this.#write(group);
      return accepted;
    } catch (error) {
      return { ok: false, reason: "journal_failed", message: textOf(error) };
    }
  }

  /** Put off while a failing disk leaves a refused group in doubt: the batch stays open, and the next call tries again. */
  seal(): void {
    if (!this.#trySettle()) return;
    if (this.#open !== null) this.#shut(this.#open);
    this.#removeDone();
  }

  /**
   * Fails when the disk does not let it be forgotten; the batch is then still there, and the call can be made again.
   * Appends go on meanwhile.
   */
  async commit(batch: Batch): Promise<void> {
    const { files, log, directory } = this.#options;
    const segment = this.#sealed.find((each) => each.token === batch.token);
    if (segment === undefined) throw new Error(`batch ${batch.token} is not in the journal`);
    if (this.#unsyncedRemovals >= unsyncedRemovalsMax) this.#syncDirectory();
    this.#removeDone();
    try {
      this.#carryKeys(segment);
    } catch (error) {
      // A full disk must not keep a stored batch: another name says that its rows are in ClickHouse, and takes no room.
      log("warn", "the keys of a stored batch stay in its segment", { error: textOf(error) });
      if (segment.suffix !== doneSuffix) {
        files.rename(segment.path, `${directory}/${segment.stem}${doneSuffix}`);
        segment.suffix = doneSuffix;
      }
      files.syncDirectory(directory);
      this.#sealed.splice(this.#sealed.indexOf(segment), 1);
      this.#done.push(segment);
      return;
    }
    await files.discard(segment.path);
    this.#sealed.splice(this.#sealed.indexOf(segment), 1);
    this.#countRemoved(segment);
  }

  close(): void {
    this.#open?.file.close();
    this.#open = null;
    this.#spare.close();
    this.#keyLog.close();
  }

  #write(group: FrameGroup): void {
    const { rows, meta, rowCount } = group;
    this.#open ??= this.#create(group.atMs);
    const open = this.#open;
    const { segment } = open;
    const isNew = open.end === 0;
    const header = this.#frameHeader;
    encodeFrameHeader(header, segment.header.seed, { rows, meta, rowCount, position: segment.rowCount });
    const end = (isNew ? fileHeaderBytes : open.end) + frameHeaderBytes + meta.length + rows.length;
    // Before anything can fail: what lies behind `open.end` does not count until all of it is known to be durable.
    open.inDoubt = true;
    try {
      open.file.write(isNew ? [open.headerBytes, header, meta, rows] : [header, meta, rows], open.end);
      open.file.sync();
      if (isNew) this.#syncDirectory();
    } catch (error) {
      this.#trySettle();
      throw error;
    }
    open.inDoubt = false;
    open.end = end;
    this.#setFileBytes(open, Math.max(open.fileBytes, end));
    segment.extents = [{ start: fileHeaderBytes, end }];
    segment.rowCount += rowCount;
    segment.bytes += rows.length;
    segment.metaBytes += meta.length;
    segment.epoch = Math.max(segment.epoch, group.epoch);
    if (meta.length > 0) segment.newestKeyMs = Math.max(segment.newestKeyMs, group.atMs);
  }

  #create(createdAtMs: number): OpenSegment {
    const { files, directory } = this.#options;
    const journalId = this.#requireJournalId();
    const number = this.#nextNumber++;
    const nonce = this.#randomId();
    const ownStates = this.#lastBatchRows >= this.#options.ownStatesRows;
    const identity = { kind: "segment", journalId, number, nonce, createdAtMs, ownStates } as const;
    const { bytes: headerBytes, seed } = encodeFileHeader(identity);
    const segment = new Segment(files, directory, segmentStem(number), { ...identity, seed });
    const fileBytes = this.#spare.take(segment.path);
    const file = files.open(segment.path, fileBytes > 0 ? "update" : "create");
    const open = { segment, file, headerBytes, end: 0, fileBytes: 0, inDoubt: false, ended: false };
    this.#setFileBytes(open, fileBytes);
    this.#spare.prepare(this.#lastSegmentBytes, (this.#options.maxBytes - this.bytes) / spareShare);
    return open;
  }

  #setFileBytes(open: OpenSegment, bytes: number): void {
    this.#segmentBytes += bytes - open.fileBytes;
    open.fileBytes = open.segment.fileBytes = bytes;
  }

  /** Written before the first file that carries it, not at the start: a full disk must not keep the service from starting. */
  #requireJournalId(): string {
    if (this.#journalId !== null) return this.#journalId;
    const { files, directory } = this.#options;
    const id = this.#randomId();
    const path = `${directory}/${journalIdName}`;
    const draft = `${path}.new`;
    if (files.list(directory).some((entry) => entry.name === `${journalIdName}.new`)) files.remove(draft);
    const file = files.open(draft, "create");
    try {
      file.write([Buffer.from(`${id}\n`)], 0);
      file.sync();
    } finally {
      file.close();
    }
    files.rename(draft, path);
    files.syncDirectory(directory);
    this.#journalId = id;
    return id;
  }

  #trySettle(): boolean {
    try {
      this.#settle();
      return true;
    } catch (error) {
      this.#options.log("debug", "a refused group cannot be removed yet", { error: textOf(error) });
      return false;
    }
  }

  /**
   * Makes sure that a refused group can never be read back. It is cut off; where the file does not take that, a note says
   * where the file ends, and it is not written again. Throws when the disk takes neither.
   */
  #settle(): void {
    const open = this.#open;
    if (!open?.inDoubt) return;
    const { files, directory } = this.#options;
    const { segment } = open;
    try {
      open.file.truncate(open.end);
      open.file.sync();
    } catch {
      if (open.end === 0) {
        files.remove(segment.path);
        files.syncDirectory(directory);
        this.#setFileBytes(open, 0);
      } else {
        segment.hasNotes = true;
        open.ended = true;
        recordEnd(files, segment.notes, open.end);
      }
      this.#shut(open);
      return;
    }
    open.inDoubt = false;
    this.#setFileBytes(open, open.end);
    if (open.end > 0 && !open.ended) return;
    this.#shut(open);
    // Empty by now; should it stay, the next start removes it.
    if (open.end === 0) this.#tryRemoveFile(segment.path);
  }

  #shut(open: OpenSegment): void {
    this.#open = null;
    if (open.segment.rowCount > 0) {
      this.#sealed.push(open.segment);
      this.#lastBatchRows = open.segment.rowCount;
      this.#lastSegmentBytes = open.end;
    }
    open.file.close();
  }

  #carryKeys(segment: Segment): void {
    if (segment.metaBytes === 0 || segment.newestKeyMs + keyLifeMs <= this.#options.nowMs()) return;
    this.#keyLog.carry(segment.metaPieces(), segment.newestKeyMs);
  }

  #countRemoved(segment: Segment): void {
    this.#segmentBytes -= segment.fileBytes;
    this.#unsyncedRemovals++;
    // The segment could come back without them, as long as its own removal is not durable.
    if (segment.hasNotes) this.#orphanNotes.push(segment.notes.path);
  }

  /** Tries again to carry the keys of segments that a full disk left. */
  #removeDone(): void {
    try {
      for (let segment = this.#done[0]; segment !== undefined; segment = this.#done[0]) {
        this.#carryKeys(segment);
        this.#options.files.remove(segment.path);
        this.#done.shift();
        this.#countRemoved(segment);
      }
    } catch (error) {
      this.#options.log("debug", "a stored segment cannot be removed yet", { error: textOf(error) });
    }
  }

  #syncDirectory(): void {
    this.#options.files.syncDirectory(this.#options.directory);
    this.#unsyncedRemovals = 0;
    for (const path of this.#orphanNotes.splice(0)) this.#tryRemoveFile(path);
  }

  #tryRemoveFile(path: string): void {
    try {
      this.#options.files.remove(path);
    } catch (error) {
      this.#options.log("warn", "a file that is not needed any more stays", { file: path, error: textOf(error) });
    }
  }
}
