import { textOf } from "../../base/error-text.ts";
import type { Log } from "../../base/log.ts";
import { BatchProgress } from "./batch-progress.ts";
import type { DirectoryEntry, Files, OpenFile } from "./files.ts";
import { decodeFileHeader, type FileHeaderResult, fileHeaderBytes, idPattern } from "./frame.ts";
import { type Extent, type ScanResult, scanFrames } from "./frame-scan.ts";
import { KeyMemory } from "./idempotency-keys.ts";
import type { KeyRecord } from "./journal.ts";
import { type ClosedKeyLog, keyLogPattern } from "./key-log.ts";
import { type Notes, noNotes, notesSuffix, readNotes, recordEnd, recordGap } from "./notes.ts";
import { doneSuffix, Segment, segmentSuffix } from "./segment.ts";
import { spareName } from "./spare-file.ts";
import { Window } from "./window.ts";

export const journalIdName = "journal-id";
const corruptName = "corrupt";
const bufferBytes = 1 << 20;
/** Damaged parts are copied for a look as long as there are fewer files than that in `corrupt/`. */
const corruptFilesMax = 256;
const ownSegmentPattern = /^\d{16}\.seg$/;
/** Numbers in file names up to here count; a stray name must not use up what a double counts exactly. */
const numberPattern = /^(\d{1,15}|0\d{15})(?=\D|$)/;

/** What a start found; for the log and for tests. */
export interface RecoveryReport {
  segments: number;
  rows: number;
  bytes: number;
  /** Bytes behind the last whole frame of a segment, cut off. */
  tornBytes: number;
  /** Bytes between whole frames that are none; copied to `corrupt/`. */
  damagedBytes: number;
  /** Rows known to be missing there. */
  missingRows: number;
  /** Whole files moved to `corrupt/`. */
  setAside: number;
}

export interface RecoveredFiles {
  readonly journalId: string | null;
  /** Oldest first. */
  readonly segments: Segment[];
  /** Committed ones that wait for their keys to be carried over. */
  readonly done: Segment[];
  readonly keys: KeyRecord[];
  readonly keyLogs: ClosedKeyLog[];
  readonly nextSegmentNumber: number;
  readonly nextKeyLogNumber: number;
  readonly report: RecoveryReport;
}

export interface RecoveryDeps {
  readonly files: Files;
  readonly directory: string;
  readonly nowMs: () => number;
  readonly log: Log;
}

/**
 * Reads what an earlier run left and makes it stable: what is handed out from here on is on the disk, whatever the page
 * cache held before, and is found the same by every later start. Only a directory that cannot be made or listed throws.
 */
export async function recoverFiles(deps: RecoveryDeps): Promise<RecoveredFiles> {
  const { files, directory } = deps;
  try {
    files.makeDirectory(directory);
  } catch (error) {
    // Also thrown where it exists and its parent is not ours; if it cannot be listed either, that is the end of it.
    deps.log("warn", "the journal directory cannot be created", { directory, error: textOf(error) });
  }
  const entries = files.list(directory);
  const names = entries
    .filter((entry) => entry.isFile)
    .map((entry) => entry.name)
    .sort();
  const recovery = new Recovery(deps, new Set(names));
  const journalId = recovery.readJournalId();
  const found: Segment[] = [];
  const done: Segment[] = [];
  const keyLogs: ClosedKeyLog[] = [];
  for (const name of names) {
    if (name.endsWith(segmentSuffix)) found.push(...recovery.readSegment(name, segmentSuffix));
    else if (name.endsWith(doneSuffix)) done.push(...recovery.readSegment(name, doneSuffix));
    else if (keyLogPattern.test(name)) keyLogs.push(...recovery.readKeyLog(name));
    else if (name === spareName) recovery.removeSpare();
    else continue;
    // Gigabytes take seconds; the thread has messages to answer meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const segments = recovery.withoutDuplicates(found);
  // Only damage can leave keys without rows: nothing to hand out, but the keys still count.
  done.push(...segments.filter((segment) => segment.rowCount === 0));
  recovery.finish();
  const { report } = recovery;
  report.segments = segments.length;
  for (const segment of segments) {
    report.rows += segment.rowCount;
    report.bytes += segment.bytes;
  }
  return {
    journalId,
    segments: segments.filter((segment) => segment.rowCount > 0),
    done,
    keys: recovery.keys.records,
    keyLogs: keyLogs.sort((a, b) => a.newestMs - b.newestMs),
    nextSegmentNumber: 1 + highestNumber(entries, numberPattern),
    nextKeyLogNumber: 1 + highestNumber(entries, keyLogPattern),
    report,
  };
}

const highestNumber = (entries: readonly DirectoryEntry[], pattern: RegExp): number =>
  entries.reduce((highest, { name }) => Math.max(highest, Number(pattern.exec(name)?.[1] ?? 0)), 0);

class Recovery {
  readonly #deps: RecoveryDeps;
  readonly #names: ReadonlySet<string>;
  readonly #newestSegment: string | undefined;
  readonly #buffer = new Uint8Array(bufferBytes);
  readonly keys: KeyMemory;
  readonly report: RecoveryReport = {
    segments: 0,
    rows: 0,
    bytes: 0,
    tornBytes: 0,
    damagedBytes: 0,
    missingRows: 0,
    setAside: 0,
  };

  constructor(deps: RecoveryDeps, names: ReadonlySet<string>) {
    this.#deps = deps;
    this.#names = names;
    this.#newestSegment = [...names].findLast((name) => ownSegmentPattern.test(name));
    this.keys = new KeyMemory(deps.nowMs());
  }

  readJournalId(): string | null {
    if (!this.#names.has(journalIdName)) return null;
    const file = this.#open(journalIdName);
    if (file === null) return null;
    const bytes = Buffer.alloc(64);
    let text = "";
    try {
      text = bytes.toString("latin1", 0, file.read(bytes, 0)).trim();
    } catch (error) {
      this.#deps.log("error", "the journal's id cannot be read; it gets a new one", { error: textOf(error) });
    }
    file.close();
    if (idPattern.test(text)) return text;
    this.#setAside(journalIdName, "it is no journal id");
    return null;
  }

  /** None or one. */
  readSegment(name: string, suffix: string): Segment[] {
    return this.#withFile(name, (file) => {
      const window = new Window(file, this.#buffer);
      const header = this.#readHeader(name, window);
      if (header === null) return [];
      if (header.kind !== "segment") {
        this.#setAside(name, "it is no segment");
        return [];
      }
      const stem = name.slice(0, -suffix.length);
      const notesName = `${stem}${notesSuffix}`;
      const notes = this.#readNotes(notesName, header.seed);
      const segment = new Segment(this.#deps.files, this.#deps.directory, stem, header, notes.progress);
      const end = Math.min(window.fileBytes, notes.end ?? window.fileBytes);
      let newestKeyMs = 0;
      const scan = scanFrames(window, header.seed, partsWithout(notes.gaps, end), (meta) => {
        newestKeyMs = Math.max(newestKeyMs, this.keys.add(meta));
      });
      if (scan.extents.length === 0) {
        this.#dropEmpty(name, window, scan, notes);
        return [];
      }
      this.#copyDamage(name, window, scan);
      // What the disk does not give back now, it may give back next time: the batch has to stay without it.
      if (window.unreadable) this.#recordUnreadable(segment, scan);
      segment.suffix = suffix;
      segment.hasNotes = this.#names.has(notesName) || window.unreadable;
      segment.extents = scan.extents;
      segment.rowCount = scan.rows;
      segment.bytes = scan.rowBytes;
      segment.metaBytes = scan.metaBytes;
      segment.newestKeyMs = newestKeyMs;
      segment.fileBytes = this.#stabilise(name, file, window, scan);
      return [segment];
    });
  }

  /** Nothing is in it yet that counts: its first frame is flushed under a segment's name. */
  removeSpare(): void {
    try {
      this.#deps.files.remove(this.#path(spareName));
    } catch (error) {
      this.#deps.log("warn", "a prepared file of an earlier run cannot be removed", { error: textOf(error) });
    }
  }

  /** None or one. */
  readKeyLog(name: string): ClosedKeyLog[] {
    return this.#withFile(name, (file) => {
      const window = new Window(file, this.#buffer);
      const header = this.#readHeader(name, window);
      if (header === null) return [];
      let newestMs = 0;
      const scan = scanFrames(window, header.seed, partsWithout([], window.fileBytes), (meta) => {
        newestMs = Math.max(newestMs, this.keys.add(meta));
      });
      this.#copyDamage(name, window, scan);
      return [{ path: this.#path(name), bytes: window.fileBytes, newestMs }];
    });
  }

  /** A copy of a file that an operator made must not be inserted beside it: the fuller one stays. */
  withoutDuplicates(segments: Segment[]): Segment[] {
    const byToken = new Map<string, Segment>();
    for (const segment of segments) {
      const known = byToken.get(segment.token);
      const [better, worse] = known && known.rowCount >= segment.rowCount ? [known, segment] : [segment, known];
      byToken.set(segment.token, better);
      if (worse) this.#setAside(worse.stem + segmentSuffix, `it is a copy of ${better.stem}${segmentSuffix}`);
    }
    return [...byToken.values()].sort(
      (a, b) => a.header.number - b.header.number || a.header.createdAtMs - b.header.createdAtMs,
    );
  }

  /** Makes the directory as durable as its files; notes without a segment go only after the segment surely has. */
  finish(): void {
    const { files, directory, log } = this.#deps;
    try {
      files.syncDirectory(directory);
      for (const name of this.#names) {
        if (!name.endsWith(notesSuffix)) continue;
        const stem = name.slice(0, -notesSuffix.length);
        if (!this.#names.has(stem + segmentSuffix) && !this.#names.has(stem + doneSuffix)) {
          files.remove(this.#path(name));
        }
      }
    } catch (error) {
      log("error", "the journal directory cannot be made durable", { directory, error: textOf(error) });
    }
  }

  #path(name: string): string {
    return `${this.#deps.directory}/${name}`;
  }

  #open(name: string): OpenFile | null {
    const { files, log } = this.#deps;
    let failure: unknown;
    for (const mode of ["update", "read"] as const) {
      try {
        return files.open(this.#path(name), mode);
      } catch (error) {
        failure = error;
      }
    }
    log("error", "a journal file cannot be opened; it is left alone", { file: name, error: textOf(failure) });
    return null;
  }

  #withFile<T>(name: string, read: (file: OpenFile) => T[]): T[] {
    const file = this.#open(name);
    if (file === null) return [];
    try {
      return read(file);
    } catch (error) {
      this.#deps.log("error", "a journal file cannot be read; it is left alone", {
        file: name,
        error: textOf(error),
      });
      return [];
    } finally {
      file.close();
    }
  }

  #readHeader(name: string, window: Window): (FileHeaderResult & { ok: true })["header"] | null {
    const result = decodeFileHeader(window.bytes(0, fileHeaderBytes));
    if (result.ok) return result.header;
    if (window.unreadable) {
      this.#deps.log("error", "the disk does not give a journal file back; it is left alone", { file: name });
    } else if (isZero(window, { start: 0, end: window.fileBytes })) {
      this.#remove(name);
    } else {
      this.#setAside(name, result.reason);
    }
    return null;
  }

  #readNotes(name: string, seed: number): Notes {
    if (!this.#names.has(name)) return { ...noNotes, progress: new BatchProgress() };
    return readNotes(this.#deps.files, this.#path(name), seed);
  }

  /** A segment without one whole frame: nothing in it was acknowledged, unless it is damaged. */
  #dropEmpty(name: string, window: Window, scan: ScanResult, notes: Notes): void {
    if (window.unreadable) return;
    if (notes.end !== null || isZero(window, scan.tail)) this.#remove(name);
    else this.#setAside(name, "it holds no whole frame");
  }

  /** Keeps what is no frame for whoever wants to look at it, once; under the same name at every start. */
  #copyDamage(name: string, window: Window, scan: ScanResult): void {
    const { log } = this.#deps;
    for (const extent of scan.damaged) {
      this.report.damagedBytes += extent.end - extent.start;
      log("error", "a journal file is damaged: events may be lost; the rest of it is used", {
        file: name,
        from_byte: extent.start,
        to_byte: extent.end,
        missing_rows: scan.missingRows,
      });
      this.#copyToCorrupt(name, window, extent);
    }
    this.report.missingRows += scan.missingRows;
    const { tail } = scan;
    if (tail.end > tail.start && !isZero(window, tail)) {
      log("warn", "a journal file ends in the middle of a frame; that end is set aside", {
        file: name,
        from_byte: tail.start,
        to_byte: tail.end,
      });
      this.#copyToCorrupt(name, window, tail);
    }
  }

  #recordUnreadable(segment: Segment, scan: ScanResult): void {
    const { files } = this.#deps;
    for (const gap of scan.damaged) recordGap(files, segment.notes, gap);
    if (scan.tail.end > scan.tail.start) recordEnd(files, segment.notes, scan.tail.start);
  }

  /**
   * Makes the file durable as it is, since it may have been in the page cache only; throws if it cannot, and then the
   * file waits for the next start. The tail is cut off where the disk allows it; what is no frame now is none later.
   *
   * The last frame of the newest segment is written anew. If the run before died just after a failed sync, then the
   * system takes the frame for written while the disk does not have it, and a sync alone would do nothing. Nothing was
   * appended behind such a frame, so it can only be that one.
   */
  #stabilise(name: string, file: OpenFile, window: Window, scan: ScanResult): number {
    const { end } = scan.extents.at(-1) as Extent;
    let { fileBytes } = window;
    if (end < fileBytes && !window.unreadable) {
      try {
        file.truncate(end);
        this.report.tornBytes += fileBytes - end;
        fileBytes = end;
      } catch (error) {
        this.#deps.log("warn", "the end of a journal file cannot be cut off", { file: name, error: textOf(error) });
      }
    }
    if (name === this.#newestSegment) {
      let at = scan.lastFrameAt === fileHeaderBytes ? 0 : scan.lastFrameAt;
      while (at < end) {
        const piece = window.piece(at, end);
        if (piece.length === 0) break;
        file.write([piece], at);
        at += piece.length;
      }
    }
    file.sync();
    return fileBytes;
  }

  #remove(name: string): void {
    const { files, log } = this.#deps;
    log("warn", "a journal file is empty and was removed", { file: name });
    try {
      files.remove(this.#path(name));
    } catch (error) {
      log("warn", "an empty journal file cannot be removed", { file: name, error: textOf(error) });
    }
  }

  #setAside(name: string, reason: string): void {
    const { files, directory, log } = this.#deps;
    const corrupt = `${directory}/${corruptName}`;
    try {
      files.makeDirectory(corrupt);
      const taken = new Set(files.list(corrupt).map((entry) => entry.name));
      let to = name;
      for (let copy = 1; taken.has(to); copy++) to = `${name}.${copy}`;
      files.rename(this.#path(name), `${corrupt}/${to}`);
      this.report.setAside++;
      log("error", "a journal file cannot be used and was set aside", { file: name, reason, to: `${corrupt}/${to}` });
    } catch (error) {
      log("error", "a journal file cannot be used, nor set aside; it is left alone", {
        file: name,
        reason,
        error: textOf(error),
      });
    }
  }

  #copyToCorrupt(name: string, window: Window, extent: Extent): void {
    const { files, directory, log } = this.#deps;
    const corrupt = `${directory}/${corruptName}`;
    const to = `${name}.${extent.start}-${extent.end}`;
    try {
      files.makeDirectory(corrupt);
      const kept = files.list(corrupt);
      if (kept.some((entry) => entry.name === to)) return;
      if (kept.length >= corruptFilesMax) throw new Error(`there are ${kept.length} files in ${corrupt}`);
      const copy = files.open(`${corrupt}/${to}`, "create");
      try {
        for (let at = extent.start; at < extent.end; ) {
          const piece = window.piece(at, extent.end);
          if (piece.length === 0) break;
          copy.write([piece], at - extent.start);
          at += piece.length;
        }
        copy.sync();
      } finally {
        copy.close();
      }
    } catch (error) {
      log("warn", "the damaged part of a journal file cannot be copied", { file: name, error: textOf(error) });
    }
  }
}

/** The file's frames, as far as they count: up to `end`, and without the gaps. */
function partsWithout(gaps: readonly Extent[], end: number): Extent[] {
  const parts: Extent[] = [];
  let start = fileHeaderBytes;
  for (const gap of [...gaps].sort((a, b) => a.start - b.start)) {
    if (gap.start > start) parts.push({ start, end: Math.min(gap.start, end) });
    start = Math.max(start, gap.end);
  }
  parts.push({ start, end });
  return parts.filter((part) => part.end > part.start);
}

function isZero(window: Window, extent: Extent): boolean {
  for (let at = extent.start; at < extent.end; ) {
    const piece = window.piece(at, extent.end);
    if (piece.length === 0) return true;
    if (Buffer.compare(piece, new Uint8Array(piece.length)) !== 0) return false;
    at += piece.length;
  }
  return true;
}
