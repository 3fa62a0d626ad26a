import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskSpace } from "../../base/disk-space.ts";

/** A file system of its own, of a given size; in memory. Needs root, as in a container. */
export interface SmallDisk {
  readonly path: string;
  freeBytes(): number;
  /** Other files take all but so many bytes. */
  fill(leaveBytes: number): void;
  /** The other files go. */
  empty(): void;
  remove(): void;
}

/** Null where file systems cannot be mounted. */
export function mountSmallDisk(bytes: number): SmallDisk | null {
  const path = mkdtempSync(join(tmpdir(), "sluice-disk-"));
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path]);
  if (mounted.exitCode !== 0) {
    rmSync(path, { recursive: true });
    return null;
  }
  const filler = join(path, "other-files");
  const freeBytes = (): number => diskSpace(path).freeBytes;
  const piece = new Uint8Array(1 << 20);
  return {
    path,
    freeBytes,
    fill(leaveBytes) {
      for (let free = freeBytes(); free > leaveBytes; free = freeBytes()) {
        const size = Math.min(piece.length, free - leaveBytes);
        writeFileSync(filler, piece.subarray(0, size), { flag: "a" });
      }
    },
    empty: () => truncateSync(filler, 0),
    remove() {
      Bun.spawnSync(["umount", "-l", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
