import type { EventBatch } from "./events.ts";
import type { Request } from "./load.ts";
import { type StartedProcess, startUsage } from "./processes.ts";
import type { Run } from "./result.ts";

/** A system that takes events: Sluice or a baseline. */
export interface Target<Running extends RunningTarget = RunningTarget> {
  name: string;
  /** What has to be installed and is not, or null. */
  missing(): string | null;
  start(): Promise<Running>;
}

export interface RunningTarget {
  port: number;
  /** All instances, where there are several. */
  ports?: readonly number[];
  processes: readonly StartedProcess[];
  /** The request by which this system takes the batch. */
  encode(batch: EventBatch): Request;
  /**
   * What can be queried now, per place where it must be (table and rollup), or null for a system that keeps nothing.
   * `valueSum` is null where the system cannot tell, and may be while fewer than the expected events are there.
   */
  stored: ((expectedEvents: number) => Promise<StoredTotals[]>) | null;
  /** Whether an answer already means that the events can be queried; the clock then stops at the last answer. */
  queryableOnAnswer: boolean;
  /** False when it had to be killed. */
  stop(): Promise<boolean>;
}

export interface Totals {
  events: number;
  valueSum: number;
}

export interface StoredTotals {
  place: string;
  events: number;
  valueSum: number | null;
}

const settlePollMs = 20;

/** Waits until all of it can be queried everywhere; gives what is wrong, nothing if all is right. */
export async function settle(target: RunningTarget, expected: Totals, timeoutMs: number): Promise<string[]> {
  if (!target.stored) return [];
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const stored = await target.stored(expected.events);
    const arrived = stored.every(({ events }) => events >= expected.events);
    if (arrived || Date.now() > deadline) return stored.flatMap((totals) => difference(totals, expected));
    await Bun.sleep(settlePollMs);
  }
}

function difference({ place, events, valueSum }: StoredTotals, expected: Totals): string[] {
  const off = events - expected.events;
  if (off !== 0) return [`${place}: ${Math.abs(off)} events ${off < 0 ? "lost" : "too many"} of ${expected.events}`];
  if (valueSum === null || Math.abs(valueSum - expected.valueSum) <= Math.abs(expected.valueSum) * 1e-12) return [];
  return [`${place}: the values sum to ${valueSum}, not ${expected.valueSum}`];
}

export function createRequest(options: {
  port: number;
  path: string;
  contentType: string;
  body: Uint8Array | string;
  batch: EventBatch;
  headers?: Record<string, string>;
}): Request {
  const body = Buffer.from(options.body);
  const extra = Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  const head =
    `POST ${options.path} HTTP/1.1\r\nHost: 127.0.0.1:${options.port}\r\n` +
    `Content-Type: ${options.contentType}\r\nContent-Length: ${body.length}\r\n${extra.join("")}\r\n`;
  return {
    bytes: Buffer.concat([Buffer.from(head), body]),
    bodyBytes: body.length,
    events: options.batch.events.length,
    valueSum: options.batch.valueSum,
  };
}

/** The form that Sluice, the predecessor and the bare servers take. */
export function createJsonRequest(port: number, batch: EventBatch): Request {
  const body = JSON.stringify({ events: batch.events });
  return createRequest({ port, path: "/ingest", contentType: "application/json", body, batch });
}

/** InfluxDB's line protocol; the event type is the measurement, without a time of its own. */
export function createLineRequest(port: number, path: string, batch: EventBatch): Request {
  const lines = batch.events.map(({ device_id, event_type, value_float, metadata }) => {
    const tags = Object.entries(metadata ?? {}).map(([key, value]) => `,${key}=${value}`);
    return `${event_type},device_id=${device_id}${tags.join("")} value=${value_float}`;
  });
  return createRequest({ port, path, contentType: "text/plain", body: lines.join("\n"), batch });
}

/** Starts the target, measures, stops it; usage is counted from the call of `begin` to that of the function it gives. */
export async function withTarget<Running extends RunningTarget>(
  target: Target<Running>,
  measure: (running: Running, begin: () => () => Run["processes"]) => Promise<Omit<Run, "processes">>,
): Promise<Run> {
  const running = await target.start();
  let processes: Run["processes"] = [];
  const begin = () => {
    const read = startUsage(running.processes);
    return () => {
      processes = read();
      return processes;
    };
  };
  let stopped = true;
  let run: Omit<Run, "processes">;
  try {
    run = await measure(running, begin);
  } finally {
    stopped = await running.stop();
  }
  const problems = stopped ? run.problems : [...run.problems, `${target.name} did not stop when asked`];
  return { metrics: run.metrics, processes, problems };
}
