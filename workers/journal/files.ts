import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writevSync,
} from "node:fs";
import { open, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * The part of a file system that the journal stands on, and nothing else, so that the model test can put a simulated
 * one under it. Every call is synchronous and throws what the operating system answers.
 */
export interface Files {
  /** Creates the directory and its parents where missing; their entries are durable when it returns. */
  makeDirectory(path: string): void;
  list(directory: string): readonly DirectoryEntry[];
  /** `read` and `update` need the file to exist; `create` needs it not to. */
  open(path: string, mode: OpenMode): OpenFile;
  remove(path: string): void;
  /** `remove` off this thread: to free the blocks of a segment takes up to a millisecond a megabyte. */
  discard(path: string): Promise<void>;
  rename(from: string, to: string): void;
  /** Off this thread: a file of so many zeros, instead of any that has the name. They are durable when it resolves; its name is not. */
  prepare(path: string, bytes: number): Promise<void>;
  /** Makes creations, removals and renames in the directory durable. */
  syncDirectory(path: string): void;
}

export type OpenMode = "read" | "update" | "create";

export interface DirectoryEntry {
  readonly name: string;
  readonly isFile: boolean;
}

export interface OpenFile {
  /** Its length now. */
  readonly bytes: number;
  /** Fills `into` from the offset on; answers how many bytes there were. */
  read(into: Uint8Array, at: number): number;
  /** Writes all parts, one after the other, or throws; what it wrote before it threw is unknown. */
  write(parts: readonly Uint8Array[], at: number): void;
  /** Makes content and length durable (`fdatasync`). */
  sync(): void;
  truncate(bytes: number): void;
  close(): void;
}

const zerosPerWrite = 1 << 20;

const openFlags: Record<OpenMode, string> = { read: "r", update: "r+", create: "wx+" };

export const realFiles: Files = {
  makeDirectory(path) {
    const first = mkdirSync(path, { recursive: true });
    if (first === undefined) return;
    for (let made = path; ; made = dirname(made)) {
      realFiles.syncDirectory(dirname(made));
      if (made.length <= first.length) return;
    }
  },
  list: (directory) =>
    readdirSync(directory, { withFileTypes: true }).map((entry) => ({ name: entry.name, isFile: entry.isFile() })),
  open: (path, mode) => new RealFile(openSync(path, openFlags[mode], 0o600)),
  remove: (path) => unlinkSync(path),
  discard: (path) => unlink(path),
  rename: (from, to) => renameSync(from, to),
  async prepare(path, bytes) {
    try {
      const file = await open(path, "w", 0o600);
      try {
        const zeros = new Uint8Array(Math.min(bytes, zerosPerWrite));
        for (let at = 0; at < bytes; )
          at += (await file.write(zeros, 0, Math.min(zeros.length, bytes - at), at)).bytesWritten;
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await unlink(path).catch(() => undefined);
      throw error;
    }
  },
  syncDirectory(path) {
    const descriptor = openSync(path, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  },
};

class RealFile implements OpenFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  get bytes(): number {
    return fstatSync(this.#descriptor).size;
  }

  read(into: Uint8Array, at: number): number {
    let done = 0;
    while (done < into.length) {
      const got = readSync(this.#descriptor, into, done, into.length - done, at + done);
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  write(parts: readonly Uint8Array[], at: number): void {
    let left = parts;
    let offset = at;
    for (;;) {
      const wanted = left.reduce((sum, part) => sum + part.length, 0);
      if (wanted === 0) return;
      const written = writevSync(this.#descriptor, left, offset);
      if (written === wanted) return;
      // A disk that is nearly full takes a part of it; the rest then gets the error with its name.
      if (written === 0) throw new Error("write made no progress");
      left = dropBytes(left, written);
      offset += written;
    }
  }

  sync(): void {
    fdatasyncSync(this.#descriptor);
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#descriptor, bytes);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function dropBytes(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (left >= part.length) left -= part.length;
    else {
      rest.push(part.subarray(left));
      left = 0;
    }
  }
  return rest;
}
