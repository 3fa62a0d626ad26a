import type { Log } from "../../base/log.ts";
import type { Files, OpenFile } from "./files.ts";
import { encodeFileHeader, encodeFrameHeader, type FileHeader, frameHeaderBytes } from "./frame.ts";
import { keyLifeMs } from "./idempotency-keys.ts";

/** A log ends after this long or at this size, so that whole files can go when their last key has expired. */
const rotateAfterMs = keyLifeMs / 6;
const rotateBytes = 8 << 20;
/** The most that all key logs together take; the share of a journal that is smaller than that. */
const totalMaxBytes = 256 << 20;
const journalShare = 4;

const noRows = new Uint8Array(0);

export const keyLogPattern = /^keys-(\d{1,15})\.log$/;

/** A log that is not written any more. */
export interface ClosedKeyLog {
  readonly path: string;
  readonly bytes: number;
  /** When its newest key was recorded, epoch milliseconds. */
  readonly newestMs: number;
}

interface OpenKeyLog {
  readonly path: string;
  readonly file: OpenFile;
  readonly seed: number;
  readonly header: Uint8Array;
  readonly createdAtMs: number;
  /** Up to here it is durable. */
  end: number;
  newestMs: number;
}

export interface KeyLogOptions {
  readonly files: Files;
  readonly directory: string;
  readonly journalMaxBytes: number;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly nextNumber: number;
  readonly closed: readonly ClosedKeyLog[];
  /** The rest of a new log's header. */
  readonly identify: () => Pick<FileHeader, "journalId" | "nonce">;
}

/**
 * Where idempotency keys live on when their segment is committed: files of frames that hold meta and no rows. Like a
 * segment, a file that an earlier run left is never written again.
 */
export class KeyLog {
  readonly #options: KeyLogOptions;
  readonly #maxBytes: number;
  readonly #closed: ClosedKeyLog[];
  #open: OpenKeyLog | null = null;
  #nextNumber: number;

  constructor(options: KeyLogOptions) {
    this.#options = options;
    this.#maxBytes = Math.min(totalMaxBytes, Math.floor(options.journalMaxBytes / journalShare));
    this.#closed = [...options.closed];
    this.#nextNumber = options.nextNumber;
  }

  get bytes(): number {
    return this.#closed.reduce((sum, log) => sum + log.bytes, this.#open?.end ?? 0);
  }

  /** The pieces are durable when it returns; when it throws, some may be there, which does no harm. */
  carry(pieces: Iterable<Uint8Array>, newestMs: number): void {
    const { files, directory } = this.#options;
    this.expire();
    this.#rotateIfDue();
    const log = this.#open ?? this.#create();
    const isNew = log.end === 0;
    let end = log.end;
    try {
      if (isNew) {
        log.file.write([log.header], 0);
        end = log.header.length;
      }
      const frameHeader = Buffer.alloc(frameHeaderBytes);
      for (const meta of pieces) {
        encodeFrameHeader(frameHeader, log.seed, { rows: noRows, meta, rowCount: 0, position: 0 });
        log.file.write([frameHeader, meta], end);
        end += frameHeaderBytes + meta.length;
      }
      log.file.sync();
      if (isNew) files.syncDirectory(directory);
    } catch (error) {
      this.#giveUp(log);
      throw error;
    }
    log.end = end;
    log.newestMs = Math.max(log.newestMs, newestMs);
    this.#open = log;
    this.#keepWithinBounds();
  }

  /** Deletes the logs whose keys are all older than their life. */
  expire(): void {
    const { nowMs } = this.#options;
    while (this.#closed.length > 0 && (this.#closed[0] as ClosedKeyLog).newestMs + keyLifeMs <= nowMs()) {
      if (!this.#removeOldest()) return;
    }
  }

  close(): void {
    this.#open?.file.close();
    this.#open = null;
  }

  #create(): OpenKeyLog {
    const { files, directory, identify, nowMs } = this.#options;
    const number = this.#nextNumber++;
    const createdAtMs = nowMs();
    const header = encodeFileHeader({ kind: "keys", number, createdAtMs, ownStates: false, ...identify() });
    const path = `${directory}/keys-${number}.log`;
    const file = files.open(path, "create");
    return { path, file, seed: header.seed, header: header.bytes, createdAtMs, end: 0, newestMs: 0 };
  }

  #rotateIfDue(): void {
    const log = this.#open;
    if (log === null) return;
    if (log.end < rotateBytes && this.#options.nowMs() - log.createdAtMs < rotateAfterMs) return;
    this.#shut(log);
  }

  #shut(log: OpenKeyLog): void {
    this.#open = null;
    this.#closed.push({ path: log.path, bytes: log.end, newestMs: log.newestMs });
    log.file.close();
  }

  /** After a failure nothing is appended behind what may be left of it: the next carry starts a file of its own. */
  #giveUp(log: OpenKeyLog): void {
    const { files } = this.#options;
    try {
      if (log.end === 0) {
        log.file.close();
        files.remove(log.path);
        return;
      }
      log.file.truncate(log.end);
    } catch (error) {
      this.#options.log("warn", "a failed key log could not be cut back", { file: log.path, error: String(error) });
    }
    if (log.end > 0) this.#shut(log);
  }

  #keepWithinBounds(): void {
    while (this.bytes > this.#maxBytes && this.#closed.length > 0) {
      const { path } = this.#closed[0] as ClosedKeyLog;
      this.#options.log("error", "too many idempotency keys: the oldest are forgotten before their hour is over", {
        file: path,
        max_bytes: this.#maxBytes,
      });
      if (!this.#removeOldest()) return;
    }
  }

  #removeOldest(): boolean {
    const oldest = this.#closed[0] as ClosedKeyLog;
    try {
      this.#options.files.remove(oldest.path);
    } catch (error) {
      this.#options.log("warn", "an old key log cannot be removed", { file: oldest.path, error: String(error) });
      return false;
    }
    this.#closed.shift();
    return true;
  }
}
