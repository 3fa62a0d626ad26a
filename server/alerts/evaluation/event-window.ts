import type { Measure } from "../../../contract/alerts.ts";

/** A window moves in so many steps of its length at most. */
const stepsMax = 60;

/** What an event brings into a step. Quantiles are decided by counting against the thresholds, exactly and without a sketch. */
interface Step {
  readonly index: number;
  events: number;
  values: number;
  sum: number;
  min: number;
  max: number;
  /** How many values are at most, or less than, each threshold; see `Thresholds`. */
  readonly atMost: [above: number, recoverAbove: number];
  readonly lessThan: [below: number, recoverBelow: number];
  /** Values, for the figure that a person sees of a quantile; a sample when there are more than `valuesMax`. */
  kept: number[] | null;
}

const valuesMax = 64;

export interface Thresholds {
  /** Infinity where there is none. */
  readonly above: number;
  readonly recoverAbove: number;
  /** -Infinity where there is none. */
  readonly below: number;
  readonly recoverBelow: number;
}

const quantiles: Partial<Record<Measure, number>> = { p50: 0.5, p95: 0.95, p99: 0.99 };

function createStep(index: number, keepsValues: boolean): Step {
  return {
    index,
    events: 0,
    values: 0,
    sum: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    atMost: [0, 0],
    lessThan: [0, 0],
    kept: keepsValues ? [] : null,
  };
}

function addStep(into: Step, from: Step): void {
  into.events += from.events;
  into.values += from.values;
  into.sum += from.sum;
  if (from.min < into.min) into.min = from.min;
  if (from.max > into.max) into.max = from.max;
  for (const at of [0, 1] as const) {
    into.atMost[at] += from.atMost[at];
    into.lessThan[at] += from.lessThan[at];
  }
}

/** The longest step that divides the window into at most `stepsMax` whole parts. */
export function stepMsOf(windowMs: number): number {
  for (let steps = Math.min(stepsMax, windowMs); steps > 1; steps--)
    if (windowMs % steps === 0) return windowMs / steps;
  return windowMs;
}

/**
 * The events of one series in the newest `windowMs`, by their own time. It moves in steps: at a time within step k it holds the steps
 * k-n+1 to k. A step without events takes no memory. An event costs a look at the newest step; the sums of the older ones are
 * made anew only when a step begins or ends, so there is nothing that drifts.
 */
export class EventWindow {
  readonly stepMs: number;
  readonly #steps: number;
  readonly #measure: Measure;
  readonly #thresholds: Thresholds;
  readonly #windowMs: number;
  readonly #quantile: number | null;
  /** By index, oldest first. The newest of them is not in `#closed`. */
  #held: Step[] = [];
  #closed: Step;
  #now = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number, measure: Measure, thresholds: Thresholds) {
    this.stepMs = stepMsOf(windowMs);
    this.#steps = Math.round(windowMs / this.stepMs);
    this.#windowMs = windowMs;
    this.#measure = measure;
    this.#thresholds = thresholds;
    this.#quantile = quantiles[measure] ?? null;
    this.#closed = createStep(-1, false);
  }

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** When the oldest step leaves; Infinity when there is none. */
  get expiresMs(): number {
    const oldest = this.#held[0];
    return oldest === undefined ? Number.POSITIVE_INFINITY : (oldest.index + this.#steps) * this.stepMs;
  }

  /** Adds an event; false when it is older than the window. `value` NaN: none. */
  add(timeMs: number, value: number): boolean {
    const index = Math.floor(timeMs / this.stepMs);
    if (index > this.#now) this.advance(timeMs);
    else if (index <= this.#now - this.#steps) return false;
    const step = this.#stepAt(index);
    step.events++;
    if (Number.isNaN(value)) return true;
    step.values++;
    step.sum += value;
    if (value < step.min) step.min = value;
    if (value > step.max) step.max = value;
    if (this.#quantile !== null) this.#count(step, value);
    if (step !== this.#held[this.#held.length - 1]) this.#close();
    return true;
  }

  /** Lets go what is too old at `timeMs`. */
  advance(timeMs: number): void {
    const index = Math.floor(timeMs / this.stepMs);
    if (index <= this.#now) return;
    this.#now = index;
    const firstKept = index - this.#steps + 1;
    let gone = 0;
    while (gone < this.#held.length && (this.#held[gone] as Step).index < firstKept) gone++;
    if (gone === 0) return;
    this.#held.splice(0, gone);
    this.#close();
  }

  /** Null: nothing is known. A count of nothing is 0. */
  value(): number | null {
    const newest = this.#held[this.#held.length - 1];
    const closed = this.#closed;
    if (newest === undefined) return this.#measure === "count" || this.#measure === "rate" ? 0 : null;
    const values = closed.values + newest.values;
    switch (this.#measure) {
      case "count":
        return closed.events + newest.events;
      case "rate":
        return (closed.events + newest.events) / (this.#windowMs / 1000);
      case "sum":
        return values === 0 ? null : closed.sum + newest.sum;
      case "avg":
        return values === 0 ? null : (closed.sum + newest.sum) / values;
      case "min":
        return values === 0 ? null : Math.min(closed.min, newest.min);
      case "max":
        return values === 0 ? null : Math.max(closed.max, newest.max);
      default:
        return values === 0 ? null : this.#quantileShown(values);
    }
  }

  /** Whether the threshold is crossed: for entering, or (`held`) for staying. Null: nothing is known. */
  isBad(held: boolean): boolean | null {
    const { above, recoverAbove, below, recoverBelow } = this.#thresholds;
    if (this.#quantile === null) {
      const value = this.value();
      if (value === null) return null;
      return held ? value > recoverAbove || value < recoverBelow : value > above || value < below;
    }
    const newest = this.#held[this.#held.length - 1];
    const values = this.#closed.values + (newest?.values ?? 0);
    if (newest === undefined || values === 0) return null;
    // The quantile is the value of this rank (nearest rank): it is greater when too few values are at most the threshold.
    const rank = Math.max(1, Math.ceil(this.#quantile * values));
    const at = held ? 1 : 0;
    const atMost = this.#closed.atMost[at] + newest.atMost[at];
    const lessThan = this.#closed.lessThan[at] + newest.lessThan[at];
    return atMost < rank || lessThan >= rank;
  }

  #count(step: Step, value: number): void {
    const { above, recoverAbove, below, recoverBelow } = this.#thresholds;
    if (value <= above) step.atMost[0]++;
    if (value <= recoverAbove) step.atMost[1]++;
    if (value < below) step.lessThan[0]++;
    if (value < recoverBelow) step.lessThan[1]++;
    const kept = step.kept;
    if (kept === null) return;
    if (kept.length < valuesMax) kept.push(value);
    // Every so often one is replaced; which one depends on the number alone, so that a replay shows the same figure.
    else if (step.values % Math.ceil(step.values / valuesMax) === 0) kept[(step.values * 31) % valuesMax] = value;
  }

  #quantileShown(values: number): number {
    const weighted: [value: number, weight: number][] = [];
    for (const step of this.#held) {
      const kept = step.kept ?? [];
      for (const value of kept) weighted.push([value, step.values / kept.length]);
    }
    weighted.sort((a, b) => a[0] - b[0]);
    const rank = Math.max(1, (this.#quantile ?? 0) * values);
    let passed = 0;
    for (const [value, weight] of weighted) {
      passed += weight;
      if (passed >= rank - 1e-9) return value;
    }
    return (weighted[weighted.length - 1] as [number, number])[0];
  }

  #stepAt(index: number): Step {
    const held = this.#held;
    let at = held.length - 1;
    while (at >= 0 && (held[at] as Step).index > index) at--;
    const found = held[at];
    if (found !== undefined && found.index === index) return found;
    const step = createStep(index, this.#quantile !== null);
    held.splice(at + 1, 0, step);
    this.#close();
    return step;
  }

  #close(): void {
    const closed = createStep(-1, false);
    for (let at = 0; at < this.#held.length - 1; at++) addStep(closed, this.#held[at] as Step);
    this.#closed = closed;
  }
}
