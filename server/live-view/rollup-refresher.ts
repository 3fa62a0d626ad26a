import { RowBinaryReader } from "../../contract/row.ts";
import { blockSeconds, blockShift } from "./cells.ts";
import { covers, type ShardEpochs } from "./epoch.ts";
import type { LiveView } from "./live-view.ts";
import { decodeStoredBlock, type SecondRange, type StoredBlock } from "./stored-window.ts";

/** What ClickHouse holds of the seconds asked for, and of each shard the newest epoch that it holds all rows of. */
export type StoredAnswer =
  | { readonly ok: true; readonly storedEpochs: ShardEpochs; readonly body: Uint8Array }
  | { readonly ok: false };

export interface RollupRefresherDeps {
  readonly view: LiveView;
  /** See `AggregatorDeps`. */
  readonly queryStored: (ranges: readonly SecondRange[]) => Promise<StoredAnswer>;
  readonly pause: () => Promise<void>;
}

/** The newest seconds are asked for every time: another instance's events are mostly there. */
const recentSeconds = 16;
/** Every part of the window is asked for at least this often, for what others inserted and what was dead-lettered. */
const sweepMs = 60_000;
/** Rollup rows (of a type and block) applied before other work has its turn: 1 to 2 ms. */
const sliceRows = 192;

/** Asks ClickHouse what it has stored of the window, again and again, and puts the answers in place. */
export class RollupRefresher {
  readonly #deps: RollupRefresherDeps;
  readonly #intervalMs: number;
  #asking = false;
  #stopped = false;
  #nextMs = 0;
  /** The next query asks for every block. */
  #whole = true;
  /** The next block that the sweep asks for. */
  #sweepBlock = 0;
  /** ClickHouse has told what it holds of the whole window. */
  complete = false;
  queries = 0;
  failures = 0;

  constructor(deps: RollupRefresherDeps, intervalMs: number) {
    this.#deps = deps;
    this.#intervalMs = intervalMs;
  }

  isDue(nowMs: number): boolean {
    return !this.#stopped && !this.#asking && nowMs >= this.#nextMs;
  }

  /** The window is another one: all of it is asked for, at once. */
  reset(): void {
    this.#nextMs = 0;
    this.#whole = true;
    this.complete = false;
  }

  stop(): void {
    this.#stopped = true;
  }

  async refresh(nowMs: number): Promise<void> {
    this.#asking = true;
    this.#nextMs = nowMs + this.#intervalMs;
    this.queries++;
    const whole = this.#whole;
    const blocks = whole ? this.#allBlocks() : this.#someBlocks();
    this.#whole = false;
    this.#deps.view.staleBlocks = new Set();
    try {
      const answer = await this.#deps.queryStored(rangesOf(blocks));
      if (this.#stopped) return;
      if (!answer.ok) return this.#failed(blocks, whole);
      await this.#apply(blocks, answer.body, answer.storedEpochs);
      if (whole && !this.complete) {
        this.complete = true;
        this.#deps.view.changed = true;
      }
    } catch (error) {
      this.#failed(blocks, whole);
      throw error;
    } finally {
      this.#asking = false;
    }
  }

  /** Nothing that was to be asked is forgotten. */
  #failed(blocks: readonly number[], whole: boolean): void {
    this.failures++;
    this.#whole ||= whole;
    for (const block of blocks) this.#deps.view.staleBlocks.add(block);
  }

  #allBlocks(): number[] {
    const { fromBlock, toBlock } = this.#deps.view.window;
    return Array.from({ length: toBlock - fromBlock + 1 }, (_, index) => fromBlock + index);
  }

  /** The newest blocks, those that are known to be behind, those of newly stored epochs, and the sweep's next; ascending. */
  #someBlocks(): number[] {
    const { window, staleBlocks, shards } = this.#deps.view;
    const { fromBlock, toBlock, nowSecond } = window;
    const chosen = new Set<number>();
    const choose = (block: number): void => {
      if (block >= fromBlock && block <= toBlock) chosen.add(block);
    };
    for (let block = (nowSecond - recentSeconds) >> blockShift; block <= nowSecond >> blockShift; block++)
      choose(block);
    for (const block of staleBlocks) choose(block);
    for (const { pending, storedEpoch } of shards) {
      for (const { lastEpoch, parts } of pending.partials) {
        if (!covers(storedEpoch, lastEpoch)) continue;
        for (const { length, seconds } of parts) {
          for (let cell = 0; cell < length; cell++) choose((seconds[cell] as number) >> blockShift);
        }
      }
    }
    const span = toBlock - fromBlock + 1;
    for (let left = Math.min(span, Math.ceil((span * this.#intervalMs) / sweepMs)); left > 0; left--) {
      if (this.#sweepBlock < fromBlock || this.#sweepBlock > toBlock) this.#sweepBlock = fromBlock;
      chosen.add(this.#sweepBlock++);
    }
    return [...chosen].sort((a, b) => a - b);
  }

  /** Puts the answer for `blocks` in place, some blocks at a time; `blocks` ascending, and so is the answer. */
  async #apply(blocks: readonly number[], body: Uint8Array, answered: ShardEpochs): Promise<void> {
    const { view } = this.#deps;
    view.flush();
    for (const [index, shard] of view.shards.entries()) shard.answered(answered[index]);
    const reader = new RowBinaryReader(body);
    let row = reader.done ? null : decodeStoredBlock(reader);
    let next = 0;
    while (next < blocks.length) {
      const slice = new Set<number>();
      const rows: StoredBlock[] = [];
      while (next < blocks.length && rows.length < sliceRows) {
        const block = blocks[next++] as number;
        slice.add(block);
        while (row !== null && row.block === block) {
          rows.push(row);
          row = reader.done ? null : decodeStoredBlock(reader);
        }
      }
      view.replaceBlocks(slice, rows, answered);
      if (next < blocks.length) await this.#deps.pause();
      if (this.#stopped) return;
    }
    if (row !== null) throw new Error(`an answer with block ${row.block}, which was not asked for, or out of order`);
  }
}

/** Adjacent blocks as one range of seconds. */
function rangesOf(blocks: readonly number[]): SecondRange[] {
  const ranges: [number, number][] = [];
  for (const block of blocks) {
    const last = ranges[ranges.length - 1];
    const from = block << blockShift;
    if (last && last[1] === from) last[1] = from + blockSeconds;
    else ranges.push([from, from + blockSeconds]);
  }
  return ranges;
}
