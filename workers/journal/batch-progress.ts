/** Rows of a batch, `from` up to, not including, `to`. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** What a batch's way into ClickHouse leaves on record, durably, before the next step: a retry has to take the same path. */
export type ProgressRecord =
  /** The range is not inserted as a whole: a row of it is refused, or it is too much at once. */
  | { readonly kind: "split"; readonly range: RowRange }
  /** Every row before this one is in ClickHouse, or a dead letter. */
  | { readonly kind: "settled"; readonly before: number };

export const rangeName = (range: RowRange): string => `${range.from}-${range.to}`;

/** As files and Redis hold it. The end of a settled one is 0, which is no range's. */
export const recordName = (record: ProgressRecord): string =>
  record.kind === "split" ? rangeName(record.range) : rangeName({ from: record.before, to: 0 });

/** All that is on record of one batch. */
export class BatchProgress {
  readonly #splits = new Set<string>();
  #settledBefore = 0;

  /** From the names of records, in any order. */
  constructor(names: Iterable<string> = []) {
    for (const name of names) this.addName(name);
  }

  /** Rows before this one need not be sent again. */
  get settledBefore(): number {
    return this.#settledBefore;
  }

  /** Names of the ranges that were split. */
  get splits(): ReadonlySet<string> {
    return this.#splits;
  }

  isSplit(range: RowRange): boolean {
    return this.#splits.has(rangeName(range));
  }

  add(record: ProgressRecord): void {
    this.addName(recordName(record));
  }

  addName(name: string): void {
    const [, before] = /^(\d+)-0$/.exec(name) ?? [];
    if (before === undefined) this.#splits.add(name);
    else this.#settledBefore = Math.max(this.#settledBefore, Number(before));
  }
}
