import { hashDeviceId, RowBinaryReader, TruncatedRowError } from "../../contract/row.ts";
import type { Pipeline, TypeAggregate, Update } from "../../contract/stream.ts";
import { blockSeconds, blockShift, CellCollector, type Cells } from "./cells.ts";
import { type DeviceQueries, DeviceRefresher } from "./device-refresher.ts";
import { type DeviceListener, DeviceTable, devicesMax, receiptOf } from "./device-table.ts";
import { LiveWindow, rateSeconds, type TypeTotals, windowSeconds } from "./live-window.ts";
import { ObservationQueue } from "./observation-queue.ts";
import { PendingEpochs } from "./pending.ts";
import { type NamedCells, subtractCells } from "./shared/named-cells.ts";
import { decodeStoredBlock, type SecondRange, type StoredBlock } from "./stored-window.ts";
import { otherType, otherTypeName, TypeTable } from "./type-table.ts";

/** What ClickHouse holds of the asked seconds, and the newest epoch of each lane that was confirmed stored when the query started. */
export type StoredAnswer = { ok: true; storedEpochs: readonly number[]; body: Uint8Array } | { ok: false };

export interface AggregatorDeps extends DeviceQueries {
  /** Epoch milliseconds. */
  now(): number;
  /** Milliseconds of a clock that is never set, for intervals. */
  monotonicNow(): number;
  /**
   * Runs `buildRollupQuery(ranges)` at a moment when no insert is in flight or uncertain, so that the answer holds all
   * epochs up to `storedEpochs` and nothing of later ones. May take long, or wait for the moment; never called twice at once.
   */
  queryStored(ranges: readonly SecondRange[]): Promise<StoredAnswer>;
  /** An answer that could not be understood, or a query that threw. The view keeps what it had. */
  onError(error: unknown): void;
  /** Follows the devices for longer than the window. */
  deviceListener?: DeviceListener;
  /** With several instances: what became pending here, for the others. Not to be kept or changed. */
  onPending?(lane: number, epoch: number, cells: Cells): void;
  /** Lets other work run between slices of a long piece. Default: the next turn of the event loop. */
  pause?(): Promise<void>;
}

export interface AggregatorOptions {
  /** Rows of the view; what is past it counts under "(other)". */
  eventTypesMax: number;
  aggregationIntervalMs: number;
  /** Default: `devicesMax`. */
  devicesMax?: number;
  /** How often ClickHouse is asked for the devices of others. Default: a minute. */
  devicesRefreshMs?: number;
}

export interface Aggregator {
  /** The hot path: `queue.push(types.indexOf(event.event_type), second, value or NaN, hashA, hashB)`. */
  readonly types: TypeTable;
  readonly queue: ObservationQueue;
  /** Stamp of the frames written now. Starts at 1, or at what `startAt` was given. */
  readonly currentEpoch: number;
  /**
   * Before the first event: live epochs start at `epoch`; the ones below are for what an earlier run left. With `lanes`
   * devices are spread over them by `deviceHashA`, and each has epochs of its own.
   */
  startAt(epoch: number, lanes?: number): void;
  /** Ends the current epoch when events were pushed into it; the writer is told its number. Else null. */
  closeEpoch(): number | null;
  /** The `n` oldest observations are durable, in frames of `epoch`; or in an epoch of each lane that they belong to. */
  fold(n: number, epoch: number | readonly number[]): void;
  /**
   * All that another instance has of an epoch of a lane: what was known of it before is replaced. Only ever grows until it
   * is stored.
   */
  replaceForeign(instance: string, lane: number, epoch: number, cells: NamedCells): void;
  /** The `n` oldest observations were refused by the journal. */
  discard(n: number): void;
  /**
   * Rows of an earlier run (RowBinary of `telemetry_events`), as pending of `epoch`; in slices. Resolves to where the last whole
   * row ends: of one that is cut off there nothing is folded.
   */
  foldRows(epoch: number, rows: Uint8Array): Promise<number>;
  /**
   * Epochs up to `lastEpoch` are in sealed batches. Gives an upper bound of the (second, type) groups of what was folded since the
   * last call, which is what the newest batch holds: the writer reports durable and sealed in its order.
   */
  sealed(lastEpoch: number): number;
  /** Epochs up to `lastEpoch` are confirmed in ClickHouse (or dead-lettered); or up to one of each lane. */
  stored(lastEpoch: number | readonly number[]): void;
  /** Moves the window to now, starts queries that are due. True when the view differs from the one at the last call. */
  tick(): boolean;
  buildUpdate(limit: number, pipeline: Pipeline): Update;
  /** ClickHouse has told what it holds of the window; before that the view has only what came since the start. */
  readonly complete: boolean;
  /** When a device was heard, as far as it is in the window: see `DeviceTable`. */
  readonly receipts: Pick<DeviceTable, "receipt" | "forget">;
  readonly stats: AggregatorStats;
  /** No further queries; the answer of the one in flight is ignored. */
  stop(): void;
}

interface AggregatorStats {
  readonly pendingCells: number;
  readonly pendingPartials: number;
  readonly rollupQueries: number;
  readonly rollupFailures: number;
  /** Events counted under "(other)" for want of a row, as lookups. */
  readonly typesOverflowed: number;
  /** The device table is full; the number of active devices is ClickHouse's estimate. */
  readonly devicesOverflowed: boolean;
}

/** The newest seconds are asked for every time: another instance's events are mostly there. */
const recentSeconds = 16;
/** Every part of the window is asked for at least this often, for what others inserted and what was dead-lettered. */
const sweepMs = 60_000;
const devicesRefreshMs = 60_000;
/** Rows folded, or rollup rows (of a type and block) applied, before other work has its turn: 1 to 2 ms. */
const sliceRows = 4096;
const sliceBlocks = 192;
/** A clock that goes back further than this moves the window back; less is waited for. */
const clockBackSeconds = 30;
const maintenanceSeconds = 16;
/** Bound on what is remembered, for each lane, of other instances' epochs; what is past it shows once it is stored. */
const foreignCellsMax = 1 << 16;
const quantileRanks = [0.5, 0.95, 0.99] as const;

/** At most so many (second, type) groups are in these cells: any event under "(other)" may be of a type of its own. */
function groupsIn({ length, types, counts }: Cells): number {
  let groups = length;
  for (let cell = 0; cell < length; cell++) if (types[cell] === otherType) groups += (counts[cell] as number) - 1;
  return groups;
}

/** A sequence of epochs: one on one machine, one for each shard of a shared journal. */
class Lane {
  readonly pending = new PendingEpochs();
  /** Events folded since the last flush, all of `collectedEpoch`. */
  readonly collector = new CellCollector();
  collectedEpoch = 0;
  /** Epochs up to here are confirmed stored. */
  storedEpoch = 0;
  /** Epochs up to here are in every answer from now on: what still comes of them is not pending. */
  answeredEpoch = 0;
  /** What other instances have said of epochs that are not in an answer yet, by instance and epoch. */
  readonly foreign = new Map<string, { epoch: number; cells: NamedCells | null }>();
  foreignCells = 0;

  forgetForeign(): void {
    for (const [key, { epoch, cells }] of this.foreign) {
      if (epoch > this.answeredEpoch) continue;
      this.foreignCells -= cells?.cells.length ?? 0;
      this.foreign.delete(key);
    }
  }
}

export function createAggregator(deps: AggregatorDeps, options: AggregatorOptions): Aggregator {
  return new LiveAggregator(deps, options);
}

/**
 * The live view: what ClickHouse has stored and what is durable and not stored, in one materialised window.
 *
 * Every event is in the window exactly once, because of two rules. An epoch's events are *pending* from the moment they are durable
 * until an answer of ClickHouse replaces the blocks that they lie in; and an answer replaces a block as a whole: by what
 * it brought, and what is pending of epochs after the answer's `storedEpoch`. So the order in which reports and answers
 * come does not matter, a lost answer does no harm, and what others insert is found the next time a block is asked for.
 *
 * Measured at 1 M events/s in requests of 1,000, normally distributed values, two seconds at a time, on 2 shared cores
 * of an AMD EPYC under other load, Bun 1.4.5; best 5 % and median of 80 ticks of 100 ms:
 *
 *   types, devices    push + indexOf    fold            tick              buildUpdate(10)
 *   10, 1,000         12 ns an event    33 to 35 ns     27 to 72 µs       15 to 31 µs
 *   50, 1,000         -                 38 to 44 ns     155 to 218 µs     63 to 90 µs
 *   500, 1,000        18 ns             48 to 53 ns     0.9 to 1.4 ms     320 to 450 µs
 *   500, 100,000      -                 76 to 155 ns    1.4 to 1.8 ms     400 to 450 µs
 *
 * The last line is what a cache costs that every event misses twice. A tick is dear by the cells that came since the one before
 * (one for each type and second), not by the window. The first answer for 500 types that all reported every second of ten minutes:
 * 37 MB, 37,500 rows, 8 µs a row, in slices. Memory: 50 MB process with 10 types, 140 MB with 500.
 */
class LiveAggregator implements Aggregator {
  readonly types: TypeTable;
  readonly queue = new ObservationQueue();
  currentEpoch = 1;
  readonly #deps: AggregatorDeps;
  readonly #options: AggregatorOptions;
  readonly #pause: () => Promise<void>;
  #window: LiveWindow;
  #devices: DeviceTable;
  #lanes: Lane[] = [new Lane()];
  #pushedAtEpochStart = 0;
  /** Blocks to ask for, beyond the recent ones and the sweep. */
  #dirty = new Set<number>();
  #sweepBlock = 0;
  #whole = true;
  #querying = false;
  complete = false;
  #nextQueryAt = 0;
  readonly #deviceRefresher: DeviceRefresher;
  #changed = true;
  #maintainedSecond = 0;
  #tick = 1;
  /** Observations that types of ticks before `#queueTick` gave out have left the queue. */
  #queueTick = 0;
  #queueMark = { pushed: 0, tick: 0 };
  /** Since the last sealed batch: cells, and each event that was not told apart by second and type. */
  #groups = 0;
  #stopped = false;
  #rollupQueries = 0;
  #rollupFailures = 0;

  constructor(deps: AggregatorDeps, options: AggregatorOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#pause = deps.pause ?? nextTurn;
    this.types = new TypeTable(options.eventTypesMax);
    const nowSecond = Math.floor(deps.now() / 1000);
    this.#window = new LiveWindow(nowSecond);
    this.#devices = this.#createDeviceTable(this.#window.fromSecond);
    this.#maintainedSecond = nowSecond;
    this.#deviceRefresher = new DeviceRefresher(
      {
        queries: deps,
        window: () => {
          this.#advance();
          const { fromSecond, toSecond } = this.#window;
          return { fromSecond, toSecond, devices: this.#devices };
        },
        pause: this.#pause,
        onChanged: () => {
          this.#changed = true;
        },
      },
      {
        devicesMax: options.devicesMax ?? devicesMax,
        refreshMs: options.devicesRefreshMs ?? devicesRefreshMs,
      },
    );
  }

  #createDeviceTable(fromSecond: number): DeviceTable {
    return new DeviceTable(fromSecond, this.#options.devicesMax ?? devicesMax, this.#deps.deviceListener ?? null);
  }

  /** The table is another one once the clock was set back. */
  readonly receipts: Aggregator["receipts"] = {
    receipt: (hashA, hashB) => this.#devices.receipt(hashA, hashB),
    forget: (hashA, hashB) => this.#devices.forget(hashA, hashB),
  };

  get stats(): AggregatorStats {
    return {
      pendingCells: this.#lanes.reduce((sum, lane) => sum + lane.pending.cells + lane.collector.length, 0),
      pendingPartials: this.#lanes.reduce((sum, lane) => sum + lane.pending.partials.length, 0),
      rollupQueries: this.#rollupQueries,
      rollupFailures: this.#rollupFailures,
      typesOverflowed: this.types.overflowed,
      devicesOverflowed: this.#devices.overflowed,
    };
  }

  startAt(epoch: number, lanes = 1): void {
    if (this.queue.pushedTotal > 0 || epoch < this.currentEpoch) throw new Error("live epochs have begun");
    this.currentEpoch = epoch;
    this.#lanes = Array.from({ length: lanes }, () => new Lane());
  }

  closeEpoch(): number | null {
    const { pushedTotal } = this.queue;
    if (pushedTotal === this.#pushedAtEpochStart) return null;
    this.#pushedAtEpochStart = pushedTotal;
    return this.currentEpoch++;
  }

  fold(n: number, epoch: number | readonly number[]): void {
    const { queue } = this;
    if (n > queue.size) throw new RangeError(`${n} observations of ${queue.size}`);
    this.#advance();
    const lanes = this.#lanes;
    for (let lane = 0; lane < lanes.length; lane++) {
      const of = typeof epoch === "number" ? epoch : (epoch[lane] ?? 0);
      // 0: none of them is of this lane.
      if (of > 0) this.#collect(lanes[lane] as Lane, of);
    }
    const { types, seconds, values, hashesA, hashesB, mask, takenTotal } = queue;
    const { fromSecond, toSecond } = this.#window;
    let { collector } = lanes[0] as Lane;
    const devices = this.#devices;
    const receipt = receiptOf(this.#deps.monotonicNow());
    for (let index = 0; index < n; index++) {
      const at = (takenTotal + index) & mask;
      const second = seconds[at] as number;
      if (second < fromSecond || second > toSecond) {
        this.#groups++;
        this.#deps.deviceListener?.heard(hashesA[at] as number, hashesB[at] as number);
        continue;
      }
      if (lanes.length > 1) ({ collector } = lanes[(hashesA[at] as number) % lanes.length] as Lane);
      collector.observe(types[at] as number, second, values[at] as number);
      devices.observe(hashesA[at] as number, hashesB[at] as number, second, receipt);
    }
    queue.take(n);
  }

  discard(n: number): void {
    this.queue.take(n);
  }

  async foldRows(epoch: number, rows: Uint8Array): Promise<number> {
    const reader = new RowBinaryReader(rows);
    let end = 0;
    while (!reader.done && !this.#stopped) {
      this.#advance();
      const lane = this.#lanes[0] as Lane;
      this.#collect(lane, epoch);
      const { fromSecond, toSecond } = this.#window;
      try {
        for (let slice = 0; slice < sliceRows && !reader.done; slice++, end = reader.offset) {
          const second = Math.floor(reader.int64() / 1000);
          reader.int64();
          if (second < fromSecond || second > toSecond) {
            skipFromDevice(reader);
            continue;
          }
          const [hashA, hashB] = hashDeviceId(reader.string());
          const type = this.types.indexOf(reader.string());
          const value = reader.uint8() === 0 ? reader.float64() : Number.NaN;
          skipFromText(reader);
          lane.collector.observe(type, second, value);
          this.#devices.observe(hashA, hashB, second);
        }
      } catch (error) {
        if (error instanceof TruncatedRowError) break;
        throw error;
      }
      await this.#pause();
    }
    return end;
  }

  replaceForeign(instance: string, index: number, epoch: number, cells: NamedCells): void {
    const lane = this.#lanes[index];
    if (lane === undefined) return;
    this.#advance();
    this.#flush();
    const key = `${epoch} ${instance}`;
    const known = lane.foreign.get(key);
    const mine = (of: NamedCells): Cells => {
      const types = of.names.map((name) => this.types.indexOf(name));
      const local = of.cells;
      for (let cell = 0; cell < local.length; cell++) local.types[cell] = types[local.types[cell] as number] as number;
      for (const entry of local.histograms) entry.type = types[entry.type] as number;
      return local;
    };
    if (epoch <= lane.answeredEpoch || known?.cells === null) {
      // Either answers have it by now, or there was no room to remember what is known of it: they will tell.
      this.#touch(cells.cells);
      return;
    }
    const added = subtractCells(cells, known?.cells);
    lane.foreignCells += cells.cells.length - (known?.cells?.cells.length ?? 0);
    const fits = lane.foreignCells <= foreignCellsMax;
    if (!fits) lane.foreignCells -= cells.cells.length;
    lane.foreign.set(key, { epoch, cells: fits ? cells : null });
    if (added.cells.length === 0) return;
    const local = mine(added);
    this.#window.add(local);
    lane.pending.add(epoch, local);
    this.#changed = true;
  }

  sealed(lastEpoch: number): number {
    this.#flush();
    for (const lane of this.#lanes) lane.pending.seal(lastEpoch);
    const groups = this.#groups;
    this.#groups = 0;
    return groups;
  }

  stored(lastEpoch: number | readonly number[]): void {
    this.#flush();
    for (const [index, lane] of this.#lanes.entries()) {
      const last = typeof lastEpoch === "number" ? lastEpoch : (lastEpoch[index] ?? 0);
      if (last <= lane.storedEpoch) continue;
      lane.pending.seal(last);
      lane.storedEpoch = last;
    }
  }

  tick(): boolean {
    this.#advance();
    this.#flush();
    this.types.startTick(++this.#tick);
    if (this.queue.takenTotal >= this.#queueMark.pushed) {
      this.#queueTick = this.#queueMark.tick;
      this.#queueMark = { pushed: this.queue.pushedTotal, tick: this.#tick };
    }
    this.#devices.sweep();
    const now = this.#deps.monotonicNow();
    if (!this.#stopped && !this.#querying && now >= this.#nextQueryAt) {
      this.#nextQueryAt = now + this.#options.aggregationIntervalMs;
      this.#refresh().catch(this.#deps.onError);
    }
    if (this.#deviceRefresher.isDue(now)) this.#deviceRefresher.refresh(now).catch(this.#deps.onError);
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  buildUpdate(limit: number, pipeline: Pipeline): Update {
    this.#advance();
    this.#flush();
    const now = this.#deps.now();
    const window = this.#window;
    const shown: { index: number; name: string; totals: TypeTotals }[] = [];
    let events = 0;
    let recent = 0;
    window.forEachType((index, totals) => {
      events += totals.count;
      recent += window.recentCount(index);
      shown.push({ index, name: this.types.nameOf(index) ?? otherTypeName, totals });
    });
    const eventTypes = shown.length;
    shown.sort((a, b) => b.totals.count - a.totals.count || (a.name < b.name ? -1 : 1));
    const aggregations = shown.slice(0, limit).map(({ index, name, totals }): TypeAggregate => {
      const [p50, p95, p99] = window.quantiles(index, quantileRanks) as [number, number, number];
      return {
        event_type: name,
        event_count: totals.count,
        avg_value: totals.valueCount === 0 ? null : finite(totals.sum / totals.valueCount),
        min_value: finite(totals.min),
        max_value: finite(totals.max),
        p50: finite(p50),
        p95: finite(p95),
        p99: finite(p99),
        rate: rounded(window.recentCount(index) / rateSeconds),
      };
    });
    return {
      timestamp: new Date(now).toISOString(),
      window_seconds: windowSeconds,
      aggregations,
      totals: {
        event_count: events,
        rate: rounded(recent / rateSeconds),
        active_devices: Math.max(this.#devices.active, this.#deviceRefresher.estimate ?? 0),
        event_types: eventTypes,
      },
      pipeline,
    };
  }

  stop(): void {
    this.#stopped = true;
    this.#deviceRefresher.stop();
  }

  /** Moves the window to now; everything folded before belongs to the window as it was. */
  #advance(): void {
    const nowSecond = Math.floor(this.#deps.now() / 1000);
    const window = this.#window;
    if (nowSecond === window.nowSecond) return;
    if (nowSecond < window.nowSecond) {
      if (nowSecond >= window.nowSecond - clockBackSeconds) return;
      this.#rebuild(nowSecond);
      return;
    }
    this.#flush();
    if (window.advance(nowSecond) || window.moving) this.#changed = true;
    this.#devices.advance(window.fromSecond);
    if (nowSecond - this.#maintainedSecond >= maintenanceSeconds) this.#maintain(nowSecond);
  }

  /** The clock was set back: the window is made anew from what is pending, and ClickHouse is asked for the rest. */
  #rebuild(nowSecond: number): void {
    this.#flush();
    this.#window = new LiveWindow(nowSecond);
    const { fromSecond, toSecond } = this.#window;
    for (const { pending } of this.#lanes) {
      pending.drop(Number.POSITIVE_INFINITY, (block) => {
        const second = block << blockShift;
        return second >= fromSecond && second <= toSecond;
      });
      for (const partial of pending.partials) for (const cells of partial.parts) this.#window.add(cells);
    }
    this.#devices.leave();
    this.#devices = this.#createDeviceTable(fromSecond);
    this.#deviceRefresher.reset();
    this.#nextQueryAt = 0;
    this.#whole = true;
    this.complete = false;
    this.#maintainedSecond = nowSecond;
    this.#changed = true;
  }

  /** Drops what has left the window, and gives back types that hold nothing. */
  #maintain(nowSecond: number): void {
    this.#maintainedSecond = nowSecond;
    const { fromBlock } = this.#window;
    for (const { pending } of this.#lanes) pending.drop(Number.POSITIVE_INFINITY, (block) => block >= fromBlock);
    for (const block of this.#dirty) if (block < fromBlock) this.#dirty.delete(block);
    const held = this.#window.dropEmptyTypes();
    const pending = this.#lanes.map((lane) => lane.pending.types());
    for (let index = 1; index < this.types.length; index++) {
      if (!held.has(index) && !pending.some((types) => types.has(index))) this.types.release(index, this.#queueTick);
    }
  }

  /** Makes `epoch` the one that is collected. */
  #collect(lane: Lane, epoch: number): void {
    if (epoch === lane.collectedEpoch) return;
    this.#flush();
    lane.collectedEpoch = epoch;
  }

  /** What was collected becomes part of the window, and pending. */
  #flush(): void {
    for (let index = 0; index < this.#lanes.length; index++) {
      const lane = this.#lanes[index] as Lane;
      if (lane.collector.length === 0) continue;
      const cells = lane.collector.take();
      this.#changed = true;
      this.#groups += groupsIn(cells);
      if (lane.collectedEpoch <= lane.answeredEpoch) {
        // Reported durable after it was reported stored: the answer had it already, or a further one will.
        this.#touch(cells);
        continue;
      }
      this.#deps.onPending?.(index, lane.collectedEpoch, cells);
      this.#window.add(cells);
      lane.pending.add(lane.collectedEpoch, cells);
    }
  }

  #touch(cells: Cells): void {
    for (let cell = 0; cell < cells.length; cell++) this.#dirty.add((cells.seconds[cell] as number) >> blockShift);
  }

  async #refresh(): Promise<void> {
    this.#querying = true;
    try {
      const whole = this.#whole;
      const blocks = this.#chooseBlocks();
      this.#rollupQueries++;
      try {
        const answer = await this.#deps.queryStored(rangesOf(blocks));
        if (this.#stopped) return;
        if (answer.ok) {
          await this.#apply(blocks, answer.body, answer.storedEpochs);
          if (whole && !this.complete) {
            this.complete = true;
            this.#changed = true;
          }
        } else {
          this.#rollupFailures++;
          this.#whole ||= whole;
          for (const block of blocks) this.#dirty.add(block);
        }
      } catch (error) {
        this.#rollupFailures++;
        this.#whole ||= whole;
        for (const block of blocks) this.#dirty.add(block);
        throw error;
      }
    } finally {
      this.#querying = false;
    }
  }

  #chooseBlocks(): number[] {
    const { fromBlock, toBlock, nowSecond } = this.#window;
    const chosen = new Set<number>();
    if (this.#whole) {
      for (let block = fromBlock; block <= toBlock; block++) chosen.add(block);
      this.#whole = false;
    } else {
      for (let block = (nowSecond - recentSeconds) >> blockShift; block <= nowSecond >> blockShift; block++) {
        chosen.add(block);
      }
      for (const block of this.#dirty) if (block >= fromBlock && block <= toBlock) chosen.add(block);
      for (const { pending, storedEpoch } of this.#lanes) {
        for (const partial of pending.partials) {
          if (partial.lastEpoch > storedEpoch) continue;
          for (const cells of partial.parts) {
            for (let cell = 0; cell < cells.length; cell++) {
              const block = (cells.seconds[cell] as number) >> blockShift;
              if (block >= fromBlock && block <= toBlock) chosen.add(block);
            }
          }
        }
      }
      const span = toBlock - fromBlock + 1;
      const swept = Math.min(span, Math.ceil((span * this.#options.aggregationIntervalMs) / sweepMs));
      for (let index = 0; index < swept; index++) {
        if (this.#sweepBlock < fromBlock || this.#sweepBlock > toBlock) this.#sweepBlock = fromBlock;
        chosen.add(this.#sweepBlock++);
      }
    }
    this.#dirty = new Set();
    return [...chosen].sort((a, b) => a - b);
  }

  /** Puts the answer for `blocks` in place, some blocks at a time; `blocks` ascending, and so is the answer. */
  async #apply(blocks: readonly number[], body: Uint8Array, storedEpochs: readonly number[]): Promise<void> {
    this.#flush();
    for (const [index, lane] of this.#lanes.entries()) {
      lane.answeredEpoch = Math.max(lane.answeredEpoch, storedEpochs[index] ?? 0);
      lane.forgetForeign();
    }
    const reader = new RowBinaryReader(body);
    let row = reader.done ? null : decodeStoredBlock(reader);
    let next = 0;
    while (next < blocks.length) {
      const slice = new Set<number>();
      const rows: StoredBlock[] = [];
      while (next < blocks.length && rows.length < sliceBlocks) {
        const block = blocks[next++] as number;
        slice.add(block);
        while (row !== null && row.block === block) {
          rows.push(row);
          row = reader.done ? null : decodeStoredBlock(reader);
        }
      }
      this.#replace(slice, rows, storedEpochs);
      if (next < blocks.length) await this.#pause();
      if (this.#stopped) return;
    }
    if (row !== null) throw new Error(`an answer with block ${row.block}, which was not asked for, or out of order`);
  }

  /** What is in `blocks` becomes what is stored up to `storedEpochs` and what is pending after them. */
  #replace(blocks: Set<number>, rows: readonly StoredBlock[], storedEpochs: readonly number[]): void {
    this.#advance();
    this.#flush();
    const window = this.#window;
    const before = new Map<number, number>();
    for (const block of blocks) {
      if (block < window.fromBlock || block > window.toBlock) {
        blocks.delete(block);
      } else if (this.#lanes.some((lane, index) => lane.pending.straddles(storedEpochs[index] ?? 0, block))) {
        // Which of its events the answer has cannot be told; a later answer will have them all.
        blocks.delete(block);
        this.#dirty.add(block);
      } else {
        before.set(block, window.signature(block));
        window.clearBlock(block);
      }
    }
    for (const row of rows) {
      if (blocks.has(row.block)) window.addStored(this.types.indexOf(row.eventType), row);
    }
    for (const [index, { pending }] of this.#lanes.entries()) {
      const storedEpoch = storedEpochs[index] ?? 0;
      pending.drop(storedEpoch, (block) => !blocks.has(block));
      for (const partial of pending.partials) {
        if (partial.lastEpoch <= storedEpoch) continue;
        for (const cells of partial.parts) window.addBlocks(cells, blocks);
      }
    }
    for (const [block, signature] of before) if (window.signature(block) !== signature) this.#changed = true;
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

function skipFromDevice(reader: RowBinaryReader): void {
  reader.skipString();
  reader.skipString();
  if (reader.uint8() === 0) reader.float64();
  skipFromText(reader);
}

function skipFromText(reader: RowBinaryReader): void {
  if (reader.uint8() === 0) reader.skipString();
  for (let left = reader.length(); left > 0; left--) {
    reader.skipString();
    reader.skipString();
  }
}

/** JSON has no infinities; a sum may have become one. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function rounded(rate: number): number {
  return Math.round(rate * 1000) / 1000;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
