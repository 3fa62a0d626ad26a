import type { Update } from "../../contract/stream.ts";
import { createUpdateEncoder, FrameRing, heartbeat } from "./frames.ts";
import type { Group } from "./open-stream.ts";

export interface StreamGroupsDeps {
  readonly now: () => number;
  readonly buildUpdate: (limit: number) => Update;
  /** Tells this run's ids of updates from those of another. */
  readonly run: string;
}

/** Replay of one limit's updates: at 2 KB and ten a second, 25 seconds. 200 limits would be 100 MB; seldom are there three. */
const replayBytesMax = 512 * 1024;
/** A group nobody reads goes on for this long, so that a reconnecting stream misses nothing. */
const lingerMs = 15_000;
/** Groups that linger; past it the one that is empty for longest goes at once. */
const lingeringMax = 8;
/** A snapshot this young is good enough for a stream that opens; a thousand that come back at once share one. */
const snapshotMs = 100;

/** The newest updates by limit, each with those who read it and with what a reader that comes back has missed. */
export class StreamGroups {
  readonly #deps: StreamGroupsDeps;
  readonly #groups = new Map<number, Group>();
  #sequence = 0;

  constructor(deps: StreamGroupsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#groups.size;
  }

  [Symbol.iterator](): Iterator<Group> {
    return this.#groups.values();
  }

  of(limit: number): Group {
    let group = this.#groups.get(limit);
    if (!group) {
      group = {
        limit,
        streams: new Set(),
        ring: new FrameRing(replayBytesMax),
        latest: heartbeat,
        latestAt: Number.NEGATIVE_INFINITY,
        emptySince: this.#deps.now(),
      };
      this.#groups.set(limit, group);
    }
    return group;
  }

  /** The next update, for every group. */
  advance(nowMs: number): void {
    this.#sequence++;
    const encode = createUpdateEncoder(this.#deps.buildUpdate(Math.max(...this.#groups.keys())), this.#id());
    for (const group of this.#groups.values()) {
      group.latest = encode(group.limit);
      group.latestAt = nowMs;
      group.ring.push(this.#sequence, group.latest);
    }
  }

  /** What a stream begins with: what it missed, when that is still known, else the state as it is. */
  opening(group: Group, lastEventId: string | null): Uint8Array[] {
    const match = lastEventId === null ? null : /^([0-9a-z]+)-(\d{1,15})$/.exec(lastEventId);
    if (match && match[1] === this.#deps.run) {
      const seen = Number(match[2]);
      const missed = seen > this.#sequence ? null : group.ring.after(seen);
      if (missed && missed.length > 0) return missed;
    }
    return [this.#snapshot(group)];
  }

  /** Forgets groups that nobody has read for long. */
  forgetIdle(nowMs: number): void {
    const idle = [...this.#groups.values()]
      .filter((group) => group.streams.size === 0)
      .sort((a, b) => b.emptySince - a.emptySince);
    for (const [index, group] of idle.entries()) {
      if (index >= lingeringMax || nowMs - group.emptySince >= lingerMs) this.#groups.delete(group.limit);
    }
  }

  clear(): void {
    this.#groups.clear();
  }

  #id(): string {
    return `${this.#deps.run}-${this.#sequence}`;
  }

  #snapshot(group: Group): Uint8Array {
    const nowMs = this.#deps.now();
    if (Math.abs(nowMs - group.latestAt) >= snapshotMs) {
      group.latest = createUpdateEncoder(this.#deps.buildUpdate(group.limit), this.#id())(group.limit);
      group.latestAt = nowMs;
    }
    return group.latest;
  }
}
