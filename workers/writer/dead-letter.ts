import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { StoredEvent } from "../../contract/event.ts";

/** One row that ClickHouse refused, with its reason: a line of `DATA_DIR/dead-letter/<day>.ndjson`. */
export interface DeadLetter {
  /** Deduplication token and row number: the same when a crash makes the writer meet the row again. */
  readonly id: string;
  readonly at: string;
  readonly code: number | null;
  readonly reason: string;
  readonly event: StoredEvent;
}

export interface DeadLetterFile {
  /** Letters on file, those that were replayed left out. */
  readonly count: number;
  /** Whether the row is a dead letter, or was one and has been replayed. */
  has(id: string): boolean;
  /** Durable when it returns true. False when the directory is full; the row then has to wait where it is. */
  tryAppend(letter: DeadLetter): boolean;
  close(): void;
}

/** Messages of MQTT that were no events have files of their own, which the HTTP thread writes. */
const dayPattern = /^\d{4}-\d{2}-\d{2}(?:-mqtt)?\.ndjson$/;
/** What was replayed: a line of JSON each, appended by `dead-letter-cli.ts`, never by the service. */
const replayedName = "replayed.log";
const pieceBytes = 1 << 20;

const filesIn = (directory: string): string[] =>
  existsSync(directory)
    ? readdirSync(directory)
        .filter((name) => dayPattern.test(name))
        .sort()
        .map((name) => join(directory, name))
    : [];

/** The letters that have not been replayed, oldest first, each once. A line that a crash tore is left out. */
export function* readDeadLetters(directory: string): Generator<DeadLetter> {
  const seen = new Set(
    readReplays(directory)
      .filter(({ state }) => state === "done")
      .map(({ id }) => id),
  );
  for (const file of filesIn(directory)) {
    for (const line of readLines(file)) {
      const letter = parseLetter(line);
      if (!letter || seen.has(letter.id)) continue;
      seen.add(letter.id);
      yield letter;
    }
  }
}

/** The newest letters, newest first, without reading more than the ends of the newest files. */
export function readNewestDeadLetters(directory: string, most: number): DeadLetter[] {
  const replayed = new Set(
    readReplays(directory)
      .filter(({ state }) => state === "done")
      .map(({ id }) => id),
  );
  const letters = new Map<string, DeadLetter>();
  for (const file of filesIn(directory).reverse()) {
    for (const line of endOf(file).split("\n").reverse()) {
      const letter = parseLetter(line);
      if (letter && !replayed.has(letter.id) && !letters.has(letter.id)) letters.set(letter.id, letter);
      if (letters.size >= most) return [...letters.values()];
    }
  }
  return [...letters.values()];
}

/** `begun`: the event may have been sent. `done`: it was accepted. */
export interface Replay {
  readonly id: string;
  readonly at: string;
  readonly state: "begun" | "done";
}

export function readReplays(directory: string): Replay[] {
  const path = join(directory, replayedName);
  const replays = new Map<string, Replay>();
  if (!existsSync(path)) return [];
  for (const line of readLines(path)) {
    const replay = parseObject(line);
    if (replay && typeof replay.id === "string") replays.set(replay.id, replay as unknown as Replay);
  }
  return [...replays.values()];
}

/** Durable when it returns. */
export function recordReplays(directory: string, replays: readonly Replay[]): void {
  const path = join(directory, replayedName);
  const fresh = !existsSync(path);
  const file = openSync(path, "a");
  try {
    // A crash may have left half a line: start on a new one.
    appendFileSync(file, `\n${replays.map((replay) => JSON.stringify(replay)).join("\n")}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  if (fresh) syncDirectory(directory);
}

function parseLetter(line: string): DeadLetter | undefined {
  const letter = parseObject(line);
  return letter && typeof letter.id === "string" && typeof letter.event === "object"
    ? (letter as unknown as DeadLetter)
    : undefined;
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (line === "") return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Line by line: the files together may be as large as DEAD_LETTER_MAX_BYTES. */
function* readLines(path: string): Generator<string> {
  const file = openSync(path, "r");
  try {
    const piece = Buffer.alloc(pieceBytes);
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const got = readSync(file, piece);
      if (got === 0) break;
      const bytes = Buffer.concat([rest, piece.subarray(0, got)]);
      let from = 0;
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
        yield bytes.toString("utf8", from, end);
        from = end + 1;
      }
      rest = bytes.subarray(from);
    }
    if (rest.length > 0) yield rest.toString("utf8");
  } finally {
    closeSync(file);
  }
}

function endOf(path: string): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, pieceBytes));
    const got = readSync(file, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString("utf8", 0, got);
  } finally {
    closeSync(file);
  }
}

const bytesIn = (directory: string): number => filesIn(directory).reduce((sum, file) => sum + statSync(file).size, 0);

export function openDeadLetterFile(directory: string, maxBytes: number, now: () => Date): DeadLetterFile {
  mkdirSync(directory, { recursive: true });
  const replayed = new Set(readReplays(directory).map(({ id }) => id));
  const known = new Set(replayed);
  let count = 0;
  for (const letter of readDeadLetters(directory)) {
    known.add(letter.id);
    count++;
  }
  // What an earlier run wrote counts from here on, so it has to be on the disk and not only in the page cache.
  for (const path of filesIn(directory)) syncFile(path);
  syncDirectory(directory);
  let bytes = bytesIn(directory);
  let descriptor: number | undefined;
  let openDay = "";

  const fileOf = (day: string): number => {
    if (descriptor !== undefined && day === openDay) return descriptor;
    close();
    const path = join(directory, `${day}.ndjson`);
    const fresh = !existsSync(path);
    descriptor = openSync(path, "a+");
    openDay = day;
    if (fresh) syncDirectory(directory);
    return descriptor;
  };

  function close(): void {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  }

  return {
    get count() {
      return count;
    },
    has: (id) => known.has(id),
    tryAppend(letter) {
      if (known.has(letter.id)) return true;
      // A line break first, too: what a crash or a full disk left of a line does not spoil this one.
      const line = Buffer.from(`\n${JSON.stringify(letter)}\n`);
      if (bytes + line.length > maxBytes) {
        // Somebody may have made room.
        bytes = bytesIn(directory);
        if (bytes + line.length > maxBytes) return false;
      }
      const file = fileOf(now().toISOString().slice(0, 10));
      const before = fstatSync(file).size;
      try {
        writeWhole(file, line);
        fsyncSync(file);
      } catch (error) {
        // After a failed sync nobody knows what is on the disk: the next attempt writes it anew, to a file opened anew.
        tryTruncate(file, before);
        close();
        throw error;
      }
      bytes += line.length;
      known.add(letter.id);
      count++;
      return true;
    },
    close,
  };
}

/** A disk that is nearly full takes a part of it; the rest then gets the error with its name. */
function writeWhole(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const written = writeSync(file, bytes, at);
    if (written === 0) throw new Error("write made no progress");
    at += written;
  }
}

function tryTruncate(file: number, bytes: number): void {
  try {
    ftruncateSync(file, bytes);
  } catch (error) {
    // Half a line stays, or a whole one, which is then there twice under one id: both are read as they should be.
    if (!(error instanceof Error)) throw error;
  }
}

function syncFile(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
