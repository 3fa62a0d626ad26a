import { statSync } from "node:fs";

const pollMs = 1_000;

export interface WatchedFiles {
  stop(): void;
}

/**
 * Calls `onChange` when any of the files has changed and has then stayed as it is for one poll, so that a file being written
 * is not read half. Polls: a rename, a link moved by an orchestrator and a network file system all look alike to it.
 */
export function watchFiles(files: readonly string[], onChange: () => void): WatchedFiles {
  let known = signature(files);
  let seen = known;
  const timer = setInterval(() => {
    const now = signature(files);
    const settled = now === seen;
    seen = now;
    if (!settled || now === known) return;
    known = now;
    onChange();
  }, pollMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Differs when a file was replaced or rewritten; a file that is away has one, too. */
function signature(files: readonly string[]): string {
  return files
    .map((file) => {
      const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
      return stat ? `${stat.ino}.${stat.mtimeNs}.${stat.size}` : "none";
    })
    .join(" ");
}
