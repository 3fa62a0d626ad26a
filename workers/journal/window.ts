import type { OpenFile } from "./files.ts";

/** Small enough that few good bytes are lost beside one that the disk does not give back. */
const retryBytes = 4096;

/** Reads a file front to back through one buffer; small steps back into it cost nothing. */
export class Window {
  readonly #file: OpenFile;
  readonly #buffer: Uint8Array;
  readonly fileBytes: number;
  #start = 0;
  #length = 0;
  /** Some of the file could not be read; it was taken for zeros. */
  unreadable = false;

  constructor(file: OpenFile, buffer: Uint8Array) {
    this.#file = file;
    this.#buffer = buffer;
    this.fileBytes = file.bytes;
  }

  /** Exactly these bytes, or fewer at the end of the file; at most the buffer's size. Valid until the next call. */
  bytes(at: number, length: number): Uint8Array {
    if (at < this.#start || at + length > this.#start + this.#length) this.#load(at);
    const from = at - this.#start;
    return this.#buffer.subarray(from, Math.min(from + length, this.#length));
  }

  /** What the buffer holds from `at` on, and not beyond `end`: at least one byte if the file has it. */
  piece(at: number, end: number): Uint8Array {
    if (at < this.#start || at >= this.#start + this.#length) this.#load(at);
    const from = at - this.#start;
    return this.#buffer.subarray(from, Math.min(this.#length, from + end - at));
  }

  #load(at: number): void {
    this.#start = at;
    const wanted = Math.max(0, Math.min(this.#buffer.length, this.fileBytes - at));
    try {
      this.#length = this.#file.read(this.#buffer.subarray(0, wanted), at);
    } catch {
      this.#length = this.#loadInSteps(at, wanted);
    }
  }

  #loadInSteps(at: number, wanted: number): number {
    for (let done = 0; done < wanted; done += retryBytes) {
      const step = this.#buffer.subarray(done, Math.min(done + retryBytes, wanted));
      try {
        if (this.#file.read(step, at + done) < step.length) return done;
      } catch {
        step.fill(0);
        this.unreadable = true;
      }
    }
    return wanted;
  }
}
