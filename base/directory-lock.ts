import { Database } from "bun:sqlite";
import { join } from "node:path";

export type DirectoryLock = { readonly ok: true; release(): void } | { readonly ok: false; readonly reason: string };

/**
 * Keeps a second service off the same data directory. The lock is SQLite's own exclusive file lock, which the kernel drops
 * when the process ends, however it ends: no stale lock file can be left behind.
 */
export function lockDirectory(directory: string): DirectoryLock {
  let database: Database | undefined;
  try {
    database = new Database(join(directory, "service.lock"), { create: true });
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    const busy = error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY");
    return {
      ok: false,
      reason: busy ? "another Sluice is running on this directory" : `cannot be used: ${String(error)}`,
    };
  }
  const held = database;
  return { ok: true, release: () => held.close() };
}
