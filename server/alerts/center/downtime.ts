/** Spans kept; older ones are of no consequence, since whoever was silent then has been judged. */
const spansMax = 200;

export type Span = readonly [fromMs: number, toMs: number];

/** When devices could not deliver, because this service was down or took nothing: that is not their silence. */
export class Downtime {
  #spans: Span[];
  changed = false;

  constructor(spans: readonly Span[] = []) {
    this.#spans = [...spans];
  }

  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** Joins what touches. Spans come in the order of time. */
  add(fromMs: number, toMs: number): void {
    if (toMs <= fromMs) return;
    this.changed = true;
    const last = this.#spans[this.#spans.length - 1];
    if (last !== undefined && fromMs <= last[1])
      this.#spans[this.#spans.length - 1] = [last[0], Math.max(last[1], toMs)];
    else this.#spans.push([fromMs, toMs]);
    if (this.#spans.length > spansMax) this.#spans.shift();
  }

  /** How much of it lies between the two times. */
  within(fromMs: number, toMs: number): number {
    let sumMs = 0;
    for (let at = this.#spans.length - 1; at >= 0; at--) {
      const [start, end] = this.#spans[at] as Span;
      if (end <= fromMs) break;
      sumMs += Math.max(0, Math.min(end, toMs) - Math.max(start, fromMs));
    }
    return sumMs;
  }
}
