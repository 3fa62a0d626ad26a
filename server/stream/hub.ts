import type { AlertsUpdate } from "../../contract/alerts.ts";
import type { StoredEvent } from "../../contract/event.ts";
import type { Update } from "../../contract/stream.ts";
import { errorResponse } from "../http/errors.ts";
import { DeviceWatch } from "./device-watch.ts";
import { FanOutMeter } from "./fan-out-meter.ts";
import { encodeAlerts, encodeGreeting, heartbeat, joined } from "./frames.ts";
import { StreamGroups } from "./groups.ts";
import { OpenStream, type StreamRestrictions } from "./open-stream.ts";
import { parseStreamParameters } from "./stream-parameters.ts";

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

/** INTERFACE promises 5 s; a beat may be a second late. */
const heartbeatMs = 3_500;
const retryMinMs = 1_000;
const retrySpreadMs = 2_000;
const retryAfterSeconds = 5;
const streamHeaders = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};

/**
 * Every open stream gets the same bytes, at the same time, or the latest ones when it is ready for more.
 *
 * Measured, frames of 2 KB at 4 Hz, readers on the same 2 shared cores: 5,000 streams 47 ms of CPU a broadcast, 10,000
 * streams 99 ms, that is 10 µs a stream, nearly all in the kernel's send; the loop here is 1 to 2 ms of it. 6 KB of memory
 * a stream (44 → 75 MB with 5,000, 43 → 102 MB with 10,000). 1,000 streams, 100 of them stalled: 83 MB after 50
 * broadcasts of 300 KB, 83 MB after 300.
 */
export function createStreamHub(deps: StreamHubDeps, options: StreamHubOptions): StreamHub {
  return new Hub(deps, options);
}

class Hub implements StreamHub {
  readonly #deps: StreamHubDeps;
  readonly #options: StreamHubOptions;
  readonly #groups: StreamGroups;
  readonly #viewers = new Map<string, number>();
  readonly #watch: DeviceWatch<OpenStream>;
  readonly #restricted = new Set<OpenStream>();
  readonly #meter = new FanOutMeter();
  /** The newest `event: alerts`; null: to be made when somebody wants it. */
  #alerts: Uint8Array | null = null;
  #streams = 0;
  #published = 0;
  #conflated = 0;
  #lastSentMs: number;
  #stopped = false;

  constructor(deps: StreamHubDeps, options: StreamHubOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#groups = new StreamGroups({
      now: () => deps.now(),
      buildUpdate: (limit) => deps.buildUpdate(limit),
      run: Math.floor(deps.random() * 2 ** 40).toString(36),
    });
    this.#watch = new DeviceWatch(deps.now);
    this.#lastSentMs = deps.now();
  }

  get watchedDevices(): StreamHub["watchedDevices"] {
    return this.#watch;
  }

  get stats(): StreamHubStats {
    return {
      streams: this.#streams,
      published: this.#published,
      conflated: this.#conflated,
      fanOutMs: this.#meter.lastMs,
    };
  }

  handle(
    request: Request,
    server: StreamServer,
    viewer = "",
    restrictions: StreamRestrictions | null = null,
  ): Response {
    const refused = this.#refusal(request, viewer);
    if (refused) return refused;
    const asked = parseStreamParameters(new URL(request.url).searchParams);
    if (asked instanceof Response) return asked;
    // Who only asks for the headers gets no stream of their own.
    if (request.method === "HEAD") return new Response(new ReadableStream(), { headers: streamHeaders });
    server.timeout(request, 0);
    const lastEventId = request.headers.get("last-event-id");
    let stream: OpenStream | null = null;
    const leave = () => {
      if (stream) this.#remove(stream);
    };
    const body = new ReadableStream<Uint8Array>({
      start: (controller: ReadableStreamDefaultController<Uint8Array>) => {
        stream = new OpenStream(
          { group: this.#groups.of(asked.limit), deviceId: asked.deviceId, viewer, restrictions },
          controller,
          (gone) => this.#remove(gone),
        );
        this.#add(stream, lastEventId);
      },
      pull: () => {
        this.#meter.taken();
        stream?.flush(this.#alerts);
      },
      cancel: leave,
    });
    request.signal.addEventListener("abort", leave, { once: true });
    // A client that had gone before the listener was there is not announced again.
    if (request.signal.aborted) leave();
    return new Response(body, { headers: streamHeaders });
  }

  publish(): void {
    if (this.#groups.size === 0) return;
    this.#meter.begin();
    const nowMs = this.#deps.now();
    this.#published++;
    this.#groups.advance(nowMs);
    for (const { streams, latest } of this.#groups) {
      for (const stream of streams) {
        if (stream.isReady) {
          stream.behind = false;
          stream.write(latest);
        } else {
          if (stream.behind) this.#conflated++;
          stream.behind = true;
        }
      }
    }
    this.#lastSentMs = nowMs;
    this.#meter.handedOver();
  }

  beat(): void {
    const nowMs = this.#deps.now();
    for (const stream of this.#restricted)
      if (stream.restrictions && nowMs >= stream.restrictions.untilMs) stream.end();
    this.#groups.forgetIdle(nowMs);
    // A clock set back must not silence the heartbeat.
    if (nowMs >= this.#lastSentMs && nowMs - this.#lastSentMs < heartbeatMs) return;
    this.#lastSentMs = nowMs;
    for (const { streams } of this.#groups) for (const stream of streams) if (stream.hasRoom) stream.write(heartbeat);
  }

  alertsChanged(): void {
    this.#alerts = null;
    if (this.#streams === 0) return;
    const alerts = this.#currentAlerts();
    if (alerts === null) return;
    for (const stream of this.#unrestricted()) {
      stream.alertsBehind = !stream.isReady;
      if (!stream.alertsBehind) stream.write(alerts);
    }
  }

  offerDevice(event: StoredEvent): void {
    this.#watch.offer(event, (stream, encode) => {
      stream.skipped = stream.trySend(encode(stream.skipped)) ? 0 : stream.skipped + 1;
    });
  }

  announce(count: number, encode: (missed: number) => Uint8Array): void {
    const shared = encode(0);
    for (const stream of this.#unrestricted()) {
      const bytes = stream.missed === 0 ? shared : encode(stream.missed);
      stream.missed = stream.trySend(bytes) ? 0 : stream.missed + count;
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const { streams } of this.#groups) for (const stream of streams) stream.end();
    this.#groups.clear();
  }

  dismiss(viewer: string): void {
    for (const stream of this.#restricted) if (stream.viewer === viewer) stream.end();
  }

  /** The streams of who sees the whole fleet. */
  *#unrestricted(): Iterable<OpenStream> {
    for (const { streams } of this.#groups) {
      for (const stream of streams) if (!stream.restrictions?.updatesOnly) yield stream;
    }
  }

  #refusal({ method }: Request, viewer: string): Response | null {
    if (method !== "GET" && method !== "HEAD") {
      return errorResponse("method_not_allowed", "the method must be GET or HEAD", undefined, { Allow: "GET, HEAD" });
    }
    if (this.#stopped) return errorResponse("shutting_down", "the service is shutting down");
    const { streamsMax, streamsPerViewerMax } = this.#options;
    const isFull = this.#streams >= streamsMax;
    if (!isFull && (this.#viewers.get(viewer) ?? 0) < streamsPerViewerMax) return null;
    const whose = isFull ? `${streamsMax} streams` : `${streamsPerViewerMax} streams of this viewer`;
    const headers = { "Retry-After": String(retryAfterSeconds) };
    return errorResponse("too_many_streams", `${whose} are open`, undefined, headers);
  }

  #add(stream: OpenStream, lastEventId: string | null): void {
    const { viewer, deviceId, restrictions } = stream;
    const greeting = encodeGreeting(retryMinMs + Math.floor(this.#deps.random() * retrySpreadMs));
    const alerts = restrictions?.updatesOnly ? null : this.#currentAlerts();
    const opening = this.#groups.opening(stream.group, lastEventId);
    stream.write(joined([greeting, ...opening, ...(alerts === null ? [] : [alerts])]));
    stream.group.streams.add(stream);
    if (restrictions !== null) this.#restricted.add(stream);
    this.#streams++;
    this.#viewers.set(viewer, (this.#viewers.get(viewer) ?? 0) + 1);
    if (deviceId !== null) this.#watch.add(deviceId, stream);
  }

  /** Idempotent: abort, cancel, a failed write and `stop` all come here, in any order. */
  #remove(stream: OpenStream): void {
    const { streams } = stream.group;
    if (!streams.delete(stream)) return;
    const { viewer, deviceId } = stream;
    this.#restricted.delete(stream);
    this.#streams--;
    if (streams.size === 0) stream.group.emptySince = this.#deps.now();
    const left = (this.#viewers.get(viewer) ?? 1) - 1;
    if (left === 0) this.#viewers.delete(viewer);
    else this.#viewers.set(viewer, left);
    if (deviceId !== null) this.#watch.remove(deviceId, stream);
  }

  #currentAlerts(): Uint8Array | null {
    const { buildAlerts } = this.#deps;
    if (buildAlerts !== undefined) this.#alerts ??= encodeAlerts(buildAlerts());
    return this.#alerts;
  }
}
