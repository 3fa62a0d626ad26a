/** Many readers of server-sent events in one process, over raw sockets. */
import type { Socket } from "bun";
import { createLatency, type Latency } from "../base/latency.ts";

export interface Streams {
  /** Starts anew: what came before is not counted. */
  reset(): void;
  /** Age of each update at its arrival on each reading stream, by the `timestamp` in it; in whole milliseconds. */
  age: Latency;
  /** Updates that arrived, over all reading streams. */
  updates(): number;
  /** Different updates among them. */
  distinct(): number;
  /** Fewest updates that any reading stream got. */
  fewest(): number;
  /** Streams that the server ended. */
  closed(): number;
  stop(): void;
}

export interface StreamsOptions {
  port: number;
  path: string;
  count: number;
  /** Streams that read nothing after their first bytes; they ask for `stalledPath`. */
  stalled?: { count: number; path: string };
  /** Called with the whole text of each update on the first stream. */
  onUpdate?: (data: string) => void;
}

interface Stream {
  index: number;
  stalled: boolean;
  /** Bytes of an update's beginning that the last chunk ended with. */
  rest: Buffer | null;
  updates: number;
}

const marker = Buffer.from('"timestamp":"');
const timestampLength = "2026-01-01T00:00:00.000Z".length;
/** Opened at a time: more would overrun the listener's backlog. */
const openingAtOnce = 200;
const openTimeoutMs = 30_000;

/** Opens all streams; settles when each has received something. */
export async function openStreams(options: StreamsOptions): Promise<Streams> {
  const age = { current: createLatency() };
  const createdMs = new Map<string, number>();
  const sockets: Socket<Stream>[] = [];
  let updates = 0;
  let closed = 0;
  let stopped = false;
  const receiveText = options.onUpdate && createUpdateReader(options.onUpdate);

  function receive(stream: Stream, chunk: Buffer): void {
    const bytes = stream.rest ? Buffer.concat([stream.rest, chunk]) : chunk;
    let from = 0;
    for (;;) {
      const at = bytes.indexOf(marker, from);
      if (at < 0) break;
      const end = at + marker.length + timestampLength;
      if (end > bytes.length) break;
      const text = bytes.toString("latin1", at + marker.length, end);
      let created = createdMs.get(text);
      if (created === undefined) {
        created = Date.parse(text);
        createdMs.set(text, created);
      }
      age.current.record((Date.now() - created) * 1000);
      updates++;
      stream.updates++;
      from = end;
    }
    const restFrom = Math.max(from, bytes.length - marker.length - timestampLength + 1);
    const rest = bytes.subarray(restFrom);
    // Only what may be the beginning of a marker is kept, and copied: the socket's buffer is reused.
    stream.rest = rest.includes(34) ? Buffer.from(rest) : null;
  }

  async function open(index: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stalled = index >= options.count;
    const path = stalled ? options.stalled!.path : options.path;
    const timer = setTimeout(() => reject(new Error(`stream ${index} had no answer`)), openTimeoutMs);
    const socket = await Bun.connect<Stream>({
      hostname: "127.0.0.1",
      port: options.port,
      data: { index, stalled, rest: null, updates: 0 },
      socket: {
        data(socket, chunk) {
          const stream = socket.data;
          resolve();
          if (stream.stalled) {
            socket.pause();
            return;
          }
          receive(stream, chunk);
          if (stream.index === 0) receiveText?.(chunk);
        },
        close() {
          if (!stopped) closed++;
          reject(new Error(`stream ${index} was closed`));
        },
        error() {
          socket.terminate();
        },
      },
    });
    sockets.push(socket);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${options.port}\r\nAccept: text/event-stream\r\n\r\n`);
    await promise.finally(() => clearTimeout(timer));
  }

  const total = options.count + (options.stalled?.count ?? 0);
  const stop = () => {
    stopped = true;
    for (const socket of sockets) socket.terminate();
  };
  try {
    for (let first = 0; first < total; first += openingAtOnce) {
      const group = Array.from({ length: Math.min(openingAtOnce, total - first) }, (_, offset) => open(first + offset));
      await Promise.all(group);
    }
  } catch (error) {
    stop();
    throw error;
  }
  return {
    reset() {
      age.current = createLatency();
      createdMs.clear();
      updates = 0;
      for (const socket of sockets) socket.data.updates = 0;
    },
    get age() {
      return age.current;
    },
    updates: () => updates,
    distinct: () => createdMs.size,
    fewest: () => Math.min(...sockets.filter(({ data }) => !data.stalled).map(({ data }) => data.updates)),
    closed: () => closed,
    stop,
  };
}

/** Puts the data of one stream's updates together, and of no other event, through chunked encoding, whose size lines stand between them. */
export function createUpdateReader(onUpdate: (data: string) => void): (chunk: Buffer) => void {
  // At the beginning of a line: the answer's headers may say "data: " too (a content security policy does).
  const beginning = "\nevent: update\ndata: ";
  let text = "";
  let tail = Buffer.alloc(0);
  return (chunk) => {
    tail = Buffer.concat([tail, chunk]);
    // Up to the last whole line: a character cut in two, or a chunk's size, is not read before its end.
    const whole = tail.lastIndexOf("\n") + 1;
    text += tail.subarray(0, whole).toString();
    tail = Buffer.from(tail.subarray(whole));
    for (;;) {
      const start = text.indexOf(beginning);
      const end = start < 0 ? -1 : text.indexOf("\n\n", start);
      if (end < 0) break;
      const data = text.slice(start + beginning.length, end).replace(/\r\n[0-9a-f]+\r\n/g, "");
      text = text.slice(end + 2);
      onUpdate(data);
    }
  };
}
