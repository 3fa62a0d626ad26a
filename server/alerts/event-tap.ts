import { otherType } from "../live-view/type-table.ts";
import type { Evaluator, Metadata, TypeRules } from "./evaluation/evaluator.ts";
import type { Subject } from "./evaluation/subject-table.ts";

/** Events held back while the past is read again; past it they are decided at once. 40 bytes each. */
const heldMax = 500_000;

/** The part of the tap that the way into the journal uses; see `Staging`. */
export interface Tap {
  /** Any rule looks at events. Asked once a delivery. */
  readonly active: boolean;
  /** Undefined for a type without rules. `index`: of the type in the live view's table, which finds the rules at once. */
  typeRules(index: number, eventType: string): TypeRules | undefined;
  /** A device that the rules of this type have not seen. Undefined: there is no room. */
  introduce(rules: TypeRules, hashA: number, hashB: number, deviceId: string, metadata: Metadata): Subject | undefined;
  push(rules: TypeRules, subject: Subject, timeMs: number, value: number, text: string | null): void;
  /** The delivery that is being staged has left nothing. */
  rewind(): void;
  /** It is one frame of so many rows in the ring. */
  committed(rows: number, receivedMs: number): void;
  /** The fate of the oldest rows, in their order. */
  settled(rows: number, isDurable: boolean): void;
}

interface Frame {
  /** Rows ever committed, with this frame. */
  readonly endRow: number;
  /** Events ever pushed, with those of this frame. */
  readonly endEvent: number;
  readonly receivedMs: number;
}

/**
 * Events under rules, from their acceptance until they are durable; then they are decided on. An event of another type costs one
 * look-up, and without rules a delivery costs two additions.
 */
export class EventTap implements Tap {
  readonly #evaluator: Evaluator;
  readonly #subjectsMax: number;
  readonly #onError: (error: unknown) => void;
  #types: TypeRules[] = [];
  #subjects: Subject[] = [];
  #times: number[] = [];
  #values: number[] = [];
  #texts: (string | null)[] = [];
  #frames: Frame[] = [];
  /** Events ever removed from the front of the arrays. */
  #removed = 0;
  #committedEvents = 0;
  #committedRows = 0;
  #settledRows = 0;
  /** Rules by the index of their type; null: the type has none. */
  #byIndex: (TypeRules | null | undefined)[] = [];
  #version = -1;
  #held = false;
  /** Frames, oldest first, that are durable and held back. */
  #durableFrames = 0;

  constructor(
    evaluator: Evaluator,
    options: { readonly subjectsMax: number; readonly onError: (error: unknown) => void },
  ) {
    this.#evaluator = evaluator;
    this.#subjectsMax = options.subjectsMax;
    this.#onError = options.onError;
  }

  get active(): boolean {
    if (this.#version !== this.#evaluator.version) {
      this.#version = this.#evaluator.version;
      this.#byIndex = [];
    }
    return this.#evaluator.watchesEvents;
  }

  /** Durable events wait until `release`. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#decide(this.#durableFrames);
    this.#durableFrames = 0;
  }

  typeRules(index: number, eventType: string): TypeRules | undefined {
    const known = this.#byIndex[index];
    // Types beyond the table's limit share one index.
    if (known !== undefined && index !== otherType) return known ?? undefined;
    const rules = this.#evaluator.typeRules(eventType);
    this.#byIndex[index] = rules ?? null;
    return rules;
  }

  introduce(rules: TypeRules, hashA: number, hashB: number, deviceId: string, metadata: Metadata): Subject | undefined {
    if (rules.subjects.size >= this.#subjectsMax) return undefined;
    return this.#evaluator.subject(rules, hashA, hashB, () => ({ deviceId, metadata }));
  }

  push(rules: TypeRules, subject: Subject, timeMs: number, value: number, text: string | null): void {
    if (subject.series.length === 0) return;
    rules.subjects.expect(subject);
    this.#types.push(rules);
    this.#subjects.push(subject);
    this.#times.push(timeMs);
    this.#values.push(value);
    this.#texts.push(text);
  }

  rewind(): void {
    const kept = this.#committedEvents - this.#removed;
    if (this.#subjects.length === kept) return;
    for (let at = kept; at < this.#subjects.length; at++) this.#settle(at);
    this.#types.length = kept;
    this.#subjects.length = kept;
    this.#times.length = kept;
    this.#values.length = kept;
    this.#texts.length = kept;
  }

  committed(rows: number, receivedMs: number): void {
    this.#committedRows += rows;
    const endEvent = this.#removed + this.#subjects.length;
    if (endEvent === this.#committedEvents) return;
    this.#committedEvents = endEvent;
    this.#frames.push({ endRow: this.#committedRows, endEvent, receivedMs });
  }

  settled(rows: number, isDurable: boolean): void {
    this.#settledRows += rows;
    if (this.#frames.length === this.#durableFrames) return;
    let frames = this.#durableFrames;
    while (frames < this.#frames.length && (this.#frames[frames] as Frame).endRow <= this.#settledRows) frames++;
    if (frames === this.#durableFrames) return;
    if (!isDurable) this.#drop(frames);
    else if (this.#held && this.#subjects.length < heldMax) this.#durableFrames = frames;
    else {
      this.#durableFrames = 0;
      this.#decide(frames);
    }
  }

  /** Frames that the journal refused lie behind the ones held back; what is in them was never accepted. */
  #drop(frames: number): void {
    const from = (this.#frames[this.#durableFrames - 1]?.endEvent ?? this.#removed) - this.#removed;
    const to = (this.#frames[frames - 1] as Frame).endEvent - this.#removed;
    const count = to - from;
    for (let at = from; at < to; at++) this.#settle(at);
    for (const list of [this.#types, this.#subjects, this.#times, this.#values, this.#texts]) list.splice(from, count);
    this.#committedEvents -= count;
    this.#frames = [
      ...this.#frames.slice(0, this.#durableFrames),
      ...this.#frames.slice(frames).map((frame) => ({ ...frame, endEvent: frame.endEvent - count })),
    ];
  }

  #decide(frames: number): void {
    if (frames === 0) return;
    let at = 0;
    for (let index = 0; index < frames; index++) {
      const { endEvent, receivedMs } = this.#frames[index] as Frame;
      const end = endEvent - this.#removed;
      for (; at < end; at++) {
        this.#observe(at, receivedMs);
      }
    }
    this.#removed += at;
    if (at === this.#subjects.length) {
      this.#types.length = 0;
      this.#subjects.length = 0;
      this.#times.length = 0;
      this.#values.length = 0;
      this.#texts.length = 0;
    } else for (const list of [this.#types, this.#subjects, this.#times, this.#values, this.#texts]) list.splice(0, at);
    if (frames === this.#frames.length) this.#frames.length = 0;
    else this.#frames.splice(0, frames);
  }

  #settle(at: number): void {
    const subject = this.#subjects[at] as Subject;
    if (subject.slot !== -1) (this.#types[at] as TypeRules).subjects.settle(subject);
  }

  /** A fault in a rule must not keep events from being acknowledged. */
  #observe(at: number, receivedMs: number): void {
    const subject = this.#subjects[at] as Subject;
    try {
      this.#evaluator.decide(
        this.#types[at] as TypeRules,
        subject,
        this.#times[at] as number,
        receivedMs,
        this.#values[at] as number,
        this.#texts[at] as string | null,
      );
    } catch (error) {
      this.#onError(error);
    }
  }
}

/** For where no alerts are. */
export const noTap: Tap = {
  active: false,
  typeRules: () => undefined,
  introduce: () => undefined,
  push: () => undefined,
  rewind: () => undefined,
  committed: () => undefined,
  settled: () => undefined,
};
