/** Epochs remembered while ClickHouse is away: three hours of ten a second. Past it the answer stays where it was for longer. */
const epochsMax = 100_000;

/** Up to when everything that was received is stored. */
export interface StoredClock {
  /** No more rows go into this epoch. */
  closed(epoch: number): void;
  /** Epochs up to this one are confirmed. */
  stored(epoch: number): void;
  /** Epoch milliseconds. */
  completeTo(): number;
}

export interface StoredClockDeps {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Rows that are accepted and not stored. */
  readonly pending: () => number;
  /** Age of the oldest of them, as far as it is known. */
  readonly lagMs: () => number;
}

/**
 * What came before an epoch was closed is in it or in an earlier one, so its closing is the moment up to which all is stored
 * once it is. Where nothing is known of epochs (an earlier run's rows, a journal that is shared) the age of the oldest row tells.
 */
export function createStoredClock(deps: StoredClockDeps): StoredClock {
  const closings: { epoch: number; atMs: number }[] = [];
  let completeMs: number | null = null;
  return {
    closed(epoch) {
      closings.push({ epoch, atMs: deps.now() });
      if (closings.length > epochsMax) closings.shift();
    },
    stored(epoch) {
      const left = closings.findIndex((closing) => closing.epoch > epoch);
      const done = closings.splice(0, left < 0 ? closings.length : left);
      completeMs = done.at(-1)?.atMs ?? completeMs;
    },
    completeTo() {
      const nowMs = deps.now();
      if (deps.pending() === 0) return nowMs;
      return Math.min(nowMs, completeMs ?? nowMs - deps.lagMs() - unknownMarginMs);
    },
  };
}

/** Reports of the writer are this old at most. */
const unknownMarginMs = 1_000;
