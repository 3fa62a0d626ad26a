/**
 * The load generator. Requests are bytes before the clock starts; a connection carries one request at a time (no
 * pipelining); an answer is recognised by its length and status once the first of its kind has been parsed in full.
 * One process of this saturates a bare `Bun.serve` (README, "The load generator").
 */
import type { Socket } from "bun";
import { createLatency, type Latency } from "../base/latency.ts";

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
  return generate(options, null);
}

/** Request i is due at start + i / rate, whatever became of those before; latency counts from when it was due. */
export function openLoop(options: LoadOptions & { requestsPerSecond: number; pacing: Pacing }): Promise<LoadResult> {
  return generate(options, { requestsPerSecond: options.requestsPerSecond, pacing: options.pacing });
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

async function generate(
  options: LoadOptions,
  schedule: { requestsPerSecond: number; pacing: Pacing } | null,
): Promise<LoadResult> {
  const { requests, connections } = options;
  const intervalNs = schedule ? 1e9 / schedule.requestsPerSecond : 0;
  const total = schedule ? Math.floor(options.seconds * schedule.requestsPerSecond) : Number.POSITIVE_INFINITY;
  const windowNs = (options.windowSeconds ?? 0) * 1e9;
  const result: LoadResult = {
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
  };
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const idle: Socket<Connection>[] = [];
  const sockets = new Set<Socket<Connection>>();
  const parser = createAnswerParser();
  let next = 0;
  let sent = 0;
  let inFlight = 0;
  let sending = false;
  let startNs = 0;
  let lastAnswerNs = 0;

  const mayEnd = () => {
    if (!sending && inFlight === 0) finish();
  };

  function fail(reason: string): void {
    result.failed++;
    result.firstFailure ??= reason;
  }

  function push(socket: Socket<Connection>): void {
    const connection = socket.data;
    const bytes = connection.request!.bytes;
    // Without the length Bun checks the whole length against what is left, and throws.
    const taken = socket.write(bytes, connection.written, bytes.length - connection.written);
    if (taken > 0) connection.written += taken;
  }

  function send(socket: Socket<Connection>, dueNs: number): void {
    const connection = socket.data;
    connection.request = requests[next]!;
    next = next + 1 === requests.length ? 0 : next + 1;
    connection.written = 0;
    connection.dueNs = dueNs;
    sent++;
    inFlight++;
    options.onSent?.(dueNs);
    push(socket);
  }

  /** Open loop: sends all that is due while a connection is free. What finds none free waits, and its wait counts. */
  function sendDue(): void {
    const nowNs = Bun.nanoseconds();
    while (sent < total && idle.length > 0) {
      const dueNs = startNs + sent * intervalNs;
      if (dueNs > nowNs) return;
      result.lag.record((nowNs - dueNs) / 1000);
      send(idle.pop()!, dueNs);
    }
    if (sent >= total) {
      sending = false;
      mayEnd();
    }
  }

  function goOn(socket: Socket<Connection>): void {
    if (schedule) {
      idle.push(socket);
      if (sending) sendDue();
    } else if (sending) {
      send(socket, Bun.nanoseconds());
    }
    mayEnd();
  }

  function answered(socket: Socket<Connection>, status: number): void {
    const connection = socket.data;
    const request = connection.request!;
    connection.request = null;
    inFlight--;
    const nowNs = Bun.nanoseconds();
    lastAnswerNs = nowNs;
    if (status >= 200 && status < 300) {
      const microseconds = (nowNs - connection.dueNs) / 1000;
      result.latency.record(microseconds);
      if (windowNs > 0) windowOf(connection.dueNs).record(microseconds);
      result.requests++;
      result.events += request.events;
      result.valueSum += request.valueSum;
      result.bodyBytes += request.bodyBytes;
    } else if (status === 503 || status === 429) {
      result.refused++;
      result.refusedLatency.record((nowNs - connection.dueNs) / 1000);
      setTimeout(goOn, retryRefusedMs, socket);
      return;
    } else {
      fail(`answered ${status}`);
    }
    goOn(socket);
  }

  function windowOf(dueNs: number): Latency {
    const index = Math.floor((dueNs - startNs) / windowNs);
    while (result.windows.length <= index) result.windows.push(createLatency());
    return result.windows[index]!;
  }

  for (let index = 0; index < connections; index++) {
    const socket = await Bun.connect<Connection>({
      hostname: "127.0.0.1",
      port: options.ports?.[index % options.ports.length] ?? options.port,
      data: { request: null, written: 0, dueNs: 0, partial: null },
      socket: {
        drain(socket) {
          const { request, written } = socket.data;
          if (request && written < request.bytes.length) push(socket);
        },
        data(socket, chunk) {
          const connection = socket.data;
          if (!connection.request) return fail("an answer nobody asked for");
          const answer = connection.partial ? Buffer.concat([connection.partial, chunk]) : chunk;
          const status = parser.statusIfComplete(answer);
          // The socket's buffer is reused after this call, so a piece that has to wait is copied.
          connection.partial = status === 0 ? Buffer.from(answer) : null;
          if (status !== 0) answered(socket, status);
        },
        close(socket) {
          sockets.delete(socket);
          const waiting = idle.indexOf(socket);
          if (waiting >= 0) idle.splice(waiting, 1);
          if (socket.data.request) {
            socket.data.request = null;
            inFlight--;
            fail("connection closed before the answer");
            mayEnd();
          }
        },
        error(socket, error) {
          fail(String(error));
          socket.terminate();
        },
      },
    });
    sockets.add(socket);
    idle.push(socket);
  }

  const cpuAtStart = process.cpuUsage();
  startNs = Bun.nanoseconds();
  lastAnswerNs = startNs;
  sending = true;
  if (schedule) pace(schedule.pacing);
  else for (const socket of idle.splice(0)) send(socket, Bun.nanoseconds());

  function pace(pacing: Pacing): void {
    if (!sending) return;
    sendDue();
    if (pacing === "timer") {
      setTimeout(pace, 1, pacing);
      return;
    }
    // A bounded sleep keeps the spin from taking a whole core; the event loop is polled between two sleeps.
    if (startNs + sent * intervalNs - Bun.nanoseconds() > fineWaitNs) Atomics.wait(sleepCell, 0, 0, 0.001);
    setImmediate(pace, pacing);
  }

  const progress = setInterval(() => options.onProgress?.(result.events, (Bun.nanoseconds() - startNs) / 1e9), 500);
  const stopSending = setTimeout(
    () => {
      sending = false;
      mayEnd();
    },
    options.seconds * 1000 + (schedule ? 1000 * (options.graceSeconds ?? 10) : 0),
  );
  const giveUp = setTimeout(finish, (options.seconds + 2 * (options.graceSeconds ?? 10)) * 1000);
  await finished;
  clearInterval(progress);
  clearTimeout(stopSending);
  clearTimeout(giveUp);
  sending = false;

  const cpu = process.cpuUsage(cpuAtStart);
  result.seconds = (lastAnswerNs - startNs) / 1e9;
  result.generatorCpu = (cpu.user + cpu.system) / 1e6 / ((Bun.nanoseconds() - startNs) / 1e9);
  for (const socket of [...sockets]) {
    if (socket.data.request) fail("no answer in time");
    socket.data.request = null;
    socket.terminate();
  }
  if (schedule && sent < total) fail(`${total - sent} requests never sent: every connection was busy`);
  return result;
}

const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Tells whether a whole HTTP/1.1 answer has arrived. With one request in flight a connection, an answer of the length
 * and status of an earlier whole one is whole; only the first of each length is parsed.
 */
export function createAnswerParser(): { statusIfComplete(answer: Buffer): number } {
  let knownLength = 0;
  let knownStatus = 0;
  return {
    statusIfComplete(answer) {
      if (answer.length < 12) return 0;
      const status = (answer[9]! - 48) * 100 + (answer[10]! - 48) * 10 + (answer[11]! - 48);
      if (answer.length === knownLength && status === knownStatus && answer[0] === 72) return status;
      const length = answerLength(answer);
      if (length === null || answer.length < length) return 0;
      if (answer.length > length) throw new Error(`answer is ${answer.length - length} bytes too long`);
      knownLength = length;
      knownStatus = status;
      return status;
    },
  };
}

/** Length of the whole answer, or null while it cannot be told. */
function answerLength(answer: Buffer): number | null {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const head = answer.toString("latin1", 0, headEnd).toLowerCase();
  const stated = /\r\ncontent-length: *(\d+)/.exec(head);
  if (stated) return headEnd + 4 + Number(stated[1]);
  if (!head.includes("transfer-encoding: chunked")) return headEnd + 4;
  const end = answer.indexOf("\r\n0\r\n\r\n", headEnd + 2);
  return end < 0 ? null : end + 7;
}
