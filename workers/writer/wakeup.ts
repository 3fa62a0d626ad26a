/** How the insert loop sleeps until somebody has news for it. Whoever has, calls `wake`. */
export class Wakeup {
  #next = Promise.withResolvers<void>();

  wake(): void {
    this.#next.resolve();
  }

  /** Resolves at the next `wake`. To be called before looking for something to do: what comes after the look is not missed. */
  arm(): Promise<void> {
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }

  /** Resolves at the first `wake` since `arm`, at the latest after `ms`. */
  async within(ms: number): Promise<void> {
    const { promise, resolve } = this.#next;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }
}
