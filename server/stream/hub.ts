import type { StoredEvent } from "../contract/event.ts";
import type { Update } from "../contract/stream.ts";

export interface StreamHubDeps {
  /** Epoch milliseconds. */
  now(): number;
  /** 0 ≤ x < 1. */
  random(): number;
  /** The present state, with at most `limit` types. */
  buildUpdate(limit: number): Update;
}

export interface StreamHubOptions {
  streamsMax: number;
  streamsPerViewerMax: number;
}

export interface StreamHub {
  /** GET /dashboard-stream, in front of the app. `viewer`: whom `streamsPerViewerMax` counts; default: everybody is one. */
  handle(request: Request, server: Bun.Server<unknown>, viewer?: string): Response;
  /** Sends the present state to every stream. Returns what it took, in milliseconds. */
  publish(): number;
  /** Call at least once a second: heartbeats, groups nobody reads. The ticker does. */
  beat(): void;
  /** Ids of the devices that a stream follows. The hot path asks `watchedDevices.size` first. */
  readonly watchedDevices: { readonly size: number; has(deviceId: string): boolean };
  /** One durable event of a watched device. */
  offerDevice(event: StoredEvent): void;
  readonly size: number;
  /** Closes every stream; further requests get 503. */
  stop(): void;
}

export function createStreamHub(_deps: StreamHubDeps, _options: StreamHubOptions): StreamHub {
  throw new Error("not yet");
}
