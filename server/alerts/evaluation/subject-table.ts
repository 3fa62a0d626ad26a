import type { Series } from "./series.ts";

/** A device that sends an event type under rules, and the series that its events go into. */
export interface Subject {
  readonly deviceId: string;
  readonly hashA: number;
  readonly hashB: number;
  series: readonly Series[];
  /** Its slot in the table; -1: it is in none. */
  slot: number;
}

const firstSlots = 1 << 8;
/** Linear probing stays at two looks. */
const fillMax = 0.65;
/** 32 bytes, half a cache line: what a quiet event needs lies together. */
const words = 8;
const hashAWord = 0;
const hashBWord = 1;
/** Place in `#subjects` plus 1; 0: the slot is free. */
const placeWord = 2;
/** Events on their way that are to be decided on, and whether an alarm is up; 0: the device is quiet. */
const loudWord = 3;
/** Time of the newest event, as a double. */
const clockDouble = 2;
const doubles = words / 2;
const alarmBit = 0x80000000;
/** What `passQuietly` says of an event that is done with. */
export const passed = -2;

/**
 * Subjects by the two hashes of their device: open addressing, one cache line a look. A device that is quiet (no alarm, nothing on its
 * way) and sends a value within every threshold is done with here: its clock moves on, and nothing else is touched.
 */
export class SubjectTable {
  #subjects: Subject[] = [];
  #words = new Uint32Array(firstSlots * words);
  #doubles = new Float64Array(this.#words.buffer);
  #mask = firstSlots - 1;

  get size(): number {
    return this.#subjects.length;
  }

  get all(): readonly Subject[] {
    return this.#subjects;
  }

  /** The device's slot; -1: it has none. */
  locate(hashA: number, hashB: number): number {
    const table = this.#words;
    let slot = mixed(hashA, hashB) & this.#mask;
    for (;;) {
      const at = slot * words;
      if (table[at + placeWord] === 0) return -1;
      if (table[at] === hashA && table[at + hashBWord] === hashB) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  at(slot: number): Subject {
    return this.#subjects[(this.#words[slot * words + placeWord] as number) - 1] as Subject;
  }

  find(hashA: number, hashB: number): Subject | undefined {
    const slot = this.locate(hashA, hashB);
    return slot === -1 ? undefined : this.at(slot);
  }

  /**
   * A value within every threshold: `passed` when there is nothing to decide, else the device's slot, or -1 when it has none. An older
   * event than the newest is for others to judge. One function, since it is called for every event under a rule.
   */
  passQuietly(hashA: number, hashB: number, timeMs: number): number {
    const table = this.#words;
    const mask = this.#mask;
    let slot = mixed(hashA, hashB) & mask;
    for (;;) {
      const at = slot * words;
      if (table[at] === hashA && table[at + hashBWord] === hashB && table[at + placeWord] !== 0) {
        const clock = slot * doubles + clockDouble;
        if (table[at + loudWord] !== 0 || timeMs < (this.#doubles[clock] as number)) return slot;
        this.#doubles[clock] = timeMs;
        return passed;
      }
      if (table[at + placeWord] === 0) return -1;
      slot = (slot + 1) & mask;
    }
  }

  /** An event is on its way to a decision. */
  expect({ slot }: Subject): void {
    const at = slot * words + loudWord;
    this.#words[at] = (this.#words[at] as number) + 1;
  }

  /** It was decided on, or dropped. */
  settle(subject: Subject): void {
    const at = subject.slot * words + loudWord;
    const underWay = (((this.#words[at] as number) & ~alarmBit) >>> 0) - 1;
    const isAlarmed = subject.series.some(({ phase }) => phase !== "inactive");
    this.#words[at] = isAlarmed ? (underWay | alarmBit) >>> 0 : underWay;
  }

  clockOf({ slot }: Subject): number {
    return this.#doubles[slot * doubles + clockDouble] as number;
  }

  add(subject: Subject): void {
    if (this.#subjects.length + 1 > (this.#mask + 1) * fillMax) this.#resize((this.#mask + 1) * 2);
    this.#subjects.push(subject);
    this.#place(subject, this.#subjects.length, 0, Number.NEGATIVE_INFINITY);
    if (subject.series.some(({ phase }) => phase !== "inactive"))
      this.#words[subject.slot * words + loudWord] = alarmBit;
  }

  /** Keeps those alone. */
  replace(subjects: Subject[]): void {
    let slots = firstSlots;
    while (subjects.length > slots * fillMax) slots *= 2;
    const staying = new Set(subjects);
    for (const subject of this.#subjects) if (!staying.has(subject)) subject.slot = -1;
    this.#rebuild(subjects, slots);
  }

  #resize(slots: number): void {
    this.#rebuild(this.#subjects, slots);
  }

  #rebuild(subjects: Subject[], slots: number): void {
    const [oldWords, oldDoubles] = [this.#words, this.#doubles];
    this.#subjects = subjects;
    this.#words = new Uint32Array(slots * words);
    this.#doubles = new Float64Array(this.#words.buffer);
    this.#mask = slots - 1;
    for (const [index, subject] of subjects.entries()) {
      const loud = oldWords[subject.slot * words + loudWord] as number;
      this.#place(subject, index + 1, loud, oldDoubles[subject.slot * doubles + clockDouble] as number);
    }
  }

  #place(subject: Subject, place: number, loud: number, clockMs: number): void {
    let slot = mixed(subject.hashA, subject.hashB) & this.#mask;
    while (this.#words[slot * words + placeWord] !== 0) slot = (slot + 1) & this.#mask;
    const at = slot * words;
    this.#words[at + hashAWord] = subject.hashA;
    this.#words[at + hashBWord] = subject.hashB;
    this.#words[at + placeWord] = place;
    this.#words[at + loudWord] = loud;
    this.#doubles[slot * doubles + clockDouble] = clockMs;
    subject.slot = slot;
  }
}

function mixed(hashA: number, hashB: number): number {
  let mix = hashA ^ ((hashB << 16) | (hashB >>> 16));
  mix = Math.imul(mix ^ (mix >>> 16), 0x7feb352d);
  return (mix ^ (mix >>> 15)) >>> 0;
}
