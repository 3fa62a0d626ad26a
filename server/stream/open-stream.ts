import { limits } from "../../contract/limits.ts";
import { type FrameRing, joined } from "./frames.ts";

/** The streams with one limit: the same bytes for all. */
export interface Group {
  readonly limit: number;
  readonly streams: Set<OpenStream>;
  readonly ring: FrameRing;
  latest: Uint8Array;
  latestAt: number;
  emptySince: number;
}

/** For who sees one view and not the fleet. */
export interface StreamRestrictions {
  /** No `changes` and no `alerts`. */
  readonly updatesOnly: boolean;
  /** Epoch milliseconds; then the stream ends. */
  readonly untilMs: number;
}

/** Whose stream it is, and what it carries. */
export interface StreamTerms {
  readonly group: Group;
  readonly viewer: string;
  /** The device whose events it carries one by one. */
  readonly deviceId: string | null;
  readonly restrictions: StreamRestrictions | null;
}

const waitingEventsMax = limits.deviceEventsPerSecond;
const waitingBytesMax = 256 * 1024;

/**
 * One reader. A `ReadableStream` whose chunk the socket has not taken has no room (`desiredSize` 0), and Bun calls `pull`
 * when it has: so a reader that stalls holds one chunk here, beside what the kernel buffers (4.3 MB on Linux's loopback)
 * and the events that wait. Of updates and alerts nothing waits but that there are newer ones.
 */
export class OpenStream {
  readonly group: Group;
  readonly viewer: string;
  readonly deviceId: string | null;
  readonly restrictions: StreamRestrictions | null;
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  readonly #onGone: (stream: OpenStream) => void;
  /** Events that wait for the socket; bounded by `waitingEventsMax` and `waitingBytesMax`. */
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Device events that found no place since the last one that did. */
  skipped = 0;
  /** The same of announcements, by the count that each has. */
  missed = 0;
  /** An update was published that this stream has not got. */
  behind = false;
  /** The same of what fires. */
  alertsBehind = false;

  constructor(
    { group, viewer, deviceId, restrictions }: StreamTerms,
    controller: ReadableStreamDefaultController<Uint8Array>,
    onGone: (stream: OpenStream) => void,
  ) {
    this.group = group;
    this.viewer = viewer;
    this.deviceId = deviceId;
    this.restrictions = restrictions;
    this.#controller = controller;
    this.#onGone = onGone;
  }

  get hasRoom(): boolean {
    return (this.#controller.desiredSize ?? 0) > 0;
  }

  /** What is written now is not before anything that waits. */
  get isReady(): boolean {
    return this.hasRoom && this.#waiting.length === 0;
  }

  write(bytes: Uint8Array): void {
    try {
      this.#controller.enqueue(bytes);
    } catch {
      // The stream was closed or errored under us: its reader is gone, and so is the stream.
      this.#onGone(this);
    }
  }

  /** Sends at once, or keeps for when the socket has room; false: there is no place for it. */
  trySend(bytes: Uint8Array): boolean {
    if (this.isReady) {
      this.write(bytes);
      return true;
    }
    const fits = this.#waiting.length === 0 || this.#waitingBytes + bytes.length <= waitingBytesMax;
    if (this.#waiting.length >= waitingEventsMax || !fits) return false;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    return true;
  }

  /** The socket has room again: what waited, then the latest state, as one chunk. */
  flush(alerts: Uint8Array | null): void {
    if (this.#waiting.length === 0 && !this.behind && !this.alertsBehind) return;
    const chunks = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    if (this.alertsBehind && alerts !== null) chunks.push(alerts);
    if (this.behind) chunks.push(this.group.latest);
    this.alertsBehind = false;
    this.behind = false;
    this.write(joined(chunks));
  }

  end(): void {
    this.#onGone(this);
    try {
      this.#controller.close();
    } catch {
      // Its reader left in the same moment.
    }
  }
}
