import type { Series } from "./series.ts";

/** A device that sends an event type under rules, and the series that its events go into. */
export interface Subject {
  readonly deviceId: string;
  readonly hashA: number;
  readonly hashB: number;
  series: readonly Series[];
}

const firstSlots = 1 << 8;

/** Subjects by the two hashes of their device: open addressing, one cache line a look. Nothing is removed one by one. */
export class SubjectTable {
  #subjects: Subject[] = [];
  /** Of each slot: hash A, hash B, place in `#subjects` plus 1 (0: free). */
  #slots = new Uint32Array(firstSlots * 4);
  #mask = firstSlots - 1;

  get size(): number {
    return this.#subjects.length;
  }

  get all(): readonly Subject[] {
    return this.#subjects;
  }

  find(hashA: number, hashB: number): Subject | undefined {
    const slots = this.#slots;
    let slot = mixed(hashA, hashB) & this.#mask;
    for (;;) {
      const at = slot * 4;
      const place = slots[at + 2] as number;
      if (place === 0) return undefined;
      if (slots[at] === hashA && slots[at + 1] === hashB) return this.#subjects[place - 1];
      slot = (slot + 1) & this.#mask;
    }
  }

  add(subject: Subject): void {
    if (this.#subjects.length * 2 >= this.#mask) this.#resize((this.#mask + 1) * 2);
    this.#subjects.push(subject);
    this.#place(subject, this.#subjects.length);
  }

  /** Keeps those alone. */
  replace(subjects: Subject[]): void {
    let slots = firstSlots;
    while (subjects.length * 2 >= slots) slots *= 2;
    this.#subjects = subjects;
    this.#resize(slots);
  }

  #resize(slots: number): void {
    this.#slots = new Uint32Array(slots * 4);
    this.#mask = slots - 1;
    for (const [index, subject] of this.#subjects.entries()) this.#place(subject, index + 1);
  }

  #place({ hashA, hashB }: Subject, place: number): void {
    let slot = mixed(hashA, hashB) & this.#mask;
    while (this.#slots[slot * 4 + 2] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot * 4] = hashA;
    this.#slots[slot * 4 + 1] = hashB;
    this.#slots[slot * 4 + 2] = place;
  }
}

function mixed(hashA: number, hashB: number): number {
  let mix = hashA ^ ((hashB << 16) | (hashB >>> 16));
  mix = Math.imul(mix ^ (mix >>> 16), 0x7feb352d);
  return (mix ^ (mix >>> 15)) >>> 0;
}
