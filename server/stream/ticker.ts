export interface TickerDeps {
  /** Milliseconds; only differences matter. */
  now(): number;
  setTimer(run: () => void, delayMs: number): unknown;
  clearTimer(timer: unknown): void;
  /** Moves the view on and sends it. False when there was nothing to send. */
  tick(): boolean;
  /** How long the last sending took, in milliseconds; known some time after `tick`. */
  fanOutMs(): number;
  /** Called at least once a second. */
  beat(): void;
}

export interface Ticker {
  /** Something changed: after a quiet spell the next tick is at once. */
  touch(): void;
  stop(): void;
}

/** Fan-out may take this share of the interval; past it the interval stretches. */
const fanOutShare = 0.2;
const beatMs = 1_000;

/**
 * Ticks every `intervalMs`. `touch` brings the next tick forward when nothing was sent for an interval. Time that passes
 * without a touch changes the view too (events leave the window), so the tick itself never rests.
 */
export function createTicker(deps: TickerDeps, options: { intervalMs: number }): Ticker {
  const { intervalMs } = options;
  let timer: unknown = null;
  let timerAt = Number.POSITIVE_INFINITY;
  let tickAt = deps.now() + intervalMs;
  let sentAt = Number.NEGATIVE_INFINITY;
  let beatAt = deps.now() + beatMs;
  let stopped = false;

  /** No tick before this: an interval, or more, after the last one that sent something. */
  const restUntil = () => sentAt + Math.max(intervalMs, deps.fanOutMs() / fanOutShare);

  function schedule(): void {
    const at = Math.min(tickAt, beatAt);
    if (stopped || at >= timerAt) return;
    if (timer !== null) deps.clearTimer(timer);
    timerAt = at;
    timer = deps.setTimer(run, Math.max(0, at - deps.now()));
  }

  function run(): void {
    timer = null;
    timerAt = Number.POSITIVE_INFINITY;
    if (stopped) return;
    try {
      const now = deps.now();
      if (now >= tickAt) {
        tickAt = restUntil();
        if (now >= tickAt) {
          tickAt = now + intervalMs;
          if (deps.tick()) sentAt = now;
        }
      }
      if (now >= beatAt) {
        beatAt = now + beatMs;
        deps.beat();
      }
    } finally {
      schedule();
    }
  }

  schedule();
  return {
    touch() {
      const at = Math.max(restUntil(), deps.now());
      if (at >= tickAt) return;
      tickAt = at;
      schedule();
    },
    stop() {
      stopped = true;
      if (timer !== null) deps.clearTimer(timer);
      timer = null;
    },
  };
}
