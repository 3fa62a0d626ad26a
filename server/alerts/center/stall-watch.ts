import type { Downtime } from "./downtime.ts";

/** A thread that stood still for longer, or a clock that was set, has not heard what came meanwhile. */
const stallMs = 2_000;

/** Time in which this thread stood still, the clock was set forward, or nothing was taken, is not the devices' silence. */
export class StallWatch {
  readonly #downtime: Downtime;
  readonly #monotonicNow: () => number;
  #tickedMs: number;
  #tickedMonotonicMs: number;

  constructor(downtime: Downtime, monotonicNow: () => number, nowMs: number) {
    this.#downtime = downtime;
    this.#monotonicNow = monotonicNow;
    this.#tickedMs = nowMs;
    this.#tickedMonotonicMs = monotonicNow();
  }

  /** The time up to now has been judged otherwise. */
  restart(nowMs: number): void {
    this.#tickedMs = nowMs;
    this.#tickedMonotonicMs = this.#monotonicNow();
  }

  /** Nothing was heard since the last tick. */
  excuse(nowMs: number): void {
    this.#downtime.add(this.#tickedMs, nowMs);
  }

  tick(nowMs: number, canHear: boolean): void {
    const passedMs = this.#monotonicNow() - this.#tickedMonotonicMs;
    const isSet = nowMs - this.#tickedMs - passedMs > stallMs;
    if (!canHear || passedMs > stallMs || isSet) this.excuse(nowMs);
    this.restart(nowMs);
  }
}
