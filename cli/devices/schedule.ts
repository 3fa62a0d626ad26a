/** When what is sent. */

/** The first multiple of `intervalMs` after `dueMs` that is not past: a machine that slept skips, it does not catch up. */
export function nextTickMs(dueMs: number, nowMs: number, intervalMs: number): number {
  return dueMs + intervalMs * Math.max(1, Math.ceil((nowMs - dueMs) / intervalMs));
}

interface Schedule {
  readonly batches: number;
  readonly events: number;
  /** Event `index` happens this long after the start. */
  eventMs(index: number): number;
  /** Batch `index` holds these events, and is due when the last of them happens. */
  batch(index: number): { readonly firstEvent: number; readonly size: number; readonly dueMs: number };
}

/** Open loop: `rate × seconds` events at even distances, whatever becomes of those before. */
export function createSchedule(options: { rate: number; seconds: number; batchSize: number }): Schedule {
  const { rate, batchSize } = options;
  const events = Math.max(1, Math.round(rate * options.seconds));
  const eventMs = (index: number) => ((index + 1) * 1000) / rate;
  return {
    batches: Math.ceil(events / batchSize),
    events,
    eventMs,
    batch(index) {
      const firstEvent = index * batchSize;
      const size = Math.min(batchSize, events - firstEvent);
      return { firstEvent, size, dueMs: eventMs(firstEvent + size - 1) };
    },
  };
}

/** Events a request carries when nobody says: about fifty requests a second, so that no event waits long for its batch. */
export function usualBatchSize(rate: number, largest: number): number {
  return Math.min(largest, Math.max(1, Math.ceil(rate / 50)));
}

interface PaceDeps {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly pause: (ms: number, wake: AbortSignal) => Promise<void>;
  readonly stop: AbortSignal;
}

/** Batches sent in one go when late, before answers get a turn. */
const maxBurst = 32;

/** Calls `emit` for each batch when it is due, with the time at which it was; returns how many it called for. */
export async function paceBatches(
  schedule: Schedule,
  emit: (batch: ReturnType<Schedule["batch"]>, dueMs: number) => void,
  deps: PaceDeps,
): Promise<number> {
  const startMs = deps.now();
  let next = 0;
  while (next < schedule.batches && !deps.stop.aborted) {
    let batch = schedule.batch(next);
    for (let burst = 0; burst < maxBurst && startMs + batch.dueMs <= deps.now(); burst++) {
      emit(batch, startMs + batch.dueMs);
      next++;
      if (next === schedule.batches) return next;
      batch = schedule.batch(next);
    }
    await deps.pause(Math.max(0, startMs + batch.dueMs - deps.now()), deps.stop);
  }
  return next;
}
