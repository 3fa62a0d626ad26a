import { existsSync, readdirSync } from "node:fs";

/** Events that a run without REDIS_URL acknowledged would lie there for ever, unseen: it has to bring them home first. */
export function refuseDiskJournal(directory: string): void {
  if (!existsSync(directory)) return;
  const segments = readdirSync(directory).filter((name) => name.endsWith(".seg"));
  if (segments.length === 0) return;
  throw new Error(
    `REDIS_URL is set, but ${directory} holds ${segments.length} batches that are not stored yet: start once without REDIS_URL`,
  );
}
