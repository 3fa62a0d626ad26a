import { checkDeviceId, type DeviceEvent, encodeEvent } from "./event.ts";
import { backoffMs, createPost, type EventFault, type Outcome, type RequestBatch } from "./request.ts";
import { type Counts, openSpool, type Store } from "./spool.ts";

export interface DeviceOptions {
  /** Of the service, as `https://sluice.example.org`. */
  readonly url: string;
  /** An ingest key; sent as bearer token. */
  readonly key?: string | undefined;
  readonly deviceId: string;
  /** A directory of this device alone, made when it is not there; null or absent: memory. */
  readonly spool?: string | null | undefined;
  /** Past it the oldest batches are evicted. Default 64 MiB on disk, 16 MiB in memory; at least 256 KiB. */
  readonly spoolMaxBytes?: number | undefined;
  /** Events that are sent at once, and at most in one request. Default 1000. */
  readonly batchEvents?: number | undefined;
  /** Fewer events are sent after this long. It is also what a power cut may cost. Default 1000. */
  readonly flushIntervalMs?: number | undefined;
  readonly fetch?: typeof fetch | undefined;
}

/**
 * Every event that `send` took is in exactly one of these. `damaged`: the disk did not give it back. With a spool on disk
 * the counts go on after a restart.
 */
export type DeviceStats = Readonly<Record<"queued" | Exclude<keyof Counts, "settled">, number>>;

/** What `on` reports. */
export interface DeviceReports {
  acknowledged: { readonly events: number };
  /** The oldest events were dropped, as the spool is full or cannot be written. */
  evicted: { readonly events: number; readonly reason: string };
  /** The service will never take these events. `faults` says why, of up to 100 of them. */
  refused: {
    readonly events: number;
    readonly reason: string;
    readonly faults: readonly (EventFault & { readonly event: string })[];
  };
  /** An attempt failed; the next one follows in `delayMs`. `status` is null when nobody answered. */
  retry: {
    readonly attempt: number;
    readonly delayMs: number;
    readonly status: number | null;
    readonly reason: string;
  };
}

export interface Device {
  /** Takes an event. Never waits for the network; throws a `TypeError` for an invalid event, an `Error` after `close`. */
  send(event: DeviceEvent): void;
  /** Sends what waits for its batch to fill. Resolves when every event sent before is settled; rejects when closed before. */
  flush(): Promise<void>;
  /**
   * Tries once more, whatever the backoff, for at most 5 s, then lets go of the spool. What is left there is sent after the
   * next start; what is left in memory is lost, and `stats.queued` says how much.
   */
  close(): Promise<void>;
  readonly stats: DeviceStats;
  /** Returns what removes the listener. */
  on<Name extends keyof DeviceReports>(name: Name, listener: (report: DeviceReports[Name]) => void): () => void;
}

const requestTimeoutMs = 30_000;
const longestBackoffMs = 30_000;
const closeTimeoutMs = 5_000;
const spoolMinBytes = 256 * 1024;
/** Small enough for any proxy in between, and for the memory of a small device. */
const batchMaxBytes = 1024 * 1024;
/** Smaller bodies are not worth the compression. */
const gzipMinBytes = 1024;
/** Answers that the same request would get again, when they are the service's own. */
const finalStatuses = new Set([400, 415, 422]);
const tooLargeStatus = 413;

/** A batch on its way: in one request, or in pieces when the service finds it too large. */
interface Sending {
  readonly key: string;
  readonly events: readonly string[];
  size: number;
  done: number;
  refused: number;
}

interface Failure {
  readonly status: number | null;
  readonly retryAfterMs: number;
  readonly reason: string;
}

export function createDeviceOn(openStore: () => Store, defaultMaxBytes: number, options: DeviceOptions): Device {
  const { url, deviceId, key = "", batchEvents = 1000, flushIntervalMs = 1000 } = options;
  const maxBytes = options.spoolMaxBytes ?? defaultMaxBytes;
  checkOptions({ url, deviceId, key }, { batchEvents, flushIntervalMs, spoolMaxBytes: maxBytes });
  const eventMaxBytes = Math.min(batchMaxBytes, maxBytes / 8);
  const spool = openSpool(openStore(), {
    maxBytes,
    batchEvents,
    batchMaxBytes: eventMaxBytes,
    newKey,
    onEvicted: (events, reason) => report("evicted", { events, reason }),
  });
  const post = createPost({
    url: url.replace(/\/+$/, ""),
    key,
    timeoutMs: requestTimeoutMs,
    skipInvalid: true,
    now: Date.now,
    fetch: options.fetch,
  });
  const listeners = new Map<keyof DeviceReports, Set<(report: never) => void>>();
  const giveUp = new AbortController();
  let sending: Sending | null = null;
  let request: RequestBatch | null = null;
  let delivering = Promise.resolve();
  let running = false;
  let closed: Promise<void> | null = null;
  /** Ends the present pause. One for events to gather may be ended earlier than one of the backoff. */
  let wake: { readonly gathering: boolean; readonly up: () => void } | null = null;
  let flushes: { readonly newest: number; readonly done: () => void; readonly failed: (error: Error) => void }[] = [];
  let flushTimer: ReturnType<typeof setTimeout> | undefined;

  function report<Name extends keyof DeviceReports>(name: Name, detail: DeviceReports[Name]): void {
    for (const listener of listeners.get(name) ?? []) {
      // Later, so that a listener may send; and one that throws does not stop the delivery.
      queueMicrotask(() => (listener as (report: DeviceReports[Name]) => void)(detail));
    }
  }

  function pause(ms: number, gathering: boolean): Promise<void> {
    return new Promise((resolve) => {
      const up = (): void => {
        clearTimeout(timer);
        wake = null;
        resolve();
      };
      const timer = setTimeout(up, ms);
      wake = { gathering, up };
    });
  }

  /** Runs while something is queued, so that an idle device keeps no process alive. */
  function start(): void {
    if (running || spool.queued === 0) return;
    running = true;
    delivering = deliver();
  }

  async function deliver(): Promise<void> {
    for (let attempt = 0; spool.queued > 0 && !giveUp.signal.aborted; ) {
      const gather = attempt === 0 && sending === null && !spool.due && flushes.length === 0 && closed === null;
      if (gather) await pause(flushIntervalMs, true);
      const last = closed !== null;
      const failure = await attemptBatch();
      settleFlushes();
      attempt = failure === null ? 0 : attempt + 1;
      if (failure === null) continue;
      if (last) break;
      const { status, reason } = failure;
      const delayMs = backoffMs(attempt - 1, failure.retryAfterMs, longestBackoffMs, Math.random);
      report("retry", { attempt, delayMs, status, reason });
      if (closed === null) await pause(delayMs, false);
    }
    // In the same turn as the last look at the queue: an event sent from here on starts it again.
    running = false;
  }

  /** Null when the batch, or a piece of it, is settled one way or the other. */
  async function attemptBatch(): Promise<Failure | null> {
    try {
      sending ??= await beginBatch();
      if (sending === null) return null;
      const piece = sending.events.slice(sending.done, sending.done + sending.size);
      const outcome = await post(await encoded(sending, piece), giveUp.signal);
      const settled = settlePiece(sending, piece, outcome);
      if (sending.done < sending.events.length) return settled;
      const { refused } = sending;
      sending = null;
      spool.settle(refused);
      return settled;
    } catch (error) {
      // The disk: without the key on it nothing is sent.
      return { status: null, retryAfterMs: 0, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  async function beginBatch(): Promise<Sending | null> {
    const batch = await spool.begin();
    if (batch?.events.length === 0) spool.settle(0);
    if (batch === null || batch.events.length === 0) return null;
    return { ...batch, size: batch.events.length, done: 0, refused: 0 };
  }

  function settlePiece(batch: Sending, piece: readonly string[], outcome: Outcome): Failure | null {
    if (outcome.kind === "unreachable") return { status: null, retryAfterMs: 0, reason: outcome.message };
    if (outcome.kind === "refused") return { ...outcome, reason: outcome.message };
    if (outcome.kind === "acknowledged") {
      if (outcome.refused > 0) refuse(batch, piece, outcome.refused, "invalid events", outcome.faults);
      report("acknowledged", { events: piece.length - outcome.refused });
    } else if (outcome.status === tooLargeStatus && piece.length > 1) {
      // From the batch's own length: after a crash the same halves come with the same keys.
      batch.size = Math.ceil(batch.size / 2);
      return null;
    } else if (outcome.status === tooLargeStatus || (outcome.bySluice && finalStatuses.has(outcome.status))) {
      refuse(batch, piece, piece.length, outcome.message, []);
    } else {
      // A wrong key, a wrong address, a captive portal: somebody can mend that, and then nothing is lost.
      return { status: outcome.status, retryAfterMs: 0, reason: outcome.message };
    }
    batch.done += piece.length;
    return null;
  }

  function refuse(
    batch: Sending,
    piece: readonly string[],
    events: number,
    reason: string,
    faults: readonly EventFault[],
  ): void {
    batch.refused += events;
    const named = faults.map((fault) => ({ ...fault, event: piece[fault.index] ?? "" }));
    report("refused", { events, reason, faults: named });
  }

  /** Compressed once, however many attempts it takes. */
  async function encoded({ key, events, done, size }: Sending, piece: readonly string[]): Promise<RequestBatch> {
    const idempotencyKey = size === events.length ? key : `${key}-${done}-${size}`;
    if (request?.idempotencyKey !== idempotencyKey) {
      const body = await compressed(`{"events":[${piece.join()}]}`);
      request = { idempotencyKey, body, eventCount: piece.length };
    }
    return request;
  }

  function settleFlushes(): void {
    for (const { done } of flushes.filter(({ newest }) => newest < spool.oldest)) done();
    flushes = flushes.filter(({ newest }) => newest >= spool.oldest);
  }

  function flushSpoolSoon(): void {
    flushTimer ??= setTimeout(() => {
      flushTimer = undefined;
      // The next attempt flushes again, and reports what is wrong with the disk.
      spool.flush().catch(() => undefined);
    }, flushIntervalMs);
  }

  async function end(): Promise<void> {
    const timer = setTimeout(() => giveUp.abort(), closeTimeoutMs);
    wake?.up();
    start();
    await delivering;
    clearTimeout(timer);
    clearTimeout(flushTimer);
    for (const { failed } of flushes) failed(new Error("the device was closed before everything was acknowledged"));
    await spool.flush().finally(() => spool.close());
  }

  start();
  return {
    send(event) {
      if (closed !== null) throw new Error("the device is closed");
      const text = encodeEvent(event, deviceId, Date.now());
      if (text.length > eventMaxBytes) throw new TypeError(`event must be at most ${eventMaxBytes} characters of JSON`);
      spool.append(text);
      flushSpoolSoon();
      start();
      if (spool.due && wake?.gathering === true) wake.up();
    },
    flush() {
      if (spool.queued === 0) return Promise.resolve();
      if (closed !== null) return Promise.reject(new Error("the device is closed"));
      return new Promise((done, failed) => {
        flushes.push({ newest: spool.newest, done, failed });
        if (wake?.gathering === true) wake.up();
      });
    },
    close() {
      // In the next turn: `end` must find that it is closed.
      closed ??= Promise.resolve().then(end);
      return closed;
    },
    get stats() {
      const { acknowledged, evicted, refused, damaged } = spool.counts;
      return { queued: spool.queued, acknowledged, evicted, refused, damaged };
    },
    on(name, listener) {
      const all = listeners.get(name) ?? new Set();
      listeners.set(name, all.add(listener));
      return () => void all.delete(listener);
    },
  };
}

/** Not `randomUUID`: a page without HTTPS has none. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function compressed(text: string): Promise<RequestBatch["body"]> {
  if (text.length < gzipMinBytes || typeof CompressionStream === "undefined") return text;
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const ranges = {
  batchEvents: [1, 10_000],
  flushIntervalMs: [0, 86_400_000],
  spoolMaxBytes: [spoolMinBytes, Number.MAX_SAFE_INTEGER],
} as const;

function checkOptions(
  { url, deviceId, key }: { url: string; deviceId: string; key: string },
  numbers: Record<keyof typeof ranges, number>,
): void {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new TypeError("url must be an http:// or https:// address");
  }
  checkDeviceId(deviceId);
  if (!/^[\x21-\x7e]*$/.test(key)) throw new TypeError("key must be visible ASCII characters");
  for (const name of ["batchEvents", "flushIntervalMs", "spoolMaxBytes"] as const) {
    const [min, max] = ranges[name];
    if (!Number.isInteger(numbers[name]) || numbers[name] < min || numbers[name] > max) {
      throw new TypeError(`${name} must be a whole number from ${min} to ${max}`);
    }
  }
}
