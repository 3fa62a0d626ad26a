import type { SeriesTransition } from "../evaluation/evaluator.ts";

/** Transitions that wait to be written; past it those that begin or end no alarm are not recorded. */
const transitionsMax = 100_000;

/** What the evaluator has decided and no transaction holds yet, oldest first. */
export class TransitionQueue {
  #transitions: SeriesTransition[] = [];
  /** Transitions left out of the history. */
  unrecorded = 0;

  get length(): number {
    return this.#transitions.length;
  }

  push(transition: SeriesTransition): void {
    const { from, to } = transition;
    const isMinor = to !== "resolved" && !(to === "firing" && (from === "pending" || from === "inactive"));
    if (isMinor && this.#transitions.length >= transitionsMax) this.unrecorded++;
    else this.#transitions.push(transition);
  }

  take(max: number): SeriesTransition[] {
    return this.#transitions.splice(0, max);
  }
}
