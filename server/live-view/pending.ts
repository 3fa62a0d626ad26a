import { blockShift, CellCollector, type Cells, filterCells } from "./cells.ts";
import { covers, type Epoch } from "./epoch.ts";

/** Aggregates of adjacent epochs that are not yet known to be in ClickHouse's answer. */
export interface Partial {
  firstEpoch: Epoch;
  lastEpoch: Epoch;
  sealed: boolean;
  /** Lists of cells, none empty; merged now and then. */
  parts: Cells[];
}

/** Bounds on memory: past either, adjacent epochs are merged, whatever batch they belong to. */
const partialsMax = 128;
const cellsMax = 1 << 18;
const partsMax = 8;

/**
 * The partial aggregates, oldest first. Merging is always allowed: a partial that spans what is stored and what is not merely makes
 * its blocks wait for a later answer.
 */
export class PendingEpochs {
  readonly #partials: Partial[] = [];
  readonly #merger = new CellCollector();
  #cells = 0;
  #sealedEpoch: Epoch | undefined;

  get partials(): readonly Partial[] {
    return this.#partials;
  }

  get cells(): number {
    return this.#cells;
  }

  /** Takes over `cells`. Epochs mostly come in order; an older one finds its place. */
  add(epoch: Epoch, cells: Cells): void {
    this.#cells += cells.length;
    let at = this.#partials.length - 1;
    while (at >= 0 && (this.#partials[at] as Partial).firstEpoch > epoch) at--;
    const partial = this.#partials[at];
    if (partial && epoch <= partial.lastEpoch) {
      partial.parts.push(cells);
      if (partial.parts.length > partsMax) this.#compact(partial);
    } else {
      this.#partials.splice(at + 1, 0, {
        firstEpoch: epoch,
        lastEpoch: epoch,
        sealed: covers(this.#sealedEpoch, epoch),
        parts: [cells],
      });
    }
    this.#bound();
  }

  /** A batch was sealed: all of its epochs are dropped together, so they may as well be one. */
  seal(lastEpoch: Epoch): void {
    if (!covers(this.#sealedEpoch, lastEpoch)) this.#sealedEpoch = lastEpoch;
    const first = this.#partials.findIndex((partial) => !partial.sealed);
    if (first < 0) return;
    let end = first;
    while (end < this.#partials.length && (this.#partials[end] as Partial).lastEpoch <= lastEpoch) {
      (this.#partials[end] as Partial).sealed = true;
      end++;
    }
    if (end - first > 1) this.#merge(first, end);
  }

  /** Drops the blocks that `keeps` refuses, and partials that become empty. */
  drop(keeps: (block: number) => boolean): void {
    this.#filter(() => true, keeps);
  }

  /** `drop` in partials whose epochs are all up to `mark`. */
  dropUpTo(mark: Epoch | undefined, keeps: (block: number) => boolean): void {
    this.#filter(({ lastEpoch }) => covers(mark, lastEpoch), keeps);
  }

  /** Whether a partial that is stored only in part, were `storedEpoch` the last stored one, has cells in a block. */
  straddles(storedEpoch: Epoch | undefined, block: number): boolean {
    for (const { firstEpoch, lastEpoch, parts } of this.#partials) {
      if (!covers(storedEpoch, firstEpoch) || covers(storedEpoch, lastEpoch)) continue;
      for (const { length, seconds } of parts) {
        for (let cell = 0; cell < length; cell++) if ((seconds[cell] as number) >> blockShift === block) return true;
      }
    }
    return false;
  }

  /** Event types that any cell refers to. */
  types(): Set<number> {
    const types = new Set<number>();
    for (const partial of this.#partials) {
      for (const cells of partial.parts)
        for (let cell = 0; cell < cells.length; cell++) types.add(cells.types[cell] as number);
    }
    return types;
  }

  #filter(concerns: (partial: Partial) => boolean, keeps: (block: number) => boolean): void {
    let left = 0;
    this.#cells = 0;
    for (const partial of this.#partials) {
      if (concerns(partial)) {
        partial.parts = partial.parts.map((cells) => filterCells(cells, keeps)).filter((cells) => cells.length > 0);
      }
      if (partial.parts.length === 0) continue;
      for (const cells of partial.parts) this.#cells += cells.length;
      this.#partials[left++] = partial;
    }
    this.#partials.length = left;
  }

  #bound(): void {
    const partials = this.#partials;
    if (partials.length <= partialsMax && (this.#cells <= cellsMax || partials.length <= 8)) return;
    // Pairs of one batch first; when there are none to speak of, any pairs.
    for (const mixed of [false, true]) {
      for (let at = 0; at + 1 < partials.length - 1; at++) {
        if (mixed || (partials[at] as Partial).sealed === (partials[at + 1] as Partial).sealed) this.#merge(at, at + 2);
      }
      if (partials.length <= partialsMax / 2 && this.#cells <= cellsMax) return;
    }
  }

  #merge(from: number, end: number): void {
    const merged = this.#partials.slice(from, end);
    const first = merged[0] as Partial;
    const last = merged[merged.length - 1] as Partial;
    const partial: Partial = {
      firstEpoch: first.firstEpoch,
      lastEpoch: last.lastEpoch,
      sealed: merged.every((one) => one.sealed),
      parts: merged.flatMap((one) => one.parts),
    };
    this.#partials.splice(from, end - from, partial);
    this.#compact(partial);
  }

  #compact(partial: Partial): void {
    for (const cells of partial.parts) {
      this.#cells -= cells.length;
      this.#merger.absorb(cells);
    }
    const cells = this.#merger.take();
    this.#cells += cells.length;
    partial.parts = [cells];
  }
}
