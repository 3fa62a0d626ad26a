import { mkdirSync } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DeadLetter } from "../../../workers/writer/dead-letter.ts";

export interface MessageLetters {
  /** Resolves true once the letter is on the disk, false when there is no room for it or it cannot be written. */
  append(letter: DeadLetter): Promise<boolean>;
  readonly count: number;
  close(): Promise<void>;
}

/**
 * Dead letters of messages that are no events: files beside those of the writer thread, which reads and counts them at its next
 * start. Letters that come while others are written become one write and one flush.
 */
export function openMessageLetters(
  deps: { readonly now: () => number; readonly onError: (error: unknown) => void },
  options: { readonly directory: string; readonly maxBytes: number },
): MessageLetters {
  const { directory, maxBytes } = options;
  let waiting: { readonly line: string; readonly settle: (written: boolean) => void }[] = [];
  let writing: Promise<void> | null = null;
  let count = 0;
  mkdirSync(directory, { recursive: true });

  async function write(lines: readonly string[]): Promise<boolean> {
    const bytes = Buffer.from(`\n${lines.join("\n")}\n`);
    if ((await bytesIn(directory)) + bytes.length > maxBytes) return false;
    const day = new Date(deps.now()).toISOString().slice(0, 10);
    let file: FileHandle | undefined;
    try {
      file = await open(join(directory, `${day}-mqtt.ndjson`), "a");
      await file.writeFile(bytes);
      await file.datasync();
      await syncDirectory(directory);
      return true;
    } catch (error) {
      deps.onError(error);
      return false;
    } finally {
      await file?.close();
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const written = await write(batch.map(({ line }) => line));
      if (written) count += batch.length;
      for (const { settle } of batch) settle(written);
    }
    writing = null;
  }

  return {
    append(letter) {
      return new Promise((settle) => {
        waiting.push({ line: JSON.stringify(letter), settle });
        writing ??= drain();
      });
    },
    get count() {
      return count;
    },
    close: async () => {
      await writing;
    },
  };
}

async function bytesIn(directory: string): Promise<number> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".ndjson"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
