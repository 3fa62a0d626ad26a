import { statfsSync } from "node:fs";

/** Of the file system that holds the path: what an ordinary user may still write, and all of it. */
export function diskSpace(path: string): { readonly freeBytes: number; readonly totalBytes: number } {
  const { bavail, blocks, bsize } = statfsSync(path);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
