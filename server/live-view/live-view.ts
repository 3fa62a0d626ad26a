import { blockShift, type Cells } from "./cells.ts";
import { type DeviceListener, DeviceTable } from "./device-table.ts";
import { covers, type Epoch, type ShardEpochs } from "./epoch.ts";
import { LiveWindow } from "./live-window.ts";
import type { ObservationQueue } from "./observation-queue.ts";
import { Shard } from "./shard.ts";
import type { NamedCells } from "./shared/named-cells.ts";
import type { StoredBlock } from "./stored-window.ts";
import type { TypeTable } from "./type-table.ts";

/** A clock that goes back further than this moves the window back; less is waited for. */
const clockBackSeconds = 30;
const maintenanceSeconds = 16;
/** Events whose devices are looked for ahead: a line of the cache each, 32 KiB. */
const lookAhead = 512;

export interface LiveViewDeps {
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly types: TypeTable;
  readonly deviceListener: DeviceListener | null;
  /** What became pending of a shard, for other instances. Not to be kept or changed. */
  readonly onPending: (shard: number, epoch: Epoch, cells: Cells) => void;
  /** The clock was set back: the window is another one, and holds only what is pending. */
  readonly onRebuilt: () => void;
  /** Event types that were looked up in this tick of the type table, or later, may still be queued. */
  readonly queuedTypesSince: () => number;
}

/**
 * What ClickHouse has stored and what is durable and not stored, in one materialised window.
 *
 * Every event is in the window exactly once, because of two rules. An epoch's events are *pending* from the moment they
 * are durable until an answer of ClickHouse replaces the blocks that they lie in; and an answer replaces a block as a
 * whole: by what it brought, and what is pending of epochs after those that the answer holds. So the order in which
 * reports and answers come does not matter, a lost answer does no harm, and what others insert is found the next time
 * the block is asked for.
 */
export class LiveView {
  readonly types: TypeTable;
  window: LiveWindow;
  devices: DeviceTable;
  shards: readonly Shard[] = [new Shard()];
  /** Blocks of which ClickHouse knows more than the window has. */
  staleBlocks = new Set<number>();
  changed = true;
  readonly #deps: LiveViewDeps;
  readonly #devicesMax: number;
  #maintainedSecond: number;

  constructor(deps: LiveViewDeps, devicesMax: number) {
    this.#deps = deps;
    this.#devicesMax = devicesMax;
    this.types = deps.types;
    const nowSecond = Math.floor(deps.now() / 1000);
    this.window = new LiveWindow(nowSecond);
    this.devices = this.#createDeviceTable();
    this.#maintainedSecond = nowSecond;
  }

  #createDeviceTable(): DeviceTable {
    return new DeviceTable(this.window.fromSecond, this.#devicesMax, this.#deps.deviceListener);
  }

  /** Devices are spread over shards by `deviceHashA`. */
  spread(shards: number): void {
    this.shards = Array.from({ length: shards }, () => new Shard());
  }

  /** Makes `epoch` the one that a shard collects. */
  collect(shard: Shard, epoch: Epoch): void {
    if (epoch === shard.collectedEpoch) return;
    this.flush();
    shard.collectedEpoch = epoch;
  }

  /** Aggregates the `n` oldest observations, into the epochs that the shards collect. `receipt`: see `DeviceTable`. */
  observe(queue: ObservationQueue, n: number, receipt: number) {
    this.#collectCells(queue, n);
    for (let from = 0; from < n; from += lookAhead) {
      this.#hearDevices(queue, from, Math.min(n, from + lookAhead), receipt);
    }
  }

  #collectCells({ types, seconds, values, hashesA, mask, takenTotal }: ObservationQueue, n: number): void {
    const { shards } = this;
    const { fromSecond, toSecond } = this.window;
    let { collector } = shards[0] as Shard;
    for (let index = 0; index < n; index++) {
      const at = (takenTotal + index) & mask;
      const second = seconds[at] as number;
      if (second < fromSecond || second > toSecond) continue;
      if (shards.length > 1) ({ collector } = shards[(hashesA[at] as number) % shards.length] as Shard);
      collector.observe(types[at] as number, second, values[at] as number);
    }
  }

  /** Of the observations `from` to `to`, counted from the oldest. */
  #hearDevices(
    { seconds, hashesA, hashesB, mask, takenTotal }: ObservationQueue,
    from: number,
    to: number,
    receipt: number,
  ) {
    const { devices } = this;
    const { fromSecond, toSecond } = this.window;
    // With many devices each look is a miss in the cache. Without anything between them the processor has many underway at once.
    for (let index = from; index < to; index++) {
      const at = (takenTotal + index) & mask;
      devices.prefetch(hashesA[at] as number, hashesB[at] as number);
    }
    for (let index = from; index < to; index++) {
      const at = (takenTotal + index) & mask;
      const second = seconds[at] as number;
      const hashA = hashesA[at] as number;
      const hashB = hashesB[at] as number;
      if (second < fromSecond || second > toSecond) this.#deps.deviceListener?.heard(hashA, hashB);
      else devices.observe(hashA, hashB, second, receipt);
    }
  }

  /** What was collected becomes part of the window, and pending. */
  flush(): void {
    for (let index = 0; index < this.shards.length; index++) {
      const shard = this.shards[index] as Shard;
      const epoch = shard.collectedEpoch;
      if (shard.collector.length === 0 || epoch === undefined) continue;
      const cells = shard.collector.take();
      this.changed = true;
      if (covers(shard.answeredEpoch, epoch)) {
        // Reported durable after it was reported stored: the answer had it already, or a further one will.
        this.#markStale(cells);
        continue;
      }
      this.#deps.onPending(index, epoch, cells);
      this.window.add(cells);
      shard.pending.add(epoch, cells);
    }
  }

  /** All that another instance has of an epoch: what was known of it before is replaced. */
  replaceForeign(shard: Shard, instance: string, epoch: Epoch, whole: NamedCells): void {
    this.advance();
    this.flush();
    const added = covers(shard.answeredEpoch, epoch) ? undefined : shard.foreign.learn(instance, epoch, whole);
    if (added === undefined) {
      this.#markStale(whole.cells);
      return;
    }
    if (added.cells.length === 0) return;
    const cells = this.#inOwnTypes(added);
    this.window.add(cells);
    shard.pending.add(epoch, cells);
    this.changed = true;
  }

  /** What is in `blocks` becomes what is stored up to the epochs of `answered`, and what is pending after them. */
  replaceBlocks(blocks: Set<number>, rows: readonly StoredBlock[], answered: ShardEpochs): void {
    this.advance();
    this.flush();
    const { window, shards } = this;
    const before = new Map<number, number>();
    for (const block of blocks) {
      if (block < window.fromBlock || block > window.toBlock) {
        blocks.delete(block);
      } else if (shards.some(({ pending }, index) => pending.straddles(answered[index], block))) {
        // Which of its events the answer has cannot be told; a later answer will have them all.
        blocks.delete(block);
        this.staleBlocks.add(block);
      } else {
        before.set(block, window.signature(block));
        window.clearBlock(block);
      }
    }
    for (const row of rows) if (blocks.has(row.block)) window.addStored(this.types.indexOf(row.eventType), row);
    for (const [index, { pending }] of shards.entries()) {
      pending.dropUpTo(answered[index], (block) => !blocks.has(block));
      for (const { lastEpoch, parts } of pending.partials) {
        if (covers(answered[index], lastEpoch)) continue;
        for (const cells of parts) window.addBlocks(cells, blocks);
      }
    }
    for (const [block, signature] of before) if (window.signature(block) !== signature) this.changed = true;
  }

  /** Moves the window to now; everything aggregated before belongs to the window as it was. */
  advance(): void {
    const nowSecond = Math.floor(this.#deps.now() / 1000);
    const { window } = this;
    if (nowSecond === window.nowSecond) return;
    if (nowSecond < window.nowSecond) {
      if (nowSecond < window.nowSecond - clockBackSeconds) this.#rebuild(nowSecond);
      return;
    }
    this.flush();
    if (window.advance(nowSecond) || window.moving) this.changed = true;
    this.devices.advance(window.fromSecond);
    if (nowSecond - this.#maintainedSecond >= maintenanceSeconds) this.#maintain(nowSecond);
  }

  /** The window is made anew from what is pending. */
  #rebuild(nowSecond: number): void {
    this.flush();
    this.window = new LiveWindow(nowSecond);
    const { fromSecond, toSecond } = this.window;
    for (const { pending } of this.shards) {
      pending.drop((block) => {
        const second = block << blockShift;
        return second >= fromSecond && second <= toSecond;
      });
      for (const partial of pending.partials) for (const cells of partial.parts) this.window.add(cells);
    }
    this.devices.leave();
    this.devices = this.#createDeviceTable();
    this.#maintainedSecond = nowSecond;
    this.changed = true;
    this.#deps.onRebuilt();
  }

  /** Drops what has left the window, and gives back types that hold nothing. */
  #maintain(nowSecond: number): void {
    this.#maintainedSecond = nowSecond;
    const { fromBlock } = this.window;
    for (const { pending } of this.shards) pending.drop((block) => block >= fromBlock);
    for (const block of this.staleBlocks) if (block < fromBlock) this.staleBlocks.delete(block);
    const held = this.window.dropEmptyTypes();
    const pending = this.shards.map((shard) => shard.pending.types());
    const queuedSince = this.#deps.queuedTypesSince();
    for (let index = 1; index < this.types.length; index++) {
      if (!held.has(index) && !pending.some((types) => types.has(index))) this.types.release(index, queuedSince);
    }
  }

  #markStale({ length, seconds }: Cells): void {
    for (let cell = 0; cell < length; cell++) this.staleBlocks.add((seconds[cell] as number) >> blockShift);
  }

  /** Every instance numbers types in its own order. */
  #inOwnTypes({ names, cells }: NamedCells): Cells {
    const types = names.map((name) => this.types.indexOf(name));
    for (let cell = 0; cell < cells.length; cell++) cells.types[cell] = types[cells.types[cell] as number] as number;
    for (const entry of cells.histograms) entry.type = types[entry.type] as number;
    return cells;
  }
}
