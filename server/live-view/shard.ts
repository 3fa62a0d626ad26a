import { CellCollector } from "./cells.ts";
import { covers, type Epoch } from "./epoch.ts";
import { PendingEpochs } from "./pending.ts";
import { type NamedCells, subtractCells } from "./shared/named-cells.ts";

/** Bound on what is remembered, for each shard, of other instances' epochs; what is past it shows once it is stored. */
const foreignCellsMax = 1 << 16;

/** One sequence of epochs: the only one on one machine, one for each shard of a journal that instances share. */
export class Shard {
  readonly pending = new PendingEpochs();
  /** Events aggregated since the last flush, all of `collectedEpoch`. */
  readonly collector = new CellCollector();
  collectedEpoch: Epoch | undefined;
  /** Epochs up to here are confirmed stored. */
  storedEpoch: Epoch | undefined;
  /** Epochs up to here are in every answer from now on: what still comes of them is not pending. */
  answeredEpoch: Epoch | undefined;
  readonly foreign = new ForeignEpochs();

  stored(lastEpoch: Epoch): void {
    if (covers(this.storedEpoch, lastEpoch)) return;
    this.pending.seal(lastEpoch);
    this.storedEpoch = lastEpoch;
  }

  /** Answers from now on hold everything up to `mark`. */
  answered(mark: Epoch | undefined): void {
    if (mark === undefined || covers(this.answeredEpoch, mark)) return;
    this.answeredEpoch = mark;
    this.foreign.forget(mark);
  }
}

/** What other instances have said of epochs that no answer holds yet. */
export class ForeignEpochs {
  readonly #known = new Map<string, { readonly epoch: Epoch; readonly cells: NamedCells | "no room" }>();
  #cells = 0;

  /**
   * What `whole`, all that an instance has of an epoch, adds to what was known of it. Undefined when that cannot be told,
   * because there was no room to remember what was known: ClickHouse will tell.
   */
  learn(instance: string, epoch: Epoch, whole: NamedCells): NamedCells | undefined {
    const key = `${epoch} ${instance}`;
    const known = this.#known.get(key)?.cells;
    if (known === "no room") return undefined;
    const others = this.#cells - (known?.cells.length ?? 0);
    const fits = others + whole.cells.length <= foreignCellsMax;
    this.#cells = fits ? others + whole.cells.length : others;
    this.#known.set(key, { epoch, cells: fits ? whole : "no room" });
    return subtractCells(whole, known);
  }

  forget(mark: Epoch): void {
    for (const [key, { epoch, cells }] of this.#known) {
      if (epoch > mark) continue;
      if (cells !== "no room") this.#cells -= cells.cells.length;
      this.#known.delete(key);
    }
  }
}
