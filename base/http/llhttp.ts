import wasm from "undici/lib/llhttp/llhttp_simd-wasm.js";

/** Codes of llhttp (`llhttp_errno`) that are told apart here. */
const errno = { ok: 0, invalidVersion: 9, paused: 21, pausedUpgrade: 22, pausedH2Upgrade: 23 } as const;
/** `llhttp_type_t`: this end reads requests. */
const requestType = 1;

/** Bytes of input that the parser sees at a time; a longer chunk is fed in slices. */
const inputBytes = 64 * 1024;

interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  llhttp_execute(parser: number, data: number, length: number): number;
  llhttp_resume(parser: number): void;
  llhttp_resume_after_upgrade(parser: number): void;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_method(parser: number): number;
  llhttp_method_name(method: number): number;
  llhttp_get_http_major(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
}

/** The start line and the headers of a request, as they came. */
export interface RequestHead {
  readonly method: string;
  /** Latin-1 text in which the places below lie. It begins with the request's target. */
  readonly text: string;
  readonly targetLength: number;
  /** Of each header: start and end of its name, start and end of its value. */
  readonly places: readonly number[];
  readonly minorVersion: number;
  readonly keepAlive: boolean;
}

/** Who hears what the parser finds. Called in the middle of `execute`. */
export interface MessageListener {
  head(head: RequestHead): void;
  /** A part of the body: these bytes of the chunk that is being parsed. */
  body(chunk: Buffer, start: number, end: number): void;
  /** The message is whole. The parser pauses here, whatever follows. */
  complete(): void;
}

export type Parsed =
  | { readonly kind: "more" }
  /** A message ended in the chunk; what follows, from `consumed` on, is for the next one. */
  | { readonly kind: "complete"; readonly consumed: number }
  | { readonly kind: "error"; readonly why: "head_too_large" | "version" | "syntax" };

export interface HeadLimits {
  readonly headMaxBytes: number;
  readonly headersMax: number;
}

const more: Parsed = { kind: "more" };

/**
 * llhttp for any number of connections, each with a parser of its own in the module's memory. Everything is synchronous, so one input
 * buffer serves all, and `#current` tells whose callbacks are running.
 */
export class ParserEngine {
  readonly #exports: Exports;
  readonly #limits: HeadLimits;
  readonly #input: number;
  readonly #methods = new Map<number, string>();
  #memory = new Uint8Array(0);
  #current: Parser | null = null;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    const call =
      (apply: (parser: Parser, at: number, length: number) => number) => (_: number, at: number, length: number) =>
        this.#current === null ? 0 : apply(this.#current, at - this.#input, length);
    const env = {
      wasm_on_message_begin: () => this.#current?.onBegin() ?? 0,
      wasm_on_status: () => 0,
      wasm_on_url: call((parser, at, length) => parser.onTarget(at, length)),
      wasm_on_header_field: call((parser, at, length) => parser.onName(at, length)),
      wasm_on_header_value: call((parser, at, length) => parser.onValue(at, length)),
      wasm_on_headers_complete: (_: number, __: number, ___: number, keepAlive: number) =>
        this.#current?.onHeadersComplete(keepAlive !== 0) ?? 0,
      wasm_on_body: call((parser, at, length) => parser.onBody(at, length)),
      wasm_on_message_complete: () => this.#current?.onMessageComplete() ?? 0,
    };
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env }).exports as unknown as Exports;
    this.#exports._initialize();
    this.#input = this.#exports.malloc(inputBytes);
  }

  create(listener: MessageListener): Parser {
    return new Parser(this, this.#exports.llhttp_alloc(requestType), listener, this.#limits);
  }

  free(handle: number): void {
    this.#exports.llhttp_free(handle);
  }

  methodOf(handle: number): string {
    const code = this.#exports.llhttp_get_method(handle);
    let name = this.#methods.get(code);
    if (name === undefined) {
      const memory = this.#view();
      const start = this.#exports.llhttp_method_name(code);
      name = Buffer.from(memory.subarray(start, memory.indexOf(0, start))).toString("latin1");
      this.#methods.set(code, name);
    }
    return name;
  }

  versionOf(handle: number): { readonly major: number; readonly minor: number } {
    const { llhttp_get_http_major, llhttp_get_http_minor } = this.#exports;
    return { major: llhttp_get_http_major(handle), minor: llhttp_get_http_minor(handle) };
  }

  /** Feeds one slice of at most `inputBytes`; gives llhttp's code and, unless that is `ok`, the position where it stopped. */
  feed(parser: Parser, handle: number, slice: Uint8Array): { readonly code: number; readonly stoppedAt: number } {
    this.#view().set(slice, this.#input);
    this.#current = parser;
    let code: number;
    try {
      code = this.#exports.llhttp_execute(handle, this.#input, slice.length);
    } finally {
      this.#current = null;
    }
    if (code === errno.ok) return { code, stoppedAt: slice.length };
    return { code, stoppedAt: this.#exports.llhttp_get_error_pos(handle) - this.#input };
  }

  resume(handle: number): void {
    this.#exports.llhttp_resume(handle);
  }

  resumeAfterUpgrade(handle: number): void {
    this.#exports.llhttp_resume_after_upgrade(handle);
  }

  /** The module's memory moves when it grows. */
  #view(): Uint8Array {
    if (this.#memory.length === 0 || this.#memory.buffer !== this.#exports.memory.buffer) {
      this.#memory = new Uint8Array(this.#exports.memory.buffer);
    }
    return this.#memory;
  }
}

/**
 * The one parser of a connection. It copies nothing of a head that comes in one chunk: the callbacks note places, counted from
 * the target's first byte, and the text is made once.
 */
export class Parser {
  readonly #engine: ParserEngine;
  readonly #handle: number;
  readonly #listener: MessageListener;
  readonly #limits: HeadLimits;
  #chunk: Buffer = Buffer.alloc(0);
  /** Where the slice that is being parsed begins in the chunk. */
  #sliceFrom = 0;
  /** Where the head begins in the chunk; what came of it before is `#prefix`. */
  #headFrom = 0;
  #prefix = "";
  #targetLength = -1;
  #places: number[] = [];
  #inValue = false;
  #begun = false;
  #headDone = false;
  #headBytes = 0;
  #tooLarge = false;
  #wrongVersion = false;

  constructor(engine: ParserEngine, handle: number, listener: MessageListener, limits: HeadLimits) {
    this.#engine = engine;
    this.#handle = handle;
    this.#listener = listener;
    this.#limits = limits;
  }

  /** True between the first byte of a head and its last. Line ends in front of it are not of it. */
  get inHead(): boolean {
    return this.#begun && !this.#headDone;
  }

  free(): void {
    this.#engine.free(this.#handle);
  }

  /** Parses `chunk` from `from` on, at most to the end of one message. */
  execute(chunk: Buffer, from: number): Parsed {
    this.#chunk = chunk;
    this.#headFrom = from;
    for (let start = from; start < chunk.length; ) {
      const end = Math.min(start + inputBytes, chunk.length);
      this.#sliceFrom = start;
      const slice = start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
      const { code, stoppedAt } = this.#engine.feed(this, this.#handle, slice);
      if (code === errno.paused) {
        this.#engine.resume(this.#handle);
        this.#reset();
        return { kind: "complete", consumed: start + stoppedAt };
      }
      if (code === errno.pausedUpgrade) {
        // Nothing is upgraded here: the client goes on as before.
        this.#engine.resumeAfterUpgrade(this.#handle);
        start += stoppedAt;
        continue;
      }
      if (code !== errno.ok) return { kind: "error", why: this.#reasonOf(code) };
      start = end;
    }
    return this.#endOfChunk(from);
  }

  onBegin(): number {
    this.#begun = true;
    return 0;
  }

  onTarget(at: number, length: number): number {
    const position = this.#sliceFrom + at;
    if (this.#targetLength < 0) {
      this.#headFrom = position;
      this.#targetLength = 0;
    }
    this.#targetLength += length;
    return this.#fits(position + length);
  }

  onName(at: number, length: number): number {
    if (this.#headDone) return 0;
    const places = this.#places;
    const place = this.#placeOf(at);
    if (this.#inValue || places.length === 0) {
      if (places.length === this.#limits.headersMax * 4) return this.#refuseAsTooLarge();
      places.push(place, place + length, 0, 0);
      this.#inValue = false;
    } else {
      places[places.length - 3] = place + length;
    }
    return this.#fits(this.#sliceFrom + at + length);
  }

  onValue(at: number, length: number): number {
    if (this.#headDone) return 0;
    const places = this.#places;
    const place = this.#placeOf(at);
    if (!this.#inValue) places[places.length - 2] = place;
    places[places.length - 1] = place + length;
    this.#inValue = true;
    return this.#fits(this.#sliceFrom + at + length);
  }

  onHeadersComplete(keepAlive: boolean): number {
    const { major, minor } = this.#engine.versionOf(this.#handle);
    if (major !== 1) {
      this.#wrongVersion = true;
      return -1;
    }
    this.#headDone = true;
    const places = this.#places;
    const end = Math.max(this.#targetLength, ...(places.length === 0 ? [] : places.slice(-4)));
    const endInChunk = end - this.#prefix.length + this.#headFrom;
    const rest = endInChunk > this.#headFrom ? this.#chunk.toString("latin1", this.#headFrom, endInChunk) : "";
    this.#listener.head({
      method: this.#engine.methodOf(this.#handle),
      text: this.#prefix + rest,
      targetLength: this.#targetLength,
      places,
      minorVersion: minor,
      keepAlive,
    });
    return 0;
  }

  onBody(at: number, length: number): number {
    const start = this.#sliceFrom + at;
    this.#listener.body(this.#chunk, start, start + length);
    return 0;
  }

  onMessageComplete(): number {
    this.#listener.complete();
    return errno.paused;
  }

  /** Counted from the target's first byte. */
  #placeOf(at: number): number {
    return this.#sliceFrom + at - this.#headFrom + this.#prefix.length;
  }

  #fits(endInChunk: number): number {
    const length = endInChunk - this.#headFrom + this.#prefix.length;
    return length > this.#limits.headMaxBytes ? this.#refuseAsTooLarge() : 0;
  }

  #refuseAsTooLarge(): number {
    this.#tooLarge = true;
    return -1;
  }

  #reasonOf(code: number): Extract<Parsed, { kind: "error" }>["why"] {
    if (this.#tooLarge) return "head_too_large";
    const isVersion = this.#wrongVersion || code === errno.invalidVersion || code === errno.pausedH2Upgrade;
    return isVersion ? "version" : "syntax";
  }

  /** A head that goes on in the next chunk is kept as text. */
  #endOfChunk(from: number): Parsed {
    if (this.#headDone) return more;
    this.#headBytes += this.#chunk.length - from;
    if (this.#targetLength >= 0) this.#prefix += this.#chunk.toString("latin1", this.#headFrom);
    return this.#headBytes > this.#limits.headMaxBytes ? { kind: "error", why: "head_too_large" } : more;
  }

  #reset(): void {
    this.#prefix = "";
    this.#targetLength = -1;
    this.#places = [];
    this.#inValue = false;
    this.#begun = false;
    this.#headDone = false;
    this.#headBytes = 0;
  }
}
