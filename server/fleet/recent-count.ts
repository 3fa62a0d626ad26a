const ringSeconds = 1024;

/** How often something happened in the last `windowSeconds`. */
export class RecentCount {
  readonly #windowSeconds: number;
  readonly #counts = new Uint32Array(ringSeconds);
  #newest = 0;
  #sum = 0;

  constructor(windowSeconds: number) {
    this.#windowSeconds = Math.min(windowSeconds, ringSeconds - 1);
  }

  add(second: number, count: number): void {
    this.#advance(second);
    if (second <= this.#newest - this.#windowSeconds) return;
    const at = second % ringSeconds;
    this.#counts[at] = (this.#counts[at] as number) + count;
    this.#sum += count;
  }

  at(nowSecond: number): number {
    this.#advance(nowSecond);
    return this.#sum;
  }

  /** A clock that was set back goes on counting where it was. */
  #advance(second: number): void {
    const passed = Math.min(second - this.#newest, ringSeconds);
    for (let step = 1; step <= passed; step++) {
      const leaving = (second - passed + step - this.#windowSeconds) % ringSeconds;
      if (leaving < 0) continue;
      this.#sum -= this.#counts[leaving] as number;
      this.#counts[leaving] = 0;
    }
    if (second > this.#newest) this.#newest = second;
  }
}
