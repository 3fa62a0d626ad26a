/** What a caller who has to wait is told. */
export interface BucketState {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the bucket is full again. */
  readonly resetSeconds: number;
  /** Seconds until the refused amount would be taken. */
  readonly retrySeconds: number;
}

/**
 * A token bucket that holds one second's worth. An amount larger than the bucket is taken when the bucket is full, and what
 * it lacks is owed: so large batches pass, and the long-run rate is still the limit.
 */
export class TokenBucket {
  readonly #ratePerSecond: number;
  readonly #capacity: number;
  readonly #now: () => number;
  #tokens: number;
  #atMs: number;

  /** `now` gives milliseconds that never go back. */
  constructor(options: { ratePerSecond: number; capacity?: number }, now: () => number) {
    this.#ratePerSecond = options.ratePerSecond;
    this.#capacity = options.capacity ?? options.ratePerSecond;
    this.#now = now;
    this.#tokens = this.#capacity;
    this.#atMs = now();
  }

  tryTake(amount: number): boolean {
    this.#refill();
    if (this.#tokens < Math.min(amount, this.#capacity)) return false;
    this.#tokens -= amount;
    return true;
  }

  /** For an amount that was refused. */
  state(amount: number): BucketState {
    this.#refill();
    const lacking = Math.max(0, Math.min(amount, this.#capacity) - this.#tokens);
    return {
      limit: this.#capacity,
      remaining: Math.max(0, Math.floor(this.#tokens)),
      resetSeconds: Math.ceil((this.#capacity - this.#tokens) / this.#ratePerSecond),
      retrySeconds: Math.max(1, Math.ceil(lacking / this.#ratePerSecond)),
    };
  }

  #refill(): void {
    const nowMs = this.#now();
    const gained = ((nowMs - this.#atMs) / 1000) * this.#ratePerSecond;
    this.#tokens = Math.min(this.#capacity, this.#tokens + gained);
    this.#atMs = nowMs;
  }
}
