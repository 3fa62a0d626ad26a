/**
 * The life of a writer, over either journal: running, then draining, then stopped, and never back.
 *
 * From `draining` on no more frames come, and what is left is sealed and inserted at once. From `stopped` on the time is
 * over: nothing is waited for, and what is not stored stays in the journal. Both writers make one, and hand it to all
 * their parts; whoever waits uses `pause`, so that no wait outlives the writer.
 */
export class Lifecycle {
  #phase: "running" | "draining" | "stopped" = "running";
  #deadline: Timer | undefined;
  readonly #stopped = Promise.withResolvers<void>();

  /** Whether no more frames come; stays true when it is stopped. */
  get isDraining(): boolean {
    return this.#phase !== "running";
  }

  get isStopped(): boolean {
    return this.#phase === "stopped";
  }

  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /** Stops by itself after that time. */
  drain(timeoutMs: number): void {
    this.#phase = "draining";
    this.#deadline = setTimeout(() => this.stop(), timeoutMs);
  }

  stop(): void {
    clearTimeout(this.#deadline);
    this.#phase = "stopped";
    this.#stopped.resolve();
  }

  /** Resolves after that time, or at once when it is stopped. */
  async pause(ms: number): Promise<void> {
    await Promise.race([Bun.sleep(ms), this.stopped]);
  }
}
