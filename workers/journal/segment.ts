import type { Readable } from "node:stream";
import { BatchProgress, type ProgressRecord } from "./batch-progress.ts";
import type { Files } from "./files.ts";
import { fileHeaderBytes, frameHeaderBytes, type ReadFileHeader } from "./frame.ts";
import { copyBytes, type Extent, walkFrames } from "./frame-scan.ts";
import type { Batch, RowPlace, RowRange } from "./journal.ts";
import { type NotesPlace, notesSuffix, recordProgress } from "./notes.ts";
import { createBody, walkBufferBytes } from "./segment-body.ts";
import { Window } from "./window.ts";

export const segmentSuffix = ".seg";
/** A segment whose batch is in ClickHouse and that stays for its keys only; see `DiskJournal.commit`. */
export const doneSuffix = ".done";

/** Keys go to the key log in pieces of about this size. */
const metaPieceBytes = 1 << 20;

export const segmentStem = (number: number): string => String(number).padStart(16, "0");

/** A segment file and what is known about it; the batch that it becomes. */
export class Segment implements Batch {
  readonly #files: Files;
  readonly #directory: string;
  /** The name without its suffix. */
  readonly stem: string;
  readonly header: ReadFileHeader;
  readonly token: string;
  readonly sinceMs: number;
  readonly progress: BatchProgress;
  /** Runs of whole frames: one, unless the file was damaged. */
  extents: readonly Extent[] = [];
  rowCount = 0;
  bytes = 0;
  metaBytes = 0;
  /** When the newest of its keys was recorded, epoch milliseconds; 0 without keys. */
  newestKeyMs = 0;
  epoch = 0;
  /** Bytes that it takes on the disk. */
  fileBytes = 0;
  suffix: string = segmentSuffix;
  /** There is, or may be, a file of notes beside it. */
  hasNotes = false;

  constructor(files: Files, directory: string, stem: string, header: ReadFileHeader, progress = new BatchProgress()) {
    this.#files = files;
    this.#directory = directory;
    this.stem = stem;
    this.header = header;
    // The nonce, not the number, makes it unique: numbers start again when every segment was committed and deleted.
    this.token = `${header.journalId}-${header.number}-${header.nonce}`;
    this.sinceMs = header.createdAtMs;
    this.progress = progress;
  }

  get path(): string {
    return `${this.#directory}/${this.stem}${this.suffix}`;
  }

  get notes(): NotesPlace {
    const directory = this.#directory;
    return { directory, path: `${directory}/${this.stem}${notesSuffix}`, seed: this.header.seed };
  }

  /** Where its last frame ends. */
  get end(): number {
    return this.extents.at(-1)?.end ?? fileHeaderBytes;
  }

  get place(): RowPlace {
    const { path, extents, rowCount } = this;
    return { path, seed: this.header.seed, extents, rowCount };
  }

  get ownStates(): boolean {
    return this.header.ownStates;
  }

  body(range?: RowRange): Readable {
    return createBody({ files: this.#files, ...this.place }, range);
  }

  /**
   * Throws when the disk fails. The record may then be there or not: call again until it succeeds, and until then insert
   * neither the range nor its halves.
   */
  record(record: ProgressRecord): void {
    this.hasNotes = true;
    recordProgress(this.#files, this.notes, record);
    this.progress.add(record);
  }

  /** The meta of its frames, gathered into larger pieces. */
  *metaPieces(): Generator<Uint8Array> {
    if (this.metaBytes === 0) return;
    const file = this.#files.open(this.path, "read");
    try {
      const window = new Window(file, new Uint8Array(walkBufferBytes));
      let pieces: Uint8Array[] = [];
      let bytes = 0;
      for (const { at, frame } of walkFrames(window, this.header.seed, this.extents)) {
        if (frame.metaBytes === 0) continue;
        const start = at + frameHeaderBytes;
        pieces.push(copyBytes(window, { start, end: start + frame.metaBytes }));
        bytes += frame.metaBytes;
        if (bytes < metaPieceBytes) continue;
        yield Buffer.concat(pieces);
        pieces = [];
        bytes = 0;
      }
      if (bytes > 0) yield Buffer.concat(pieces);
    } finally {
      file.close();
    }
  }
}
