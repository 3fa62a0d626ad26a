/** From a batch offered to a batch acknowledged: a bounded queue, retries with backoff, and an account of every event. */
import { backoffMs, type Outcome, type Post, type RequestBatch } from "../../sdk/src/request.ts";

interface DeliveryDeps<B extends RequestBatch> {
  readonly post: Post;
  /** Resolves after `ms`, or as soon as `wake` is aborted. */
  readonly pause: (ms: number, wake: AbortSignal) => Promise<void>;
  /** 0 to 1, for the jitter. */
  readonly random: () => number;
  readonly onAcknowledged?: (batch: B) => void;
  /** Every answer or its absence, in the order of their arrival. */
  readonly onOutcome?: (outcome: Outcome) => void;
}

interface DeliveryOptions {
  /** Requests under way at a time, those that wait for their next attempt among them. */
  readonly maxInFlight: number;
  /** Events that wait for their first attempt. When another batch would exceed it, the oldest waiting are dropped. */
  readonly maxWaitingEvents: number;
}

/** Every event offered is in exactly one of `acknowledged`, `dropped`, `rejected` and `pending`. */
export interface DeliveryCounts {
  readonly offered: number;
  readonly acknowledged: number;
  /** Pushed out of a full queue. */
  readonly dropped: number;
  /** In requests that can never be accepted. */
  readonly rejected: number;
  /** Waiting or under way. */
  readonly pending: number;
  /** Attempts, not events. */
  readonly refusedRequests: number;
  readonly unreachableRequests: number;
}

export interface Delivery<B extends RequestBatch> {
  offer(batch: B): void;
  readonly counts: DeliveryCounts;
  /** Tries at once what waits to be tried again; resolves when nothing is pending, or after `limitMs`. */
  drain(limitMs: number): Promise<void>;
  /** No further attempts. What is pending stays counted as pending. */
  stop(): void;
}

const longestBackoffMs = 5_000;

export function createDelivery<B extends RequestBatch>(deps: DeliveryDeps<B>, options: DeliveryOptions): Delivery<B> {
  const counts = {
    offered: 0,
    acknowledged: 0,
    dropped: 0,
    rejected: 0,
    pending: 0,
    refusedRequests: 0,
    unreachableRequests: 0,
  };
  /** Oldest first. A set, because taking the first of a long array moves all others. */
  const waiting = new Set<B>();
  let waitingEvents = 0;
  let inFlight = 0;
  let stopped = false;
  let wake = new AbortController();
  let onEmpty: (() => void) | undefined;

  function takeOldest(): B | undefined {
    const oldest: B | undefined = waiting.values().next().value;
    if (oldest === undefined) return undefined;
    waiting.delete(oldest);
    waitingEvents -= oldest.eventCount;
    return oldest;
  }

  function sendWaiting(): void {
    while (!stopped && inFlight < options.maxInFlight) {
      const batch = takeOldest();
      if (batch === undefined) break;
      inFlight++;
      void deliver(batch);
    }
    if (counts.pending === 0) onEmpty?.();
  }

  async function deliver(batch: B): Promise<void> {
    for (let attempt = 0; !stopped; attempt++) {
      const outcome = await deps.post(batch);
      if (stopped) return;
      deps.onOutcome?.(outcome);
      if (outcome.kind === "acknowledged" || outcome.kind === "rejected") {
        counts[outcome.kind] += batch.eventCount;
        counts.pending -= batch.eventCount;
        if (outcome.kind === "acknowledged") deps.onAcknowledged?.(batch);
        break;
      }
      if (outcome.kind === "refused") counts.refusedRequests++;
      else counts.unreachableRequests++;
      await deps.pause(
        backoffMs(attempt, outcome.kind === "refused" ? outcome.retryAfterMs : 0, longestBackoffMs, deps.random),
        wake.signal,
      );
    }
    inFlight--;
    sendWaiting();
  }

  return {
    counts,
    offer(batch) {
      counts.offered += batch.eventCount;
      counts.pending += batch.eventCount;
      waiting.add(batch);
      waitingEvents += batch.eventCount;
      sendWaiting();
      while (waitingEvents > options.maxWaitingEvents) {
        const oldest = takeOldest();
        if (oldest === undefined) break;
        counts.dropped += oldest.eventCount;
        counts.pending -= oldest.eventCount;
      }
    },
    async drain(limitMs) {
      if (counts.pending === 0) return;
      const emptied = new AbortController();
      onEmpty = () => emptied.abort();
      wake.abort();
      wake = new AbortController();
      await deps.pause(limitMs, emptied.signal);
      onEmpty = undefined;
    },
    stop() {
      stopped = true;
      wake.abort();
    },
  };
}

/** The `pause` of a running program: a timer. */
export function pause(ms: number, wake: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (wake.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      wake.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    wake.addEventListener("abort", done);
  });
}
