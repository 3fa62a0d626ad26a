import type { ErrorCode } from "../../contract/error.ts";
import type { Event, StoredEvent } from "../../contract/event.ts";
import type { EventError, IngestAnswer } from "../../contract/ingest.ts";
import { limits } from "../../contract/limits.ts";
import { decodeRow, LoneSurrogateError, RowBinaryReader, RowEncoder } from "../../contract/row.ts";
import type { WriterClient } from "../../workers/client.ts";
import { fileHeaderBytes, frameHeaderBytes } from "../../workers/journal/frame.ts";
import type { KeyRecord } from "../../workers/journal/journal.ts";
import type { Access, IngestPrincipal } from "../access/access.ts";
import { maxFrameBytes } from "../config/config.ts";
import { errorResponse } from "../http/errors.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import type { Share } from "../live-view/shared/share.ts";
import { type Accepted, Acknowledgements, type Durability, StoredWaiters } from "./acknowledgements.ts";
import { IdempotencyKeys } from "./idempotency.ts";
import { EventScanner, TypeNames } from "./json-scanner.ts";
import { malformedLine, type ParsedRequest, parseJson, parseNdjson, tooManyEvents } from "./parse.ts";
import { type Body, createBodyReader, textOf } from "./request-body.ts";
import {
  boundedTimeMs,
  boundsFault,
  eventTimeMs,
  type Fault,
  isEvent,
  schemaFaults,
  surrogateFault,
} from "./validate.ts";

export interface IngestDeps {
  readonly access: Access;
  readonly writer: Pick<WriterClient, "ring" | "wake">;
  readonly aggregator: Pick<Aggregator, "types" | "queue" | "currentEpoch" | "fold" | "discard">;
  /** Follows single devices for the viewers who watch them. */
  readonly watch: {
    readonly watchedDevices: { readonly size: number; has(deviceId: string): boolean };
    offerDevice(event: StoredEvent): void;
  };
  /** Called after every push: the stream may have news, the epoch may be full. */
  readonly onAccepted: (rows: number) => void;
  /** Called after every answer. */
  readonly onAnswered: (status: number, durationMs: number) => void;
  /** A bug; what the client gets. */
  readonly onError: (error: unknown, request: Request) => Response;
  readonly now: () => number;
  /** With several instances: who has a key, across them. */
  readonly sharedKeys?: () => Pick<Share, "reserveKey" | "releaseKey"> | null;
}

export interface IngestOptions {
  readonly maxBodyBytes: number;
  readonly maxEvents: number;
  readonly bodyTimeoutMs: number;
  readonly inFlightMaxBytes: number;
  readonly maxClockSkewFutureMs: number;
  readonly maxEventAgeMs: number;
  readonly journalMaxBytes: number;
  readonly idempotencyMaxKeys: number;
}

export interface IngestCounts {
  /** Events that got, or will get, an answer of acceptance. */
  accepted: number;
  durable: number;
  /** The newest events found the journal full, and would again. */
  readonly journalFull: boolean;
  /** Requests that were refused. */
  readonly rejected: Map<ErrorCode, number>;
  /** The events in them, where they could be counted. */
  readonly rejectedEvents: Map<ErrorCode, number>;
}

export interface Ingest {
  /** POST /ingest. */
  handle(request: Request): Promise<Response>;
  readonly counts: IngestCounts;
  /** Before the first request: what an earlier run left. Its batches have the epochs from 1 on. */
  recover(keys: readonly KeyRecord[], batches: number): void;
  /** Reports of the writer thread, in its order. */
  durable(rows: number, cuts?: readonly number[]): void;
  refused(rows: number, reason: "journal_full" | "journal_failed", message: string): void;
  stored(epoch: number, complete: boolean): void;
  /** The shared journal does not answer: every request gets 503 at once, until this is null again. */
  away(reason: string | null): void;
  /**
   * From here on every request gets 503, one whose body is still on its way included. Resolves when every event that was taken
   * is durable; requests with `wait=stored` go on waiting, for what is flushed now.
   */
  close(): Promise<void>;
  /** Nothing will be confirmed any more: requests with `wait=stored` get their 202. Resolves when those are on their way. */
  giveUp(): Promise<void>;
}

const noMeta = new Uint8Array(0);
/** What a frame takes in an empty journal, above its rows and meta. */
const framingBytes = fileHeaderBytes + frameHeaderBytes;
const queuedHeaders = { "Content-Type": "application/json" };
const queuedInit = { status: 202, headers: queuedHeaders };
/** The answer to one event, by far the most frequent one. */
const queuedOne = answerText({ status: "queued", event_count: 1 });
const textEncoder = new TextEncoder();

function answerText(answer: IngestAnswer): string {
  return JSON.stringify(answer);
}

const waits = ["stored"] as const;
const errorModes = ["skip"] as const;

/** What the query asks for. */
interface Asked {
  /** `wait=stored` */
  readonly stored: boolean;
  /** `on_error=skip` */
  readonly skip: boolean;
}

const plainly: Asked = { stored: false, skip: false };

/** A value that this route does not know is refused: who asked for `wait=store` must not believe that it waited. */
function readAsked(query: string): Asked | { readonly fault: string } {
  if (query === "") return plainly;
  const parameters = new URLSearchParams(query);
  for (const [name, allowed] of [
    ["wait", waits],
    ["on_error", errorModes],
  ] as const) {
    const wrong = parameters.getAll(name).find((value) => !allowed.some((each) => each === value));
    if (wrong !== undefined) return { fault: `${name}: allowed is ${allowed.join(" or ")}` };
  }
  return { stored: parameters.has("wait"), skip: parameters.has("on_error") };
}

function storedAnswer(queued: string): Response {
  return new Response(queued.replace('"queued"', '"stored"'), { status: 200, headers: queuedHeaders });
}

/** What encoding one request came to. */
interface Encoded {
  readonly rowCount: number;
  readonly rejected: EventError[];
  /** How many events were invalid; `rejected` names at most `limits.errorDetails` of a refused request. */
  readonly rejectedCount: number;
  readonly watched: StoredEvent[];
  /** The observation queue is full, which the ring should have been before. */
  readonly overflow: boolean;
}

/**
 * The front door: read, parse, validate, encode once, hand over, wait until it is durable, answer.
 * One request is one frame in the ring, so it is accepted or refused as a whole.
 */
export function createIngest(deps: IngestDeps, options: IngestOptions): Ingest {
  const { access, writer, aggregator, watch, now } = deps;
  const encoder = new RowEncoder();
  const scanner = new EventScanner();
  const typeNames = new TypeNames();
  const acknowledgements = new Acknowledgements();
  const storedWaiters = new StoredWaiters();
  const keys = new IdempotencyKeys(options.idempotencyMaxKeys);
  const counts: IngestCounts = {
    accepted: 0,
    durable: 0,
    // Looked at when asked: a service that says "full" gets no request that could show otherwise.
    get journalFull() {
      const { ring } = writer;
      return unplacedBytes > 0 && ring.journalBytes + ring.usedBytes + unplacedBytes > options.journalMaxBytes;
    },
    rejected: new Map(),
    rejectedEvents: new Map(),
  };
  const bodies = createBodyReader({
    maxBodyBytes: options.maxBodyBytes,
    timeoutMs: options.bodyTimeoutMs,
    inFlightMaxBytes: options.inFlightMaxBytes,
  });
  const frameMaxBytes = maxFrameBytes({
    MAX_BODY_BYTES: options.maxBodyBytes,
    MAX_EVENTS_PER_REQUEST: options.maxEvents,
  });
  let closing = false;
  let awayBecause: string | null = null;
  let idle: (() => void) | undefined;
  /** Bytes that found no room in the journal when one was last asked for; 0 once some did. */
  let unplacedBytes = 0;
  /** Epochs of frames not yet durable, with their rows: what to fold, in order. */
  const unfolded: { rows: number; epoch: number }[] = [];

  const refuse: typeof errorResponse = (code, message, extra, headers) => {
    counts.rejected.set(code, (counts.rejected.get(code) ?? 0) + 1);
    return errorResponse(code, message, extra, headers);
  };

  function countEvents(code: ErrorCode, events: number): void {
    counts.rejectedEvents.set(code, (counts.rejectedEvents.get(code) ?? 0) + events);
  }

  async function handle(request: Request): Promise<Response> {
    const startedMs = performance.now();
    let response: Response;
    try {
      response = await answerTo(request);
    } catch (error) {
      response = deps.onError(error, request);
    }
    deps.onAnswered(response.status, performance.now() - startedMs);
    return response;
  }

  async function answerTo(request: Request): Promise<Response> {
    if (request.method !== "POST")
      return refuse("method_not_allowed", "POST events here", undefined, { Allow: "POST" });
    if (closing) return refuse("shutting_down", "the service is shutting down");
    if (awayBecause !== null) return refuse("journal_failed", `${awayBecause}; nothing was accepted`);
    const principal = access.ingest(request);
    if (principal instanceof Response) return principal;
    const asked = readAsked(searchOf(request.url));
    if ("fault" in asked) return refuse("invalid_parameter", asked.fault);
    const key = request.headers.get("idempotency-key");
    const outcome = await (key === null
      ? take(request, principal, asked.skip, null)
      : takeOnce(request, principal, asked.skip, key));
    if (outcome instanceof Response) return outcome;
    const { answer, epoch } = outcome;
    // A replay waits like the first request: what counts is whether the events are stored, not who sent them.
    if (asked.stored && (await storedWaiters.wait(epoch, limits.waitStoredMs))) return storedAnswer(answer);
    return new Response(answer, queuedInit);
  }

  /** The same key from the same ingest key within an hour: the first answer again, nothing stored twice. */
  async function takeOnce(
    request: Request,
    principal: IngestPrincipal,
    skip: boolean,
    given: string,
  ): Promise<Accepted | Response> {
    if (given.length === 0 || given.length > limits.idempotencyKeyCharacters) {
      return refuse(
        "malformed_request",
        `Idempotency-Key: allowed are 1 to ${limits.idempotencyKeyCharacters} characters`,
      );
    }
    const key = `${principal.name}\0${given}`;
    const known = keys.find(key, now());
    if (known) return known;
    let outcome = keys.underWay(key);
    if (outcome === undefined) {
      if (!keys.tryReserve(now())) {
        return refuse("idempotency_full", "no more idempotency keys can be remembered now (IDEMPOTENCY_MAX_KEYS)");
      }
      outcome = keys.begin(key, () => takeFirst(request, principal, skip, key));
    }
    const settled = await outcome;
    return settled instanceof Response ? settled.clone() : settled;
  }

  /** The first request with a key here; another instance may have had one before. */
  async function takeFirst(
    request: Request,
    principal: IngestPrincipal,
    skip: boolean,
    key: string,
  ): Promise<Accepted | Response> {
    const shared = deps.sharedKeys?.();
    if (!shared) return take(request, principal, skip, key);
    const reserved = await shared.reserveKey(key);
    // In which cut the other instance's events are is not known here, so neither is when they are stored.
    if (reserved.kind === "answered") return { answer: reserved.answer, epoch: null };
    if (reserved.kind === "busy") {
      return refuse("journal_failed", "another instance is busy with this Idempotency-Key; nothing was accepted here");
    }
    if (reserved.kind === "away") return refuse("journal_failed", "Redis is away; nothing was accepted");
    const outcome = await take(request, principal, skip, key);
    if (outcome instanceof Response) shared.releaseKey(key);
    return outcome;
  }

  async function take(
    request: Request,
    principal: IngestPrincipal,
    skip: boolean,
    key: string | null,
  ): Promise<Accepted | Response> {
    const body = await bodies.read(request);
    if (!body.ok) return refuse(body.code, body.message);
    if (closing) return refuse("shutting_down", "the service is shutting down");

    // From here to the push nothing waits, so encoder, observation queue and ring see one request at a time.
    const mark = aggregator.queue.mark();
    let encoded: Encoded | Response;
    try {
      encoded = encodeScanned(body, principal, mark) ?? encodeParsed(body, principal, skip);
    } catch (error) {
      aggregator.queue.rewind(mark);
      throw error;
    }
    if (encoded instanceof Response) {
      aggregator.queue.rewind(mark);
      return encoded;
    }
    if (encoded.rejectedCount > 0 && !skip) {
      aggregator.queue.rewind(mark);
      const eventCount = encoded.rowCount + encoded.rejectedCount;
      countEvents("invalid_events", eventCount);
      return refuse(
        "invalid_events",
        `${encoded.rejectedCount} of ${eventCount} events are invalid; nothing was accepted`,
        { details: encoded.rejected, total: encoded.rejectedCount },
      );
    }
    if (encoded.rejectedCount > 0) countEvents("invalid_events", encoded.rejectedCount);
    const answer =
      encoded.rowCount === 1 && encoded.rejectedCount === 0
        ? queuedOne
        : answerText({
            status: "queued",
            event_count: encoded.rowCount,
            ...(encoded.rejectedCount > 0 ? { rejected: encoded.rejected, rejected_count: encoded.rejectedCount } : {}),
          });
    // Nothing to store is stored from the start.
    if (encoded.rowCount === 0) return { answer, epoch: 0 };

    const atMs = now();
    const epoch = aggregator.currentEpoch;
    const refusal = encoded.overflow
      ? refuseFull()
      : push(encoded.rowCount, epoch, key === null ? noMeta : keyMeta({ key, atMs, answer }));
    if (refusal) {
      aggregator.queue.rewind(mark);
      return refusal;
    }
    const durability = await acknowledgements.wait(encoded.rowCount);
    if (!durability.ok) return refuseDurability(durability);
    if (key !== null) keys.remember(key, { answer, epoch, atMs });
    for (const event of encoded.watched) watch.offerDevice(event);
    return { answer, epoch };
  }

  /** A body of everyday events, without a detour by objects; null when it is another, and nothing has happened. */
  function encodeScanned(body: Body, principal: IngestPrincipal, mark: number): Encoded | Response | null {
    if (principal.devicePrefix !== null || !scanner.open(body.bytes, body.ndjson)) return null;
    const nowMs = now();
    const nowSecond = Math.floor(nowMs / 1000);
    let rowCount = 0;
    let overflow = false;
    const watched: StoredEvent[] = [];
    const { types, queue } = aggregator;
    const watching = watch.watchedDevices.size > 0;
    encoder.reset();
    for (;;) {
      const step = scanner.next();
      if (step === "end") break;
      let timeMs: number | Fault = nowMs;
      // Of an event in doubt nothing that was read holds: it may be of the body before.
      if (step === "event" && scanner.hasTimestamp) timeMs = boundedTimeMs(scanner.timestamp, nowMs, options);
      if (step === "doubt" || typeof timeMs !== "number" || rowCount === options.maxEvents) {
        queue.rewind(mark);
        return null;
      }
      const before = encoder.byteLength;
      encoder.encodeScanned(scanner, timeMs, nowMs);
      overflow ||= !queue.push(
        types.indexOf(typeNames.nameOf(scanner)),
        timeMs === nowMs ? nowSecond : Math.floor(timeMs / 1000),
        scanner.value,
        scanner.deviceHashA,
        scanner.deviceHashB,
      );
      if (watching && watch.watchedDevices.has(scanner.deviceId)) {
        watched.push(decodeRow(new RowBinaryReader(encoder.bytes(), before)));
      }
      rowCount++;
    }
    return takeEvents(principal, rowCount) ?? { rowCount, rejected: [], rejectedCount: 0, watched, overflow };
  }

  /** Any body: what is wrong with it is found here. */
  function encodeParsed(body: Body, principal: IngestPrincipal, skip: boolean): Encoded | Response {
    const text = textOf(body);
    const parsed = body.ndjson ? parseNdjson(text, skip, options.maxEvents) : parseJson(text);
    if (!parsed.ok) return refuseParsed(parsed);
    const { events } = parsed;
    if (events.length > options.maxEvents) {
      countEvents("too_many_events", events.length);
      return refuse("too_many_events", tooManyEvents(events.length, options.maxEvents));
    }
    encoder.reset();
    return takeEvents(principal, events.length) ?? encode(events, parsed.malformed, principal);
  }

  /** The rate limit's refusal, if it has one. */
  function takeEvents(principal: IngestPrincipal, events: number): Response | undefined {
    const limited = principal.takeEvents(events);
    if (limited) countEvents("rate_limited", events);
    return limited;
  }

  /** Validates and encodes; observations of good events are pushed on the way, and rewound by the caller on refusal. */
  function encode(events: readonly unknown[], malformed: readonly EventError[], principal: IngestPrincipal): Encoded {
    const nowMs = now();
    const rejected: EventError[] = [...malformed];
    let rejectedCount = malformed.length;
    let rowCount = 0;
    let overflow = false;
    const watched: StoredEvent[] = [];
    const { types, queue } = aggregator;
    const watching = watch.watchedDevices.size > 0;
    for (let index = 0; index < events.length; index++) {
      const event = events[index];
      if (event === malformedLine) continue;
      const faults = !isEvent(event) ? schemaFaults(event) : encodeEvent(event);
      if (faults === undefined) {
        rowCount++;
        continue;
      }
      rejectedCount++;
      for (const fault of faults) if (rejected.length < limits.errorDetails) rejected.push({ index, ...fault });
    }
    if (malformed.length > 0) rejected.sort((a, b) => a.index - b.index);
    return { rowCount, rejected: rejected.slice(0, limits.errorDetails), rejectedCount, watched, overflow };

    function encodeEvent(event: Event): Fault[] | undefined {
      const timeMs = eventTimeMs(event, nowMs, options);
      if (typeof timeMs !== "number") return [timeMs];
      const fault = boundsFault(event) ?? prefixFault(event, principal);
      if (fault) return [fault];
      const before = encoder.byteLength;
      try {
        encoder.encode(event, timeMs, nowMs);
      } catch (error) {
        if (!(error instanceof LoneSurrogateError)) throw error;
        encoder.rewind(before);
        return [surrogateFault(event)];
      }
      overflow ||= !queue.push(
        types.indexOf(event.event_type),
        Math.floor(timeMs / 1000),
        event.value_float ?? Number.NaN,
        encoder.deviceHashA,
        encoder.deviceHashB,
      );
      if (watching && watch.watchedDevices.has(event.device_id)) watched.push(asStored(event, timeMs, nowMs));
      return undefined;
    }
  }

  /** Hands the encoded rows to the writer thread, or says why they cannot be taken now. */
  function push(rowCount: number, epoch: number, meta: Uint8Array): Response | undefined {
    const rows = encoder.bytes();
    const { ring } = writer;
    if (rows.length > frameMaxBytes)
      return refuse("body_too_large", "the events are too large together (MAX_BODY_BYTES)");
    // "Full" would promise that it fits later.
    if (rows.length + meta.length + framingBytes > options.journalMaxBytes)
      return refuse("body_too_large", "the events are larger together than the whole journal (JOURNAL_MAX_BYTES)");
    if (ring.journalBytes + ring.usedBytes + rows.length > options.journalMaxBytes) {
      // A request larger than what a journal can hold must not make it seem full for ever.
      unplacedBytes = Math.min(rows.length, options.journalMaxBytes / 16);
      return refuse("journal_full", "the journal is full (JOURNAL_MAX_BYTES); nothing was accepted");
    }
    if (!ring.tryPush(rows, rowCount, epoch, meta)) {
      return refuseFull();
    }
    unplacedBytes = 0;
    unfolded.push({ rows: rowCount, epoch });
    counts.accepted += rowCount;
    writer.wake();
    deps.onAccepted(rowCount);
    return undefined;
  }

  function refuseFull(): Response {
    return refuse("ring_full", "the service is taking in as much as it can; nothing was accepted");
  }

  function refuseParsed(parsed: Extract<ParsedRequest, { ok: false }>): Response {
    if ("fault" in parsed) {
      return refuse("invalid_events", "the request is not a list of events; nothing was accepted", {
        details: [parsed.fault],
        total: 1,
      });
    }
    return refuse(parsed.code, parsed.message, parsed.position === undefined ? {} : { position: parsed.position });
  }

  function refuseDurability(durability: Extract<Durability, { ok: false }>): Response {
    const what = durability.reason === "journal_full" ? "the journal is full" : "the journal cannot be written";
    return refuse(durability.reason, `${what}; nothing was accepted`);
  }

  return {
    handle,
    counts,
    recover(records, batches) {
      keys.recover(records, batches);
      storedWaiters.recovered(batches);
    },
    durable(rows, cuts) {
      counts.durable += rows;
      forFrames(rows, (count, epoch) => aggregator.fold(count, cuts ?? epoch));
      acknowledgements.durable(rows);
      if (acknowledgements.waiting === 0) idle?.();
    },
    refused(rows, reason, message) {
      counts.accepted -= rows;
      forFrames(rows, (count) => aggregator.discard(count));
      acknowledgements.refused(rows, reason, message);
      if (acknowledgements.waiting === 0) idle?.();
    },
    stored: (epoch, complete) => storedWaiters.stored(epoch, complete),
    away(reason) {
      awayBecause = reason;
    },
    close() {
      closing = true;
      bodies.stop();
      return new Promise((resolve) => {
        if (acknowledgements.waiting === 0) resolve();
        else idle = resolve;
      });
    },
    giveUp() {
      storedWaiters.giveUp();
      return new Promise((resolve) => setImmediate(resolve));
    },
  };

  /** Calls `apply` once for each run of frames of one epoch among the `rows` oldest. */
  function forFrames(rows: number, apply: (count: number, epoch: number) => void): void {
    let left = rows;
    let taken = 0;
    while (left > 0) {
      const first = unfolded[taken];
      if (!first) throw new Error("the writer reported rows that were never pushed");
      let count = 0;
      let frame: typeof first | undefined = first;
      while (frame !== undefined && frame.epoch === first.epoch && count + frame.rows <= left) {
        count += frame.rows;
        taken++;
        frame = unfolded[taken];
      }
      if (count === 0) throw new Error("the writer split a frame");
      left -= count;
      apply(count, first.epoch);
    }
    unfolded.splice(0, taken);
  }
}

function prefixFault(event: Event, principal: IngestPrincipal): Fault | undefined {
  if (principal.devicePrefix === null || event.device_id.startsWith(principal.devicePrefix)) return undefined;
  return {
    path: "/device_id",
    message: `this key may write only devices whose id starts with ${principal.devicePrefix}`,
  };
}

function keyMeta(record: KeyRecord): Uint8Array {
  return textEncoder.encode(`${JSON.stringify(record)}\n`);
}

/** The query of a URL without parsing the URL; empty for nearly every request. */
function searchOf(url: string): string {
  const at = url.indexOf("?");
  return at === -1 ? "" : url.slice(at + 1);
}

function asStored(event: Event, timeMs: number, nowMs: number): StoredEvent {
  return {
    timestamp: new Date(timeMs).toISOString(),
    received_at: new Date(nowMs).toISOString(),
    device_id: event.device_id,
    event_type: event.event_type,
    value_float: event.value_float ?? null,
    value_string: event.value_string ?? null,
    metadata: event.metadata ?? {},
  };
}
