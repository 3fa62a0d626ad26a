import type { LogFields, LogLevel } from "../../base/log.ts";
import type { Inserter } from "./inserter.ts";

/** On a small disk less is kept free: this share of it. */
const reserveShareMax = 0.05;
const lookAgainMs = 500;

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/**
 * Why the engine should not be given rows now; null when it may. It needs room for the rows, and for merges as much again;
 * on a full disk it fails in the middle of both. What the journal holds counts as free, because storing it gives that back,
 * and takes a fifth of it: so a journal that has filled the disk drains. While others have filled it, what little there is
 * left is the journal's, and events go on being accepted to the last of it.
 */
export function diskShortage(space: DiskSpace, journalBytes: number, reserveBytes: number): string | null {
  const needed = Math.min(reserveBytes, space.totalBytes * reserveShareMax);
  if (space.freeBytes + journalBytes >= needed) return null;
  const mebibytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return `the disk of DATA_DIR has ${mebibytes(space.freeBytes)} free, and inserts need ${mebibytes(needed)} (DISK_RESERVE)`;
}

export interface DiskGateDeps {
  readonly shortage: () => string | null;
  /** Resolves after that many milliseconds, or at once when the writer is told to stop. */
  readonly pause: (ms: number) => Promise<void>;
  readonly log: (level: LogLevel, message: string, fields?: LogFields) => void;
  readonly onStatus: () => void;
}

/** An inserter that waits while the disk is nearly full. */
export function gateByDisk(inserter: Inserter, deps: DiskGateDeps): Inserter {
  let waitingFor: string | null = null;

  function look(): string | null {
    const before = waitingFor;
    waitingFor = deps.shortage();
    if ((before === null) !== (waitingFor === null)) {
      if (waitingFor === null) deps.log("info", "there is room on the disk again; inserting goes on");
      else deps.log("error", "inserting waits", { reason: waitingFor });
      deps.onStatus();
    }
    return waitingFor;
  }

  return {
    async store(batch, stopping) {
      while (look() !== null) {
        if (stopping()) return undefined;
        await deps.pause(lookAgainMs);
      }
      return inserter.store(batch, stopping);
    },
    probe: () => inserter.probe(),
    get state() {
      return inserter.state;
    },
    get retries() {
      return inserter.retries;
    },
    get lastError() {
      return inserter.lastError;
    },
    get deadLetterFailure() {
      return inserter.deadLetterFailure;
    },
    get diskShortage() {
      return waitingFor;
    },
  };
}
