/** The part of a Bun socket that is written to. */
export interface WritableSocket {
  /** Bytes that the kernel took; negative: the connection is closed. */
  write(data: string | Uint8Array): number;
}

/**
 * What the kernel had no room for yet. `write` is told by a promise when the reader has caught up; whoever writes waits for it, so
 * no more than one write of the response waits here.
 */
export class Outbox {
  readonly #socket: WritableSocket;
  #waiting: Uint8Array[] = [];
  #drained: PromiseWithResolvers<void> | null = null;
  #closed = false;

  constructor(socket: WritableSocket) {
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Undefined: everything is with the kernel. */
  write(data: string | Uint8Array): Promise<void> | undefined {
    if (this.#closed) return undefined;
    if (this.#waiting.length > 0) {
      this.#waiting.push(typeof data === "string" ? Buffer.from(data) : data);
      return this.#untilDrained();
    }
    const written = this.#socket.write(data);
    const length = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    if (written >= length) return undefined;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    this.#waiting.push(bytes.subarray(Math.max(0, written)));
    return this.#untilDrained();
  }

  /** The kernel has room again. True: bytes went. */
  drain(): boolean {
    let moved = false;
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0] as Uint8Array;
      const written = this.#socket.write(first);
      moved ||= written > 0;
      if (written < first.length) {
        this.#waiting[0] = first.subarray(Math.max(0, written));
        return moved;
      }
      this.#waiting.shift();
    }
    this.#settle();
    return moved;
  }

  /** Nobody will read the rest. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#settle();
  }

  #untilDrained(): Promise<void> {
    this.#drained ??= Promise.withResolvers();
    return this.#drained.promise;
  }

  #settle(): void {
    const drained = this.#drained;
    this.#drained = null;
    drained?.resolve();
  }
}
