import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { CryptoHasher } from "bun";

const pieceBytes = 1 << 20;
const piece = new Uint8Array(pieceBytes);

/** Reads up to `bytes` of a file, a piece at a time; gives how many there were. */
function readPieces(path: string, bytes: number, take: (piece: Uint8Array) => void): number {
  const descriptor = openSync(path, "r");
  try {
    let at = 0;
    while (at < bytes) {
      const length = readSync(descriptor, piece, 0, Math.min(pieceBytes, bytes - at), at);
      if (length === 0) break;
      take(piece.subarray(0, length));
      at += length;
    }
    return at;
  } finally {
    closeSync(descriptor);
  }
}

export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

export function digestOf(path: string, bytes = Number.POSITIVE_INFINITY): Digest {
  const hasher = new CryptoHasher("sha256");
  const read = readPieces(path, bytes, (each) => hasher.update(each));
  return { bytes: read, sha256: hasher.digest("hex") };
}

/** Copies the first `bytes` of a file; it is durable when this returns, its name once the directory is synced. */
export function copyFile(from: string, to: string, bytes = Number.POSITIVE_INFINITY): Digest {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const hasher = new CryptoHasher("sha256");
  const descriptor = openSync(to, "wx", 0o600);
  try {
    const copied = readPieces(from, bytes, (each) => {
      hasher.update(each);
      for (let at = 0; at < each.length; ) at += writeSync(descriptor, each, at);
    });
    fsyncSync(descriptor);
    return { bytes: copied, sha256: hasher.digest("hex") };
  } finally {
    closeSync(descriptor);
  }
}

/** A second name for the file; false where the file system has none to give. */
export function tryLink(from: string, to: string): boolean {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (
      error instanceof Error &&
      "code" in error &&
      ["EXDEV", "EPERM", "EMLINK", "ENOTSUP"].includes(String(error.code))
    )
      return false;
    throw error;
  }
}

export function syncPath(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the names of everything below a directory durable, and with `files` the contents too. */
export function syncTree(directory: string, files: boolean): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) syncTree(join(directory, entry.name), files);
    else if (files && entry.isFile()) syncPath(join(directory, entry.name));
  }
  syncPath(directory);
}
