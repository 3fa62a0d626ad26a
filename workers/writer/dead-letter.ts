import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { StoredEvent } from "../../server/contract/event.ts";

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
  readonly count: number;
  /** False when the directory is full; the row then has to wait where it is. */
  tryAppend(letter: DeadLetter): boolean;
  /** Makes what was appended durable. */
  sync(): void;
  close(): void;
}

const suffix = ".ndjson";

const filesIn = (directory: string): string[] =>
  existsSync(directory)
    ? readdirSync(directory)
        .filter((name) => name.endsWith(suffix))
        .sort()
        .map((name) => join(directory, name))
    : [];

/** Every dead letter, oldest first, each once. A line that a crash tore is left out. */
export function readDeadLetters(directory: string): DeadLetter[] {
  const letters = new Map<string, DeadLetter>();
  for (const file of filesIn(directory)) {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      const letter = parseLine(line);
      if (letter) letters.set(letter.id, letter);
    }
  }
  return [...letters.values()];
}

function parseLine(line: string): DeadLetter | undefined {
  if (line === "") return undefined;
  try {
    const letter: unknown = JSON.parse(line);
    const known = typeof letter === "object" && letter !== null && "id" in letter && "event" in letter;
    return known ? (letter as DeadLetter) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function openDeadLetterFile(directory: string, maxBytes: number, now: () => Date): DeadLetterFile {
  mkdirSync(directory, { recursive: true });
  const known = new Set(readDeadLetters(directory).map((letter) => letter.id));
  let bytes = filesIn(directory).reduce((sum, file) => sum + statSync(file).size, 0);
  let descriptor: number | undefined;
  let openDay = "";

  const fileOf = (day: string): number => {
    if (descriptor !== undefined && day === openDay) return descriptor;
    if (descriptor !== undefined) closeSync(descriptor);
    const path = join(directory, `${day}${suffix}`);
    const fresh = !existsSync(path);
    descriptor = openSync(path, "a+");
    openDay = day;
    if (fresh) syncDirectory(directory);
    // A crash may have left half a line: start on a new one.
    else writeSync(descriptor, "\n");
    return descriptor;
  };

  return {
    get count() {
      return known.size;
    },
    tryAppend(letter) {
      if (known.has(letter.id)) return true;
      const line = Buffer.from(`${JSON.stringify(letter)}\n`);
      if (bytes + line.length > maxBytes) return false;
      writeSync(fileOf(now().toISOString().slice(0, 10)), line);
      bytes += line.length;
      known.add(letter.id);
      return true;
    },
    sync() {
      if (descriptor !== undefined) fsyncSync(descriptor);
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
