import type { Inserter } from "./inserter.ts";

/** With nothing to insert, ClickHouse is asked for a sign of life this often; while it is away, more often. */
export const probeIntervalMs = 2_000;
const probeAwayIntervalMs = 200;

/** When an inserter should look whether ClickHouse answers: some time after it last did, or was sent a batch. */
export class Probing {
  readonly #inserter: Inserter;
  readonly #monotonicNow: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(inserter: Inserter, monotonicNow: () => number) {
    this.#inserter = inserter;
    this.#monotonicNow = monotonicNow;
  }

  /** Not positive: now. */
  get dueInMs(): number {
    const intervalMs = this.#inserter.state === "ok" ? probeIntervalMs : probeAwayIntervalMs;
    return this.#lastMs + intervalMs - this.#monotonicNow();
  }

  async probe(): Promise<void> {
    await this.#inserter.probe();
    this.putOff();
  }

  /** An insert tells as much. */
  putOff(): void {
    this.#lastMs = this.#monotonicNow();
  }
}
