/**
 * What the live charts draw: for every type one number a second, in typed arrays outside Solid's store, so that 10
 * updates a second with 200 types allocate nothing. Memory is fixed: seconds × types × 4 bytes.
 * NaN is "nobody knows" (no connection, or before the first event) and is drawn as a gap; 0 is a real zero.
 */
export interface Rings {
  readonly seconds: number;
  /** Newest second that has a slot, epoch seconds; -Infinity before the first. */
  newest(): number;
  /** Makes slots up to `second`. `carry`: the time between was connected and quiet, so the last values stood. */
  advance(second: number, carry: boolean): void;
  /** Sets a type's value in a slot that exists. Ignored when the slot has left the ring. */
  set(type: string, second: number, value: number): void;
  /** NaN where nothing is known. */
  get(type: string, second: number): number;
  /** Sets every known type to zero in the newest slot; types of the update overwrite theirs. */
  zeroNewest(): void;
  /** Copies the last `count` values, oldest first, into `out`; gaps are NaN. */
  copyLast(type: string, count: number, out: Float32Array): void;
  types(): string[];
}

export interface RingsOptions {
  seconds: number;
  /** The type without an update for longest makes room for a new one. */
  typesMax: number;
}

interface Column {
  values: Float32Array;
  usedAt: number;
}

export function createRings({ seconds, typesMax }: RingsOptions): Rings {
  const columns = new Map<string, Column>();
  let newest = Number.NEGATIVE_INFINITY;

  const slot = (second: number): number => ((second % seconds) + seconds) % seconds;
  const held = (second: number): boolean => second <= newest && second > newest - seconds;

  const columnFor = (type: string): Column => {
    const known = columns.get(type);
    if (known) return known;
    if (columns.size >= typesMax) {
      let oldest: string | undefined;
      let oldestAt = Number.POSITIVE_INFINITY;
      for (const [name, column] of columns) {
        if (column.usedAt < oldestAt) {
          oldestAt = column.usedAt;
          oldest = name;
        }
      }
      if (oldest !== undefined) columns.delete(oldest);
    }
    const column = { values: new Float32Array(seconds).fill(Number.NaN), usedAt: newest };
    columns.set(type, column);
    return column;
  };

  return {
    seconds,
    newest: () => newest,
    advance(second, carry) {
      if (second <= newest) return;
      const first = Number.isFinite(newest) ? Math.max(newest + 1, second - seconds + 1) : second;
      for (const column of columns.values()) {
        const last = carry && Number.isFinite(newest) ? column.values[slot(newest)]! : Number.NaN;
        for (let at = first; at <= second; at++) column.values[slot(at)] = last;
      }
      newest = second;
    },
    set(type, second, value) {
      if (!held(second)) return;
      const column = columnFor(type);
      column.usedAt = newest;
      column.values[slot(second)] = value;
    },
    get(type, second) {
      return held(second) ? (columns.get(type)?.values[slot(second)] ?? Number.NaN) : Number.NaN;
    },
    zeroNewest() {
      const at = slot(newest);
      for (const column of columns.values()) column.values[at] = 0;
    },
    copyLast(type, count, out) {
      const column = columns.get(type);
      for (let index = 0; index < count; index++) {
        const second = newest - count + 1 + index;
        out[index] = column && held(second) ? column.values[slot(second)]! : Number.NaN;
      }
    },
    types: () => [...columns.keys()],
  };
}
