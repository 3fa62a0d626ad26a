/**
 * The load generator. Requests are bytes before the clock starts; a connection carries one request at a time (no
 * pipelining); an answer is recognised by its length and status once the first of its kind has been parsed in full.
 * One process of this saturates a bare `Bun.serve` (README, "The load generator").
 */
import type { Socket } from "bun";
import { createLatency, type Latency } from "../base/latency.ts";
import { createAnswerParser } from "./answer-parser.ts";

/** One prebuilt HTTP request and what it carries. */
export interface Request {
  bytes: Uint8Array;
  /** Length of the body alone. */
  bodyBytes: number;
  events: number;
  valueSum: number;
}

export interface LoadResult {
  /** From the first request to the last answer. */
  seconds: number;
  /** Answered 2xx. */
  requests: number;
  events: number;
  valueSum: number;
  bodyBytes: number;
  /** Answered 429 or 503: not accepted, and sent again later in a closed loop. */
  refused: number;
  /** Any other status, a broken connection, or no answer within the grace time. */
  failed: number;
  firstFailure: string | null;
  latency: Latency;
  /** Of those that were refused, likewise. */
  refusedLatency: Latency;
  /** Latency by window of `windowSeconds`, if asked for. */
  windows: Latency[];
  /** How late the generator itself was: scheduled start to write. Open loop only. */
  lag: Latency;
  /** CPU of this process, in cores. */
  generatorCpu: number;
}

export interface LoadOptions {
  port: number;
  /** Instances of one system: connections go to them in turn, instead of to `port`. */
  ports?: readonly number[];
  requests: readonly Request[];
  connections: number;
  seconds: number;
  /** How long to wait for answers after the last request. */
  graceSeconds?: number;
  windowSeconds?: number;
  onProgress?: (events: number, elapsedSeconds: number) => void;
  /** Called for each request when it is written, with the time at which it was due. */
  onSent?: (dueNs: number) => void;
}

/** `fine`: within 0.1 ms of the schedule, at the price of up to half a core. `timer`: within 1–2 ms, nearly free. */
export type Pacing = "fine" | "timer";

/** Every connection sends its next request as soon as the last is answered. Latency here is not for publication. */
export function closedLoop(options: LoadOptions): Promise<LoadResult> {
  return new Generator(options, null).run();
}

/** Request i is due at start + i / rate, whatever became of those before; latency counts from when it was due. */
export function openLoop(options: LoadOptions & { requestsPerSecond: number; pacing: Pacing }): Promise<LoadResult> {
  return new Generator(options, { requestsPerSecond: options.requestsPerSecond, pacing: options.pacing }).run();
}

interface Schedule {
  readonly requestsPerSecond: number;
  readonly pacing: Pacing;
}

interface Connection {
  request: Request | null;
  /** Bytes of the request that the socket has taken. */
  written: number;
  dueNs: number;
  /** An answer that came in pieces, so far. */
  partial: Buffer | null;
}

const retryRefusedMs = 20;
const fineWaitNs = 30_000;
const graceSecondsDefault = 10;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/** One run: connects, sends for as long as it may, waits for the answers. Without a schedule the loop is closed. */
class Generator {
  readonly #options: LoadOptions;
  readonly #schedule: Schedule | null;
  readonly #intervalNs: number;
  /** Requests in all; a closed loop has no number of them. */
  readonly #total: number;
  readonly #windowNs: number;
  readonly #result = emptyResult();
  readonly #finished = Promise.withResolvers<void>();
  readonly #idle: Socket<Connection>[] = [];
  readonly #sockets = new Set<Socket<Connection>>();
  readonly #parser = createAnswerParser();
  #phase: "connecting" | "sending" | "draining" = "connecting";
  #next = 0;
  #sent = 0;
  #inFlight = 0;
  #startNs = 0;
  #lastAnswerNs = 0;

  constructor(options: LoadOptions, schedule: Schedule | null) {
    this.#options = options;
    this.#schedule = schedule;
    this.#intervalNs = schedule ? 1e9 / schedule.requestsPerSecond : 0;
    this.#total = schedule ? Math.floor(options.seconds * schedule.requestsPerSecond) : Number.POSITIVE_INFINITY;
    this.#windowNs = (options.windowSeconds ?? 0) * 1e9;
  }

  async run(): Promise<LoadResult> {
    const { seconds, graceSeconds = graceSecondsDefault, onProgress } = this.#options;
    for (let index = 0; index < this.#options.connections; index++) await this.#connect(index);
    const cpuAtStart = process.cpuUsage();
    this.#startNs = Bun.nanoseconds();
    this.#lastAnswerNs = this.#startNs;
    this.#phase = "sending";
    if (this.#schedule) this.#pace(this.#schedule.pacing);
    else for (const socket of this.#idle.splice(0)) this.#send(socket, Bun.nanoseconds());
    const elapsedSeconds = () => (Bun.nanoseconds() - this.#startNs) / 1e9;
    const progress = setInterval(() => onProgress?.(this.#result.events, elapsedSeconds()), 500);
    const sendingMs = 1000 * (seconds + (this.#schedule ? graceSeconds : 0));
    const stopSending = setTimeout(() => this.#drain(), sendingMs);
    const giveUp = setTimeout(this.#finished.resolve, (seconds + 2 * graceSeconds) * 1000);
    await this.#finished.promise;
    clearInterval(progress);
    clearTimeout(stopSending);
    clearTimeout(giveUp);
    this.#phase = "draining";
    const cpu = process.cpuUsage(cpuAtStart);
    this.#result.generatorCpu = (cpu.user + cpu.system) / 1e6 / elapsedSeconds();
    return this.#conclude();
  }

  #conclude(): LoadResult {
    this.#result.seconds = (this.#lastAnswerNs - this.#startNs) / 1e9;
    for (const socket of [...this.#sockets]) {
      if (socket.data.request) this.#fail("no answer in time");
      socket.data.request = null;
      socket.terminate();
    }
    const unsent = this.#schedule ? this.#total - this.#sent : 0;
    if (unsent > 0) this.#fail(`${unsent} requests never sent: every connection was busy`);
    return this.#result;
  }

  async #connect(index: number): Promise<void> {
    const { port, ports } = this.#options;
    const socket = await Bun.connect<Connection>({
      hostname: "127.0.0.1",
      port: ports?.[index % ports.length] ?? port,
      data: { request: null, written: 0, dueNs: 0, partial: null },
      socket: {
        drain: (socket) => {
          const { request, written } = socket.data;
          if (request && written < request.bytes.length) push(socket);
        },
        data: (socket, chunk) => this.#receive(socket, chunk),
        close: (socket) => this.#closed(socket),
        error: (socket, error) => {
          this.#fail(String(error));
          socket.terminate();
        },
      },
    });
    this.#sockets.add(socket);
    this.#idle.push(socket);
  }

  #receive(socket: Socket<Connection>, chunk: Buffer): void {
    const connection = socket.data;
    if (!connection.request) {
      this.#fail("an answer nobody asked for");
      return;
    }
    const answer = connection.partial ? Buffer.concat([connection.partial, chunk]) : chunk;
    const status = this.#parser.statusIfComplete(answer);
    // The socket's buffer is reused after this call, so a piece that has to wait is copied.
    connection.partial = status === 0 ? Buffer.from(answer) : null;
    if (status !== 0) this.#answered(socket, status);
  }

  #closed(socket: Socket<Connection>): void {
    this.#sockets.delete(socket);
    const waiting = this.#idle.indexOf(socket);
    if (waiting >= 0) this.#idle.splice(waiting, 1);
    if (!socket.data.request) return;
    socket.data.request = null;
    this.#inFlight--;
    this.#fail("connection closed before the answer");
    this.#endIfDone();
  }

  /** A bounded sleep keeps the spin from taking a whole core; the event loop is polled between two sleeps. */
  #pace(pacing: Pacing): void {
    if (this.#phase !== "sending") return;
    this.#sendDue();
    if (pacing === "timer") {
      setTimeout(() => this.#pace(pacing), 1);
      return;
    }
    const untilDueNs = this.#startNs + this.#sent * this.#intervalNs - Bun.nanoseconds();
    if (untilDueNs > fineWaitNs) Atomics.wait(sleepCell, 0, 0, 0.001);
    setImmediate(() => this.#pace(pacing));
  }

  /** Open loop: sends all that is due while a connection is free. What finds none free waits, and its wait counts. */
  #sendDue(): void {
    const nowNs = Bun.nanoseconds();
    while (this.#sent < this.#total && this.#idle.length > 0) {
      const dueNs = this.#startNs + this.#sent * this.#intervalNs;
      if (dueNs > nowNs) return;
      this.#result.lag.record((nowNs - dueNs) / 1000);
      this.#send(this.#idle.pop()!, dueNs);
    }
    if (this.#sent >= this.#total) this.#drain();
  }

  #send(socket: Socket<Connection>, dueNs: number): void {
    const { requests, onSent } = this.#options;
    const connection = socket.data;
    connection.request = requests[this.#next]!;
    this.#next = this.#next + 1 === requests.length ? 0 : this.#next + 1;
    connection.written = 0;
    connection.dueNs = dueNs;
    this.#sent++;
    this.#inFlight++;
    onSent?.(dueNs);
    push(socket);
  }

  #answered(socket: Socket<Connection>, status: number): void {
    const connection = socket.data;
    const request = connection.request!;
    connection.request = null;
    this.#inFlight--;
    this.#lastAnswerNs = Bun.nanoseconds();
    const microseconds = (this.#lastAnswerNs - connection.dueNs) / 1000;
    if (status >= 200 && status < 300) {
      this.#accepted(request, connection.dueNs, microseconds);
    } else if (status === 503 || status === 429) {
      this.#result.refused++;
      this.#result.refusedLatency.record(microseconds);
      setTimeout(() => this.#goOn(socket), retryRefusedMs);
      return;
    } else {
      this.#fail(`answered ${status}`);
    }
    this.#goOn(socket);
  }

  #accepted(request: Request, dueNs: number, microseconds: number): void {
    const result = this.#result;
    result.latency.record(microseconds);
    if (this.#windowNs > 0) {
      const index = Math.floor((dueNs - this.#startNs) / this.#windowNs);
      while (result.windows.length <= index) result.windows.push(createLatency());
      result.windows[index]!.record(microseconds);
    }
    result.requests++;
    result.events += request.events;
    result.valueSum += request.valueSum;
    result.bodyBytes += request.bodyBytes;
  }

  /** The connection is free. */
  #goOn(socket: Socket<Connection>): void {
    const isSending = this.#phase === "sending";
    if (this.#schedule) {
      this.#idle.push(socket);
      if (isSending) this.#sendDue();
    } else if (isSending) {
      this.#send(socket, Bun.nanoseconds());
    }
    this.#endIfDone();
  }

  #drain(): void {
    this.#phase = "draining";
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#phase !== "sending" && this.#inFlight === 0) this.#finished.resolve();
  }

  #fail(reason: string): void {
    this.#result.failed++;
    this.#result.firstFailure ??= reason;
  }
}

function push(socket: Socket<Connection>): void {
  const connection = socket.data;
  const { bytes } = connection.request!;
  // Without the length Bun checks the whole length against what is left, and throws.
  const taken = socket.write(bytes, connection.written, bytes.length - connection.written);
  if (taken > 0) connection.written += taken;
}

const emptyResult = (): LoadResult => ({
  seconds: 0,
  requests: 0,
  events: 0,
  valueSum: 0,
  bodyBytes: 0,
  refused: 0,
  failed: 0,
  firstFailure: null,
  latency: createLatency(),
  refusedLatency: createLatency(),
  windows: [],
  lag: createLatency(),
  generatorCpu: 0,
});
