export interface TickerDeps {
  now(): number;
  setTimer(run: () => void, delayMs: number): unknown;
  clearTimer(timer: unknown): void;
  /** One tick; returns how long fan-out took in milliseconds, or null when there was nothing to send. */
  tick(): number | null;
}

export interface Ticker {
  /** Something changed: after a quiet spell the next tick is at once. */
  touch(): void;
  stop(): void;
}

export function createTicker(_deps: TickerDeps, _options: { intervalMs: number }): Ticker {
  throw new Error("not yet");
}
