const empty = new Uint8Array(0);

/** Bytes that wait for a reader before the connection is told to read no more. */
const highWaterBytes = 256 * 1024;

export interface IncomingBodyDeps {
  /** The first time that somebody wants the body: the client may be waiting to be told. */
  readonly onWanted: () => void;
  /** Whether more should be read from the connection. */
  readonly onFlow: (flowing: boolean) => void;
}

/**
 * A request's body on its way in. It is gathered whole for `bytes`, handed on as it comes by `stream`, and until one of them is
 * called no more than `highWaterBytes` of it are taken from the connection.
 */
export class IncomingBody {
  readonly #deps: IncomingBodyDeps;
  #chunks: Uint8Array[] = [];
  #waitingBytes = 0;
  #state: "open" | "ended" | "failed" = "open";
  #mode: "unread" | "whole" | "stream" = "unread";
  #whole: PromiseWithResolvers<Uint8Array> | null = null;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #flowing = true;

  constructor(deps: IncomingBodyDeps) {
    this.#deps = deps;
  }

  get used(): boolean {
    return this.#mode !== "unread";
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#controller !== null) this.#handOn();
    this.#regulate();
  }

  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#settle();
  }

  /** The connection broke, or what came was no HTTP: the body will never be whole. */
  fail(): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#settle();
  }

  bytes(): Promise<Uint8Array> {
    this.#want("whole");
    if (this.#state === "ended") return Promise.resolve(this.#joined());
    this.#whole = Promise.withResolvers();
    if (this.#state === "failed") this.#settle();
    return this.#whole.promise;
  }

  stream(): ReadableStream<Uint8Array> {
    this.#want("stream");
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        this.#handOn();
        if (this.#state !== "open") this.#settle();
      },
      pull: () => {
        this.#handOn();
        this.#regulate();
      },
      cancel: () => {
        this.#controller = null;
        this.#drop();
      },
    });
  }

  #want(mode: "whole" | "stream"): void {
    if (this.#mode !== "unread") throw new TypeError("the body has been read already");
    this.#mode = mode;
    if (this.#state === "open") this.#deps.onWanted();
    this.#regulate();
  }

  #handOn(): void {
    const controller = this.#controller;
    if (controller === null) return;
    while (this.#chunks.length > 0 && (controller.desiredSize ?? 0) > 0) {
      const chunk = this.#chunks.shift() as Uint8Array;
      this.#waitingBytes -= chunk.length;
      controller.enqueue(chunk);
    }
    if (this.#state === "ended" && this.#chunks.length === 0) {
      this.#controller = null;
      controller.close();
    }
  }

  #settle(): void {
    if (this.#state === "ended") {
      this.#whole?.resolve(this.#joined());
      this.#handOn();
      return;
    }
    const error = new Error("the body ended early");
    this.#whole?.reject(error);
    this.#controller?.error(error);
    this.#controller = null;
    this.#drop();
  }

  #joined(): Uint8Array {
    const chunks = this.#chunks;
    this.#drop();
    return chunks.length > 1 ? Buffer.concat(chunks) : (chunks[0] ?? empty);
  }

  #drop(): void {
    this.#chunks = [];
    this.#waitingBytes = 0;
  }

  #regulate(): void {
    const flowing = this.#mode === "whole" || this.#waitingBytes < highWaterBytes;
    if (flowing === this.#flowing) return;
    this.#flowing = flowing;
    this.#deps.onFlow(flowing);
  }
}
