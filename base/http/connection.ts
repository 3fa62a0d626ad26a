import type { Socket } from "bun";
import type { Handler, Unacceptable } from "./handler.ts";
import type { MessageListener, Parsed, Parser, ParserEngine, RequestHead } from "./llhttp.ts";
import { Outbox } from "./outbox.ts";
import { IncomingBody } from "./request-body.ts";
import { RequestHeaders } from "./request-headers.ts";
import { discard, sendResponse } from "./response.ts";
import { statusLine } from "./response-text.ts";
import { asRequest, type RequestConnection, SocketRequest, urlOf } from "./socket-request.ts";

export interface ConnectionDeps {
  readonly engine: ParserEngine;
  readonly fetch: Handler;
  /** A bug in a handler; what the client gets. */
  readonly error: (error: unknown) => Response;
  readonly refuse: (why: Unacceptable) => Response;
  /** A bug of the listener itself; its connection is closed. */
  readonly onBug: (error: unknown) => void;
  /** A client that has sent its last byte does not wait for the answer to this request, so nobody does. */
  readonly isGoneWithItsEnd: (request: Request) => boolean;
  /** Milliseconds that never go back. */
  readonly monotonicNow: () => number;
}

export interface ConnectionTimes {
  /** From a head's first byte to its last; of the first one of a connection, from its opening. */
  readonly headTimeoutMs: number;
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number;
  /** A client that still sends to a connection that is being closed is heard for so long, so that it can read its answer. */
  readonly lingerMs: number;
}

/** Bytes of later requests that wait for the answer to the present one; past it the connection is not read. */
const pipelinedMaxBytes = 64 * 1024;

/** One request and its answer. */
interface Exchange {
  readonly head: RequestHead;
  readonly request: SocketRequest;
  readonly body: IncomingBody | null;
  /** The request's last byte has come. */
  whole: boolean;
  /** It was handed to the handler. */
  running: boolean;
  headBegun: boolean;
  gone: AbortController | null;
}

/**
 * One connection: requests one after the other, each answered before the next is parsed, so that what follows a request in the same
 * segment can never change its answer. The parser pauses at the end of each message; what it has not seen waits in `#unparsed`.
 *
 * A client that has sent its last byte (half-closed) still gets its answer. One that is refused before it has sent its whole body
 * gets the answer, and then the end of the connection.
 */
export class Connection implements MessageListener, RequestConnection {
  readonly #socket: Socket<Connection>;
  readonly #deps: ConnectionDeps;
  readonly #times: ConnectionTimes;
  readonly #parser: Parser;
  readonly #outbox: Outbox;
  #exchange: Exchange | null = null;
  #unparsed: Buffer[] = [];
  #unparsedBytes = 0;
  #phase: "open" | "lingering" | "closed" = "open";
  /** The client has sent all that it will. */
  #halfClosed = false;
  /** What came was no HTTP; nothing more is read. */
  #broken = false;
  #bodyFlows = true;
  #paused = false;
  #idleTimeoutMs: number;
  #activeAtMs: number;
  /** When the head that is under way, or awaited for the first time, began; 0: none is. */
  #headSinceMs: number;

  constructor(socket: Socket<Connection>, deps: ConnectionDeps, times: ConnectionTimes) {
    this.#socket = socket;
    this.#deps = deps;
    this.#times = times;
    this.#parser = deps.engine.create(this);
    this.#outbox = new Outbox(socket);
    this.#idleTimeoutMs = times.idleTimeoutMs;
    this.#activeAtMs = deps.monotonicNow();
    this.#headSinceMs = this.#activeAtMs;
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress;
  }

  /** No request is under way, so it may be closed at any time. */
  get isIdle(): boolean {
    return this.#exchange === null;
  }

  abortSignal(): AbortSignal {
    const exchange = this.#exchange;
    if (exchange === null) return AbortSignal.abort();
    exchange.gone ??= new AbortController();
    if (this.#phase === "closed") exchange.gone.abort();
    return exchange.gone.signal;
  }

  setIdleTimeout(seconds: number): void {
    this.#idleTimeoutMs = seconds * 1000;
  }

  beginHead(lines: string): void {
    const exchange = this.#exchange;
    if (exchange === null || this.#phase !== "open") return;
    this.#outbox.write(exchange.headBegun ? lines : statusLine(200) + lines);
    exchange.headBegun = true;
  }

  // What the socket tells.

  received(chunk: Buffer): void {
    this.#activeAtMs = this.#deps.monotonicNow();
    if (this.#phase !== "open" || this.#broken) return;
    this.#unparsed.push(chunk);
    this.#unparsedBytes += chunk.length;
    this.#pump();
  }

  drained(): void {
    if (this.#outbox.drain()) this.#activeAtMs = this.#deps.monotonicNow();
  }

  /** The client half-closed: it sends nothing more, and may still read. */
  ended(): void {
    if (this.#phase !== "open") {
      this.#socket.end();
      return;
    }
    this.#halfClosed = true;
    const exchange = this.#exchange;
    if (exchange?.whole && this.#deps.isGoneWithItsEnd(asRequest(exchange.request))) exchange.gone?.abort();
    this.#pump();
  }

  closed(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#outbox.close();
    this.#exchange?.body?.fail();
    this.#exchange?.gone?.abort();
    this.#parser.free();
  }

  /** Called about once a second. */
  checkTime(nowMs: number): void {
    const idleMs = nowMs - this.#activeAtMs;
    if (this.#phase === "lingering") {
      if (idleMs > this.#times.lingerMs || nowMs - this.#headSinceMs > this.#times.lingerMs) this.close();
    } else if (this.#headSinceMs > 0 && nowMs - this.#headSinceMs > this.#times.headTimeoutMs) {
      // A client that never said anything asked for no answer.
      if (this.#parser.inHead) this.#refuse("late");
      else this.#finish();
    } else if (this.#idleTimeoutMs > 0 && idleMs > this.#idleTimeoutMs) {
      if (this.#exchange === null) this.#finish();
      else this.close();
    }
  }

  close(): void {
    this.#socket.terminate();
    this.closed();
  }

  // What the parser tells.

  head(head: RequestHead): void {
    this.#headSinceMs = 0;
    const headers = new RequestHeaders(head);
    const body = new IncomingBody({
      onWanted: () => this.#sayContinue(head, headers),
      onFlow: (flows) => {
        this.#bodyFlows = flows;
        this.#regulate();
      },
    });
    const host = headers.get("host");
    const isHostGood = head.minorVersion === 0 ? headers.count("host") <= 1 : headers.count("host") === 1;
    const url = isHostGood ? urlOf(head, host ?? "") : null;
    const request = new SocketRequest(head.method, url ?? "", headers, this, body);
    this.#exchange = { head, request, body, whole: false, running: false, headBegun: false, gone: null };
  }

  body(chunk: Buffer, start: number, end: number): void {
    // Cheaper than `subarray`, which makes a Buffer.
    this.#exchange?.body?.push(new Uint8Array(chunk.buffer, chunk.byteOffset + start, end - start));
  }

  complete(): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    exchange.whole = true;
    exchange.body?.end();
  }

  /** Parses what has come, in its order, up to the end of a message that is not answered yet. */
  #pump(): void {
    while (this.#phase === "open" && this.#unparsed.length > 0 && !this.#exchange?.whole) {
      const chunk = this.#unparsed.shift() as Buffer;
      this.#unparsedBytes -= chunk.length;
      this.#parse(chunk);
    }
    if (this.#halfClosed && this.#phase === "open" && !this.#exchange?.whole) this.#endOfInput();
    this.#regulate();
  }

  /** Nothing more will come, and what has come is parsed. */
  #endOfInput(): void {
    const exchange = this.#exchange;
    if (exchange !== null) exchange.body?.fail();
    else if (this.#parser.inHead) this.#refuse("early");
    else this.#finish();
  }

  #parse(chunk: Buffer): void {
    const parsed = this.#parser.execute(chunk, 0);
    if (this.#phase !== "open") return;
    if (parsed.kind === "complete" && parsed.consumed < chunk.length) {
      this.#unparsed.unshift(chunk.subarray(parsed.consumed));
      this.#unparsedBytes += chunk.length - parsed.consumed;
    }
    if (parsed.kind === "error") this.#failed(parsed);
    else if (this.#exchange !== null && !this.#exchange.running) this.#run(this.#exchange);
    else if (this.#parser.inHead && this.#headSinceMs === 0) this.#headSinceMs = this.#activeAtMs;
  }

  /** A request whose body breaks off in the middle is its handler's to refuse; nothing can follow it. */
  #failed({ why }: Extract<Parsed, { kind: "error" }>): void {
    const exchange = this.#exchange;
    this.#broken = true;
    this.#unparsed = [];
    if (exchange === null) {
      this.#refuse(why);
      return;
    }
    exchange.body?.fail();
    if (!exchange.running) this.#run(exchange);
  }

  #run(exchange: Exchange): void {
    exchange.running = true;
    if (exchange.request.url === "") {
      this.#refuse("host");
      return;
    }
    let answer: Response | Promise<Response>;
    try {
      answer = this.#deps.fetch(asRequest(exchange.request));
    } catch (error) {
      this.#answerFailure(exchange, error);
      return;
    }
    if (answer instanceof Response) this.#send(exchange, answer);
    else {
      answer.then(
        (response) => this.#answer(exchange, () => response),
        (error: unknown) => this.#answerFailure(exchange, error),
      );
    }
  }

  #answerFailure(exchange: Exchange, error: unknown): void {
    this.#answer(exchange, () => this.#deps.error(error));
  }

  /** Called from promises, where what it throws would be nobody's: such an error ends this connection and no other. */
  #answer(exchange: Exchange, response: () => Response): void {
    try {
      this.#send(exchange, response());
    } catch (bug) {
      this.#failedInside(bug);
    }
  }

  #failedInside(bug: unknown): void {
    this.#deps.onBug(bug);
    this.close();
  }

  #send(exchange: Exchange, response: Response): void {
    if (this.#phase !== "open") {
      discard(response.body);
      return;
    }
    const keepAlive = exchange.whole && exchange.head.keepAlive && !this.#isLast();
    const isHead = exchange.head.method === "HEAD";
    const signal = {
      gone: () => this.#phase === "closed",
      abort: (leave: () => void) => this.#onGone(exchange, leave),
    };
    const sent = sendResponse(response, this.#outbox, {
      keepAlive,
      isHead,
      minorVersion: exchange.head.minorVersion,
      headBegun: exchange.headBegun,
      signal,
    });
    if (sent === "kept") this.#next();
    else if (sent === "last") this.#finish();
    else {
      sent
        .then(
          (outcome) => (outcome === "kept" ? this.#next() : this.#finish()),
          // The body failed before its first byte: nothing that could be said instead would be an answer.
          () => this.close(),
        )
        .catch((bug) => this.#failedInside(bug));
    }
  }

  #onGone(exchange: Exchange, leave: () => void): void {
    exchange.gone ??= new AbortController();
    exchange.gone.signal.addEventListener("abort", leave, { once: true });
  }

  #isLast(): boolean {
    return this.#halfClosed && this.#unparsed.length === 0;
  }

  /** The exchange is over, the connection stays: the next request may be here already. */
  #next(): void {
    if (this.#phase !== "open") return;
    this.#exchange = null;
    this.#idleTimeoutMs = this.#times.idleTimeoutMs;
    this.#pump();
  }

  #refuse(why: Unacceptable): void {
    const response = this.#deps.refuse(why);
    const signal = { gone: () => this.#phase === "closed", abort: () => undefined };
    const sent = sendResponse(response, this.#outbox, {
      keepAlive: false,
      isHead: false,
      minorVersion: 1,
      headBegun: this.#exchange?.headBegun ?? false,
      signal,
    });
    if (typeof sent === "string") this.#finish();
    else {
      sent.then(
        () => this.#finish(),
        () => this.close(),
      );
    }
  }

  /** Nothing more will be sent. What the client still sends is thrown away for a while, or it might not see its answer. */
  #finish(): void {
    if (this.#phase !== "open") return;
    this.#phase = "lingering";
    this.#unparsed = [];
    this.#unparsedBytes = 0;
    this.#headSinceMs = this.#deps.monotonicNow();
    this.#exchange?.body?.fail();
    this.#regulate();
    if (this.#halfClosed) this.#socket.end();
    else this.#socket.shutdown();
  }

  #sayContinue(head: RequestHead, headers: RequestHeaders): void {
    const isAsked = head.minorVersion > 0 && headers.get("expect")?.toLowerCase() === "100-continue";
    if (isAsked && this.#phase === "open") this.#outbox.write("HTTP/1.1 100 Continue\r\n\r\n");
  }

  #regulate(): void {
    const paused = this.#phase === "open" && (!this.#bodyFlows || this.#unparsedBytes > pipelinedMaxBytes);
    if (paused === this.#paused || this.#phase === "closed") return;
    this.#paused = paused;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }
}
