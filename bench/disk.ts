import { lstatSync, readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";

/** Bytes of all files below; one that goes away meanwhile counts as nothing. */
export function directoryBytes(path: string): number {
  let bytes = 0;
  for (const entry of readdirSync(path, { recursive: true, encoding: "utf8" })) {
    const found = lstatSync(join(path, entry), { throwIfNoEntry: false });
    if (found?.isFile()) bytes += found.size;
  }
  return bytes;
}

const memoryFileSystem = 0x01021994;

/** Flushing to a file system in memory costs nothing, so figures from one say nothing about durability. */
export function isInMemory(path: string): boolean {
  return statfsSync(path).type === memoryFileSystem;
}
