/** Index of the row that stands for every type past the limit. */
export const otherType = 0;
export const otherTypeName = "(other)";

/**
 * Event types as small numbers: index 0 is "(other)", the rest are given out in order of appearance and reused once
 * nothing refers to them any more.
 */
export class TypeTable {
  readonly #indexes = new Map<string, number>([[otherTypeName, otherType]]);
  readonly #names: (string | null)[] = [otherTypeName];
  readonly #free: number[] = [];
  readonly #typesMax: number;
  /** The tick in which each index was last asked for: what was asked for since may still be queued. */
  readonly #usedAt: number[] = [0];
  #tick = 0;
  #lastName = otherTypeName;
  #lastIndex = otherType;
  /** Lookups that ended in "(other)" for want of room. */
  overflowed = 0;

  constructor(typesMax: number) {
    this.#typesMax = typesMax;
  }

  /** 2 ns for the type of the event before; 8 ns with ten types in turn, 14 ns with 500. Valid until the end of the turn. */
  indexOf(eventType: string): number {
    if (eventType === this.#lastName) return this.#lastIndex;
    let index = this.#indexes.get(eventType);
    if (index === undefined) index = this.#add(eventType);
    this.#usedAt[index] = this.#tick;
    this.#lastName = eventType;
    this.#lastIndex = index;
    return index;
  }

  nameOf(index: number): string | null {
    return this.#names[index] ?? null;
  }

  /** One more than the largest index in use. */
  get length(): number {
    return this.#names.length;
  }

  /** Begins a tick; what `indexOf` gives out from now on counts as used in it. */
  startTick(tick: number): void {
    this.#tick = tick;
    // The shortcut does not note its use, so it ends with the tick.
    this.#lastName = otherTypeName;
    this.#lastIndex = otherType;
  }

  /** Frees `index` for another name, unless it was used in tick `since` or later. */
  release(index: number, since: number): boolean {
    const name = this.#names[index];
    if (index === otherType || name === undefined || name === null) return false;
    if ((this.#usedAt[index] as number) >= since) return false;
    this.#indexes.delete(name);
    this.#names[index] = null;
    this.#free.push(index);
    return true;
  }

  #add(eventType: string): number {
    const index = this.#free.pop() ?? this.#names.length;
    if (index > this.#typesMax) {
      this.overflowed++;
      return otherType;
    }
    this.#names[index] = eventType;
    this.#indexes.set(eventType, index);
    return index;
  }
}
