import { existsSync } from "node:fs";
import { join } from "node:path";
import { realFiles } from "../workers/journal/files.ts";
import { decodeFileHeader, fileHeaderBytes } from "../workers/journal/frame.ts";
import { scanFrames } from "../workers/journal/frame-scan.ts";
import { Window } from "../workers/journal/window.ts";

const bufferBytes = 1 << 20;
const journalFile = /\.(seg|done)$|^keys-\d+\.log$/;

export interface CheckedFile {
  readonly name: string;
  readonly bytes: number;
  readonly rows: number;
  /** Bytes behind the last whole frame: what a crash tore, or what a running service is about to write. */
  readonly tailBytes: number;
  /** Bytes between whole frames that are none. */
  readonly damagedBytes: number;
  readonly missingRows: number;
  /** Why it cannot be read at all; null when it can. */
  readonly fault: string | null;
}

/** Checks every frame of every file of a journal. Only reads, so the service may be running. */
export function checkJournal(dataDirectory: string): CheckedFile[] {
  const directory = join(dataDirectory, "journal");
  if (!existsSync(directory)) return [];
  const buffer = new Uint8Array(bufferBytes);
  const names = realFiles
    .list(directory)
    .filter((entry) => entry.isFile && journalFile.test(entry.name))
    .map((entry) => entry.name)
    .sort();
  return names.map((name) => checkFile(`${directory}/${name}`, name, buffer));
}

function checkFile(path: string, name: string, buffer: Uint8Array): CheckedFile {
  const nothing = { name, bytes: 0, rows: 0, tailBytes: 0, damagedBytes: 0, missingRows: 0 };
  let file: ReturnType<typeof realFiles.open>;
  try {
    file = realFiles.open(path, "read");
  } catch (error) {
    // Stored and deleted since the directory was listed.
    return { ...nothing, fault: error instanceof Error && !existsSync(path) ? null : String(error) };
  }
  try {
    const window = new Window(file, buffer);
    const bytes = window.fileBytes;
    const header = decodeFileHeader(window.bytes(0, fileHeaderBytes));
    if (!header.ok) return { ...nothing, bytes, fault: header.reason };
    const scan = scanFrames(window, header.header.seed, [{ start: fileHeaderBytes, end: bytes }], () => undefined);
    return {
      name,
      bytes,
      rows: scan.rows,
      tailBytes: scan.tail.end - scan.tail.start,
      damagedBytes: scan.damaged.reduce((sum, extent) => sum + extent.end - extent.start, 0),
      missingRows: scan.missingRows,
      fault: window.unreadable ? "the disk does not give all of it back" : null,
    };
  } finally {
    file.close();
  }
}
