import * as fs from "node:fs";
import { join } from "node:path";
import { bad, type Finding, note, ok, reasonOf } from "./finding.ts";

const flushes = 20;
const flushBytes = 4096;
/** Every acknowledgement waits for one flush. */
const slowFlushMs = 10;
/** No disk writes through in less: what answers faster keeps it in a cache that a power cut may empty. */
const incredibleFlushMs = 0.005;
const scarceBytes = 2 ** 30;
/** Of the engine's tables, for a start. */
const tablesBytes = 2 * 2 ** 30;

/** Of `statfs`; source: linux/magic.h. */
const memoryFileSystems = new Set([0x01021994, 0x858458f6]);
const networkFileSystems = new Set([0x6969, 0xff534d42, 0xfe534d42]);

/** The directory of the data: whether it can be written, how fast the disk flushes, how much room there is. */
export function examineDisk(directory: string, journalMaxBytes: number): Finding[] {
  const probe = join(directory, `.doctor-${process.pid}`);
  const existed = fs.existsSync(directory);
  try {
    fs.mkdirSync(directory, { recursive: true });
    const millis = measureFlushes(probe);
    const { bavail, bsize, type } = fs.statfsSync(directory);
    return [placeOf(directory, type), flushing(millis), room(bavail * bsize, journalMaxBytes)];
  } catch (error) {
    return [
      bad("data directory", `${directory}: ${reasonOf(error)}`, "set DATA_DIR to a directory that this user may write"),
    ];
  } finally {
    if (fs.existsSync(probe)) fs.rmSync(probe);
    if (!existed && fs.existsSync(directory)) fs.rmdirSync(directory);
  }
}

function measureFlushes(path: string): number[] {
  const descriptor = fs.openSync(path, "w", 0o600);
  try {
    return Array.from({ length: flushes }, () => {
      const startMs = performance.now();
      fs.writeSync(descriptor, new Uint8Array(flushBytes));
      fs.fdatasyncSync(descriptor);
      return performance.now() - startMs;
    });
  } finally {
    fs.closeSync(descriptor);
  }
}

function placeOf(directory: string, fileSystem: number): Finding {
  const what = "data directory";
  if (memoryFileSystems.has(fileSystem)) {
    return bad(
      what,
      `${directory} is in memory`,
      "set DATA_DIR to a directory on a disk: here a restart loses everything",
    );
  }
  if (networkFileSystems.has(fileSystem)) {
    return note(what, `${directory} is on a network file system`, "a local disk acknowledges faster, and locks surely");
  }
  return ok(what, directory);
}

function flushing(millis: readonly number[]): Finding {
  const sorted = [...millis].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const longest = sorted.at(-1) ?? 0;
  const detail = `a flush of 4 KiB takes ${median.toFixed(2)} ms, at most ${longest.toFixed(1)} ms of ${millis.length}`;
  if (median < incredibleFlushMs) {
    return note(
      "disk speed",
      detail,
      "no disk is that fast: look whether its cache, or the hypervisor's, survives a power cut",
    );
  }
  if (median > slowFlushMs) {
    return note(
      "disk speed",
      detail,
      "every acknowledgement waits for one flush: an SSD takes less than a millisecond",
    );
  }
  return ok("disk speed", detail);
}

function room(freeBytes: number, journalMaxBytes: number): Finding {
  const detail = `${gibibytes(freeBytes)} free`;
  if (freeBytes < scarceBytes) return bad("disk space", detail, "make room, or set DATA_DIR to a larger disk");
  if (freeBytes < journalMaxBytes + tablesBytes) {
    const wanted = gibibytes(journalMaxBytes + tablesBytes);
    return note("disk space", detail, `an outage may fill the journal: have ${wanted}, or lower JOURNAL_MAX_BYTES`);
  }
  return ok("disk space", detail);
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
