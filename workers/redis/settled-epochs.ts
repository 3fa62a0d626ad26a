/**
 * Which epochs of this instance are stored, when what is known is which cuts are. The appender notes the cuts that Redis put an
 * epoch's rows into; cuts are numbered from 1 and stored in order, shard by shard.
 */
export class SettledEpochs {
  /** In order; the cuts are those of all epochs so far. */
  readonly #unsettled: { epoch: number; readonly cuts: readonly number[] }[] = [];
  #newest = 0;

  note(epoch: number, cuts: readonly number[]): void {
    const last = this.#unsettled[this.#unsettled.length - 1];
    const sum = cuts.map((cut, shard) => Math.max(cut, last?.cuts[shard] ?? 0));
    if (last && sum.every((cut, shard) => cut === last.cuts[shard])) last.epoch = epoch;
    else this.#unsettled.push({ epoch, cuts: sum });
  }

  /** The newest epoch whose rows, and all before them, are stored. `mayGrow`: more rows of this epoch may still come. */
  settle(storedCuts: readonly number[], mayGrow: (epoch: number) => boolean): number {
    const isStored = (cut: number, shard: number): boolean => cut <= (storedCuts[shard] ?? 0);
    for (let first = this.#unsettled[0]; first?.cuts.every(isStored); first = this.#unsettled[0]) {
      const { epoch } = first;
      const next = this.#unsettled[1];
      const isOpen = next?.epoch === epoch || mayGrow(epoch);
      this.#newest = Math.max(this.#newest, isOpen ? epoch - 1 : epoch);
      if (isOpen && next === undefined) break;
      this.#unsettled.shift();
    }
    return this.#newest;
  }
}
