import type { AlertsUpdate } from "../../contract/alerts.ts";
import type { StoredEvent } from "../../contract/event.ts";
import { isLonger, limits } from "../../contract/limits.ts";
import type { Update } from "../../contract/stream.ts";
import { errorResponse } from "../http/errors.ts";
import { DeviceWatch } from "./device-watch.ts";
import { FanOutMeter } from "./fan-out-meter.ts";
import { createUpdateEncoder, encodeAlerts, encodeGreeting, FrameRing, heartbeat, joined } from "./frames.ts";

export interface StreamHubDeps {
  /** Epoch milliseconds. */
  now(): number;
  /** 0 ≤ x < 1. */
  random(): number;
  /** The present state, with at most `limit` types. */
  buildUpdate(limit: number): Update;
  /** What fires now, for `event: alerts`. Without it there is no such event. */
  buildAlerts?(): AlertsUpdate;
}

export interface StreamHubOptions {
  streamsMax: number;
  streamsPerViewerMax: number;
}

export interface StreamHub {
  /** GET /dashboard-stream. `viewer`: whom `streamsPerViewerMax` counts; default: everybody is one. */
  handle(request: Request, server: StreamServer, viewer?: string, restrictions?: StreamRestrictions): Response;
  /** Closes the restricted streams of a viewer who may not read any more. */
  dismiss(viewer: string): void;
  /** Sends the present state to every stream. */
  publish(): void;
  /** Call once a second or more often: heartbeats, and forgetting of what nobody reads. The ticker does. */
  beat(): void;
  /** Ids of the devices that a stream follows. The hot path asks `watchedDevices.size` first. */
  readonly watchedDevices: { readonly size: number; has(deviceId: string): boolean };
  /** One durable event of a watched device. */
  offerDevice(event: StoredEvent): void;
  /**
   * News of so many things for every stream, between two updates. A stream that has no room for it is told with the next: `encode`
   * gets how many things it has missed.
   */
  announce(count: number, encode: (missed: number) => Uint8Array): void;
  /** `event: alerts` is different: every stream gets it, at once or when it has room. */
  alertsChanged(): void;
  readonly stats: StreamHubStats;
  /** Closes every stream; further requests get 503. */
  stop(): void;
}

/** For who sees one view and not the fleet. */
export interface StreamRestrictions {
  /** No `changes` and no `alerts`. */
  readonly updatesOnly: boolean;
  /** Epoch milliseconds; then the stream ends. */
  readonly untilMs: number;
}

/** The part of `Bun.Server` that a stream needs. */
interface StreamServer {
  timeout(request: Request, seconds: number): void;
}

export interface StreamHubStats {
  readonly streams: number;
  readonly published: number;
  /** Updates that a slow reader did not get because a newer one took their place. */
  readonly conflated: number;
  /** How long the last `publish` kept this thread busy, in milliseconds, the sockets' writes included. */
  readonly fanOutMs: number;
}

/** An open stream. `pull` is called by Bun when the socket has taken what was enqueued before. */
interface Stream {
  readonly group: Group;
  readonly viewer: string;
  readonly deviceId: string | null;
  /** Null: none. */
  readonly restrictions: StreamRestrictions | null;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** Device events that wait for the socket; bounded by `waitingBytesMax`. */
  readonly waiting: Uint8Array[];
  waitingBytes: number;
  /** Device events that found no place since the last one that did. */
  skipped: number;
  /** The same of announcements, by the count that each has. */
  missed: number;
  /** An update was published that this stream has not got. */
  behind: boolean;
  /** The same of what fires. */
  alertsBehind: boolean;
}

/** The streams with one limit: the same bytes for all. */
interface Group {
  readonly limit: number;
  readonly streams: Set<Stream>;
  readonly ring: FrameRing;
  latest: Uint8Array;
  latestAt: number;
  emptySince: number;
}

/** Replay of one limit's updates: at 2 KB and ten a second, 25 seconds. 200 limits would be 100 MB; seldom are there three. */
const replayBytesMax = 512 * 1024;
/** A group nobody reads goes on for this long, so that a reconnecting stream misses nothing. */
const lingerMs = 15_000;
/** Groups that linger; past it the one that is empty for longest goes at once. */
const lingeringMax = 8;
/** INTERFACE promises 5 s; a beat may be a second late. */
const heartbeatMs = 3_500;
/** A snapshot this young is good enough for a stream that opens; a thousand that come back at once share one. */
const snapshotMs = 100;
const retryMinMs = 1_000;
const retrySpreadMs = 2_000;
const retryAfterSeconds = 5;
const streamHeaders = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};
const waitingEventsMax = limits.deviceEventsPerSecond;
const waitingBytesMax = 256 * 1024;

/**
 * Every open stream gets the same bytes, at the same time, or the latest ones when it is ready for more.
 *
 * A `ReadableStream` whose chunk the socket has not taken has no room (`desiredSize` 0), and Bun calls `pull` when it has: so
 * a reader that stalls holds one chunk here, beside what the kernel buffers (4.3 MB on Linux's loopback).
 *
 * Measured, frames of 2 KB at 4 Hz, readers on the same 2 shared cores: 5,000 streams 47 ms of CPU a broadcast, 10,000
 * streams 99 ms, that is 10 µs a stream, nearly all in the kernel's send; the loop here is 1 to 2 ms of it. 6 KB of memory a stream
 * (44 → 75 MB with 5,000, 43 → 102 MB with 10,000). 1,000 streams, 100 of them stalled: 83 MB after 50 broadcasts of
 * 300 KB, 83 MB after 300.
 */
export function createStreamHub(deps: StreamHubDeps, options: StreamHubOptions): StreamHub {
  const epoch = Math.floor(deps.random() * 2 ** 40).toString(36);
  const groups = new Map<number, Group>();
  const viewers = new Map<string, number>();
  const watch = new DeviceWatch<Stream>(deps.now);
  const restricted = new Set<Stream>();
  /** The newest `event: alerts`; null: to be made when somebody wants it. */
  let alerts: Uint8Array | null = null;
  let sequence = 0;
  let streams = 0;
  let published = 0;
  let conflated = 0;
  let lastSentAt = deps.now();
  let stopped = false;
  const meter = new FanOutMeter();

  const idOf = (number: number) => `${epoch}-${number}`;

  /** Idempotent: abort, cancel, a failed write and `stop` all come here, in any order. */
  function remove(stream: Stream): void {
    if (!stream.group.streams.delete(stream)) return;
    restricted.delete(stream);
    streams--;
    if (stream.group.streams.size === 0) stream.group.emptySince = deps.now();
    const left = (viewers.get(stream.viewer) ?? 1) - 1;
    if (left === 0) viewers.delete(stream.viewer);
    else viewers.set(stream.viewer, left);
    if (stream.deviceId !== null) watch.remove(stream.deviceId, stream);
  }

  function write(stream: Stream, bytes: Uint8Array): void {
    try {
      stream.controller.enqueue(bytes);
    } catch {
      // The stream was closed or errored under us: its reader is gone, and so is the stream.
      remove(stream);
    }
  }

  function end(stream: Stream): void {
    remove(stream);
    try {
      stream.controller.close();
    } catch {
      // Its reader left in the same moment.
    }
  }

  const hasRoom = (stream: Stream) => (stream.controller.desiredSize ?? 0) > 0;

  /** The socket has room again: what waited, then the latest state, as one chunk. */
  function flush(stream: Stream): void {
    if (stream.waiting.length === 0 && !stream.behind && !stream.alertsBehind) return;
    const chunks = stream.waiting.splice(0);
    stream.waitingBytes = 0;
    if (stream.alertsBehind && alerts !== null) chunks.push(alerts);
    if (stream.behind) chunks.push(stream.group.latest);
    stream.alertsBehind = false;
    stream.behind = false;
    write(stream, joined(chunks));
  }

  /** Sends at once, or keeps for when the socket has room; false: there is no place for it. */
  function trySend(stream: Stream, bytes: Uint8Array): boolean {
    if (hasRoom(stream) && stream.waiting.length === 0) {
      write(stream, bytes);
      return true;
    }
    const fits = stream.waiting.length === 0 || stream.waitingBytes + bytes.length <= waitingBytesMax;
    if (stream.waiting.length >= waitingEventsMax || !fits) return false;
    stream.waiting.push(bytes);
    stream.waitingBytes += bytes.length;
    return true;
  }

  function sendDeviceEvent(stream: Stream, encode: (skipped: number) => Uint8Array): void {
    stream.skipped = trySend(stream, encode(stream.skipped)) ? 0 : stream.skipped + 1;
  }

  function groupOf(limit: number): Group {
    let group = groups.get(limit);
    if (!group) {
      group = {
        limit,
        streams: new Set(),
        ring: new FrameRing(replayBytesMax),
        latest: heartbeat,
        latestAt: Number.NEGATIVE_INFINITY,
        emptySince: deps.now(),
      };
      groups.set(limit, group);
    }
    return group;
  }

  function snapshot(group: Group): Uint8Array {
    const now = deps.now();
    if (Math.abs(now - group.latestAt) >= snapshotMs) {
      group.latest = createUpdateEncoder(deps.buildUpdate(group.limit), idOf(sequence))(group.limit);
      group.latestAt = now;
    }
    return group.latest;
  }

  /** What a stream begins with: what it missed, when that is still known, else the state as it is. */
  function opening(group: Group, lastEventId: string | null): Uint8Array[] {
    const match = lastEventId === null ? null : /^([0-9a-z]+)-(\d{1,15})$/.exec(lastEventId);
    if (match && match[1] === epoch) {
      const seen = Number(match[2]);
      const missed = seen > sequence ? null : group.ring.after(seen);
      if (missed && missed.length > 0) return missed;
    }
    return [snapshot(group)];
  }

  function open(
    controller: ReadableStreamDefaultController<Uint8Array>,
    group: Group,
    viewer: string,
    deviceId: string | null,
    lastEventId: string | null,
    restrictions: StreamRestrictions | null,
  ): Stream {
    const stream: Stream = {
      group,
      viewer,
      deviceId,
      restrictions,
      controller,
      waiting: [],
      waitingBytes: 0,
      skipped: 0,
      missed: 0,
      behind: false,
      alertsBehind: false,
    };
    const greeting = encodeGreeting(retryMinMs + Math.floor(deps.random() * retrySpreadMs));
    alerts ??= deps.buildAlerts === undefined ? null : encodeAlerts(deps.buildAlerts());
    controller.enqueue(
      joined([
        greeting,
        ...opening(group, lastEventId),
        ...(alerts === null || restrictions?.updatesOnly ? [] : [alerts]),
      ]),
    );
    group.streams.add(stream);
    if (restrictions !== null) restricted.add(stream);
    streams++;
    viewers.set(viewer, (viewers.get(viewer) ?? 0) + 1);
    if (deviceId !== null) watch.add(deviceId, stream);
    return stream;
  }

  function refusal(request: Request, viewer: string): Response | null {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return errorResponse("method_not_allowed", "allowed is GET, HEAD", undefined, { Allow: "GET, HEAD" });
    }
    if (stopped) return errorResponse("shutting_down", "the service is shutting down");
    const full = streams >= options.streamsMax;
    if (full || (viewers.get(viewer) ?? 0) >= options.streamsPerViewerMax) {
      const whose = full ? `${options.streamsMax} streams` : `${options.streamsPerViewerMax} streams of this viewer`;
      return errorResponse("too_many_streams", `${whose} are open`, undefined, {
        "Retry-After": String(retryAfterSeconds),
      });
    }
    return null;
  }

  return {
    watchedDevices: watch,
    get stats() {
      return { streams, published, conflated, fanOutMs: meter.lastMs };
    },

    handle(request, server, viewer = "", restrictions) {
      const refused = refusal(request, viewer);
      if (refused) return refused;
      const query = new URL(request.url).searchParams;
      const unknown = [...query.keys()].find((name) => name !== "limit" && name !== "device");
      if (unknown !== undefined) {
        const known = "not a parameter of this route, which has limit, device";
        return errorResponse("invalid_parameter", `${unknown.slice(0, 64)}: ${known}`);
      }
      const limit = parseLimit(query.get("limit"));
      if (limit === null) {
        return errorResponse("invalid_parameter", `limit: allowed is 1 to ${limits.streamTypesMax}`);
      }
      const deviceId = query.get("device");
      if (deviceId !== null && (deviceId === "" || isLonger(deviceId, limits.deviceIdCharacters))) {
        return errorResponse("invalid_parameter", `device: allowed are 1 to ${limits.deviceIdCharacters} characters`);
      }
      // Who only asks for the headers gets no stream of their own.
      if (request.method === "HEAD") return new Response(new ReadableStream(), { headers: streamHeaders });
      server.timeout(request, 0);
      const lastEventId = request.headers.get("last-event-id");
      let stream: Stream | null = null;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          stream = open(controller, groupOf(limit), viewer, deviceId, lastEventId, restrictions ?? null);
        },
        pull() {
          meter.taken();
          if (stream) flush(stream);
        },
        cancel() {
          if (stream) remove(stream);
        },
      });
      const leave = () => stream && remove(stream);
      request.signal.addEventListener("abort", leave, { once: true });
      // A client that had gone before the listener was there is not announced again.
      if (request.signal.aborted) leave();
      return new Response(body, { headers: streamHeaders });
    },

    publish() {
      if (groups.size === 0) return;
      meter.begin();
      const now = deps.now();
      sequence++;
      published++;
      const encode = createUpdateEncoder(deps.buildUpdate(Math.max(...groups.keys())), idOf(sequence));
      for (const group of groups.values()) {
        group.latest = encode(group.limit);
        group.latestAt = now;
        group.ring.push(sequence, group.latest);
        for (const stream of group.streams) {
          if (hasRoom(stream) && stream.waiting.length === 0) {
            stream.behind = false;
            write(stream, group.latest);
          } else {
            if (stream.behind) conflated++;
            stream.behind = true;
          }
        }
      }
      lastSentAt = now;
      meter.handedOver();
    },

    beat() {
      const now = deps.now();
      for (const stream of restricted) if (stream.restrictions && now >= stream.restrictions.untilMs) end(stream);
      const lingering = [...groups.values()]
        .filter((group) => group.streams.size === 0)
        .sort((a, b) => b.emptySince - a.emptySince);
      for (const [index, group] of lingering.entries()) {
        if (index >= lingeringMax || now - group.emptySince >= lingerMs) groups.delete(group.limit);
      }
      // A clock set back must not silence the heartbeat.
      if (now >= lastSentAt && now - lastSentAt < heartbeatMs) return;
      lastSentAt = now;
      for (const group of groups.values()) {
        for (const stream of group.streams) if (hasRoom(stream)) write(stream, heartbeat);
      }
    },

    alertsChanged() {
      alerts = null;
      if (streams === 0 || deps.buildAlerts === undefined) return;
      alerts = encodeAlerts(deps.buildAlerts());
      for (const group of groups.values()) {
        for (const stream of group.streams) {
          if (stream.restrictions?.updatesOnly) continue;
          stream.alertsBehind = !hasRoom(stream) || stream.waiting.length > 0;
          if (!stream.alertsBehind) write(stream, alerts);
        }
      }
    },

    offerDevice(event) {
      watch.offer(event, sendDeviceEvent);
    },

    announce(count, encode) {
      const shared = encode(0);
      for (const group of groups.values()) {
        for (const stream of group.streams) {
          if (stream.restrictions?.updatesOnly) continue;
          const bytes = stream.missed === 0 ? shared : encode(stream.missed);
          stream.missed = trySend(stream, bytes) ? 0 : stream.missed + count;
        }
      }
    },

    stop() {
      stopped = true;
      for (const group of groups.values()) {
        for (const stream of group.streams) end(stream);
      }
      groups.clear();
    },

    dismiss(viewer) {
      for (const stream of restricted) if (stream.viewer === viewer) end(stream);
    },
  };
}

function parseLimit(text: string | null): number | null {
  if (text === null) return limits.streamTypesDefault;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= limits.streamTypesMax ? limit : null;
}
