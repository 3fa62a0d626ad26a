/**
 * The spool on disk. A batch is a file of lines, each a CRC-32 in hexadecimal, a space and an event in JSON; `counts.json` has
 * the counts. A line that is torn or damaged is left out, and the lines around it stay.
 */
import * as fs from "node:fs";
import { join, resolve } from "node:path";
import { type Counts, numberOf, type Store, type StoredBatch } from "./spool.ts";

const formatVersion = 1;
const countsName = "counts.json";
const lockName = "lock";
const checksumCharacters = 8;
const newline = 10;
/** Directories that this process has open: a lock file cannot tell two devices of one process apart. */
const open = new Set<string>();

/** For one device at a time. Throws when the directory cannot be made or another running process has it. */
export function openDirectory(path: string): Store {
  const directory = resolve(path);
  fs.mkdirSync(directory, { recursive: true });
  lock(directory);
  const at = (name: string): string => join(directory, name);
  /** The newest batch; only it is added to. */
  let writing: { readonly name: string; readonly descriptor: number } | null = null;
  const openBatch = (name: string): number => {
    if (writing?.name === name) return writing.descriptor;
    if (writing !== null) fs.closeSync(writing.descriptor);
    writing = null;
    writing = { name, descriptor: fs.openSync(at(name), "a", 0o600) };
    return writing.descriptor;
  };
  return {
    recover: () => recover(directory),
    append(name, event) {
      const line = encodeLine(event);
      const descriptor = openBatch(name);
      for (let written = 0; written < line.length; ) written += fs.writeSync(descriptor, line, written);
      return line.length;
    },
    read: (name) => readBatch(at(name)).events,
    async flush(name) {
      const file = await fs.promises.open(at(name), "r+");
      await file.datasync().finally(() => file.close());
      // Windows flushes names by itself, and has no such call.
      if (process.platform === "win32") return;
      const names = await fs.promises.open(directory, "r");
      await names.sync().finally(() => names.close());
    },
    remove: (name) => fs.rmSync(at(name), { force: true }),
    writeCounts(counts) {
      fs.writeFileSync(at(`${countsName}.new`), JSON.stringify({ version: formatVersion, ...counts }), { mode: 0o600 });
      fs.renameSync(at(`${countsName}.new`), at(countsName));
    },
    close() {
      if (writing !== null) fs.closeSync(writing.descriptor);
      open.delete(directory);
      fs.rmSync(at(lockName), { force: true });
    },
  };
}

function recover(directory: string): { batches: StoredBatch[]; counts: Counts | null } {
  const counts = readCounts(join(directory, countsName));
  const batches: StoredBatch[] = [];
  for (const name of fs.readdirSync(directory).filter(numberOf).sort()) {
    const path = join(directory, name);
    const { events, damaged, bytes } = readBatch(path);
    // Counted before a crash that came before its removal; or its first line was torn.
    if (name === counts?.settled || (events.length === 0 && damaged === 0)) fs.rmSync(path);
    else batches.push({ name, events: events.length, bytes, damaged });
  }
  return { batches, counts };
}

function readCounts(path: string): Counts | null {
  let counts: Counts & { version: number };
  try {
    counts = JSON.parse(readIfThere(path) ?? "null");
  } catch {
    // Torn by a power cut: counting begins anew, and no event depends on it.
    return null;
  }
  if (counts === null || counts.version === formatVersion) return counts;
  throw new Error(`${path} has format ${counts.version}; this version of @sluice/device reads ${formatVersion}`);
}

function readBatch(path: string): { events: string[]; damaged: number; bytes: number } {
  const file = fs.readFileSync(path);
  const events: string[] = [];
  let damaged = 0;
  for (let start = 0, end = 0; start < file.length; start = end + 1) {
    end = file.indexOf(newline, start);
    // The tail that a crash tore off was never taken: `send` had not returned.
    if (end === -1) break;
    const body = file.subarray(start + checksumCharacters + 1, end);
    if (file.toString("latin1", start, start + checksumCharacters) === checksumOf(body)) events.push(body.toString());
    else damaged++;
  }
  return { events, damaged, bytes: file.length };
}

function encodeLine(event: string): Buffer {
  return Buffer.from(`${checksumOf(Buffer.from(event))} ${event}\n`);
}

const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function checksumOf(bytes: Uint8Array): string {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 255] as number);
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(checksumCharacters, "0");
}

/** The lock of a process that was killed is taken over. */
function lock(directory: string): void {
  const path = join(directory, lockName);
  const holder = readIfThere(path);
  const pid = Number.parseInt(holder ?? "", 10);
  const taken = open.has(directory) || (pid !== process.pid && holder !== null && identityOf(pid) === holder);
  if (taken) throw new Error(`${directory} is the spool of another device that is running (process ${pid})`);
  if (holder !== null) fs.rmSync(path, { force: true });
  // Of two that start in the same moment, one fails here.
  fs.writeFileSync(path, identityOf(process.pid) ?? "", { flag: "wx", mode: 0o600 });
  open.add(directory);
}

/** Tells a running process from an earlier one with the same number; null when there is none. */
function identityOf(pid: number): string | null {
  if (Number.isNaN(pid)) return null;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (isError(error, "ESRCH")) return null;
  }
  // Field 22 is the start time. The second, a program's name in brackets, may contain anything.
  const stat = readIfThere(`/proc/${pid}/stat`) ?? "";
  return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}`;
}

function readIfThere(path: string): string | null {
  try {
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    if (isError(error, "ENOENT")) return null;
    throw error;
  }
}

function isError(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
