import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";

export interface AliveMark {
  /** When an earlier run was last known to run, epoch milliseconds; null: there was none. */
  readonly lastMs: number | null;
  /** Says that this run lives. Not flushed to disk: after a power cut it is older, and silence is judged more mildly. */
  mark(nowMs: number): void;
}

const everyMs = 500;

export function openAliveMark(file: string): AliveMark {
  let markedMs = Number.NEGATIVE_INFINITY;
  let writing = false;
  return {
    lastMs: readMark(file),
    mark(nowMs) {
      if (writing || Math.abs(nowMs - markedMs) < everyMs) return;
      markedMs = nowMs;
      writing = true;
      void writeFile(file, String(nowMs))
        // A full disk: the next start takes the last mark that could be written.
        .catch(() => undefined)
        .finally(() => {
          writing = false;
        });
    },
  };
}

function readMark(file: string): number | null {
  try {
    const ms = Number(readFileSync(file, "utf8"));
    return Number.isFinite(ms) && ms > 0 ? ms : null;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}
