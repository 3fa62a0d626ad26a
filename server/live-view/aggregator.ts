import type { Pipeline, Update } from "../../contract/stream.ts";
import type { Cells } from "./cells.ts";
import { type DeviceQueries, DeviceRefresher } from "./device-refresher.ts";
import { type DeviceListener, type DeviceTable, devicesMax, receiptOf } from "./device-table.ts";
import { type Epoch, epochOf, type ShardEpochs } from "./epoch.ts";
import { buildUpdate } from "./live-update.ts";
import { LiveView } from "./live-view.ts";
import { ObservationQueue } from "./observation-queue.ts";
import { foldStoredRows } from "./recovered-rows.ts";
import { RollupRefresher, type StoredAnswer } from "./rollup-refresher.ts";
import type { Shard } from "./shard.ts";
import type { NamedCells } from "./shared/named-cells.ts";
import type { SecondRange } from "./stored-window.ts";
import { TypeTable } from "./type-table.ts";

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
  onPending?(shard: number, epoch: Epoch, cells: Cells): void;
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
  readonly currentEpoch: Epoch;
  /**
   * Before the first event: live epochs start at `epoch`; the ones below are for what an earlier run left. Devices are
   * spread over `shards` by `deviceHashA`, and each shard has epochs of its own.
   */
  startAt(epoch: Epoch, shards: number): void;
  /** Ends the current epoch when events were pushed into it, and gives its number for the writer; null when there were none. */
  closeEpoch(): Epoch | null;
  /** The `n` oldest observations are durable, in these epochs. */
  fold(n: number, epochs: ShardEpochs): void;
  /**
   * All that another instance has of an epoch of a shard: what was known of it before is replaced. Only ever grows until
   * it is stored.
   */
  replaceForeign(instance: string, shard: number, epoch: Epoch, cells: NamedCells): void;
  /** The `n` oldest observations were refused by the journal. */
  discard(n: number): void;
  /**
   * Rows of an earlier run (RowBinary of `telemetry_events`), as pending of `epoch`; in slices. Resolves to where the last whole
   * row ends: of one that is cut off there nothing is folded.
   */
  foldRows(epoch: Epoch, rows: Uint8Array): Promise<number>;
  /** Epochs up to these are in sealed batches. */
  sealed(lastEpochs: ShardEpochs): void;
  /** Epochs up to these are confirmed in ClickHouse (or dead-lettered). */
  stored(lastEpochs: ShardEpochs): void;
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

const devicesRefreshMs = 60_000;

/**
 * The live view put together: what is accepted waits in a queue, joins the view once it is durable, and is replaced by
 * what ClickHouse has once that is stored. How every event is counted exactly once is told in `live-view.ts`.
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
 * The last line is what a cache costs that every event misses twice. A tick is dear by the cells that came since the one
 * before (one for each type and second), not by the window. The first answer for 500 types that all reported every
 * second of ten minutes: 37 MB, 37,500 rows, 8 µs a row, in slices. Memory: 50 MB process with 10 types, 140 MB with 500.
 */
export function createAggregator(deps: AggregatorDeps, options: AggregatorOptions): Aggregator {
  return new LiveAggregator(deps, options);
}

class LiveAggregator implements Aggregator {
  readonly types: TypeTable;
  readonly queue = new ObservationQueue();
  currentEpoch = epochOf(1);
  readonly #deps: AggregatorDeps;
  readonly #pause: () => Promise<void>;
  readonly #view: LiveView;
  readonly #rollups: RollupRefresher;
  readonly #deviceRefresher: DeviceRefresher;
  #pushedAtEpochStart = 0;
  #tick = 1;
  /** Observations that types of ticks before `#queueTick` gave out have left the queue. */
  #queueTick = 0;
  #queueMark = { pushed: 0, tick: 0 };
  #stopped = false;

  constructor(deps: AggregatorDeps, options: AggregatorOptions) {
    this.#deps = deps;
    this.#pause = deps.pause ?? nextTurn;
    this.types = new TypeTable(options.eventTypesMax);
    const devices = options.devicesMax ?? devicesMax;
    const view = new LiveView(
      {
        now: () => deps.now(),
        types: this.types,
        deviceListener: deps.deviceListener ?? null,
        onPending: (shard, epoch, cells) => deps.onPending?.(shard, epoch, cells),
        onRebuilt: () => {
          this.#rollups.reset();
          this.#deviceRefresher.reset();
        },
        queuedTypesSince: () => this.#queueTick,
      },
      devices,
    );
    this.#view = view;
    this.#rollups = new RollupRefresher(
      { view, queryStored: (ranges) => deps.queryStored(ranges), pause: this.#pause },
      options.aggregationIntervalMs,
    );
    this.#deviceRefresher = new DeviceRefresher(
      { view, queries: deps, pause: this.#pause },
      { devicesMax: devices, refreshMs: options.devicesRefreshMs ?? devicesRefreshMs },
    );
  }

  /** The table is another one once the clock was set back. */
  readonly receipts: Aggregator["receipts"] = {
    receipt: (hashA, hashB) => this.#view.devices.receipt(hashA, hashB),
    forget: (hashA, hashB) => this.#view.devices.forget(hashA, hashB),
  };

  get complete(): boolean {
    return this.#rollups.complete;
  }

  get stats(): AggregatorStats {
    const { shards, devices } = this.#view;
    return {
      pendingCells: shards.reduce((sum, { pending, collector }) => sum + pending.cells + collector.length, 0),
      pendingPartials: shards.reduce((sum, { pending }) => sum + pending.partials.length, 0),
      rollupQueries: this.#rollups.queries,
      rollupFailures: this.#rollups.failures,
      typesOverflowed: this.types.overflowed,
      devicesOverflowed: devices.overflowed,
    };
  }

  startAt(epoch: Epoch, shards: number): void {
    if (this.queue.pushedTotal > 0 || epoch < this.currentEpoch) throw new Error("live epochs have begun");
    this.currentEpoch = epoch;
    this.#view.spread(shards);
  }

  closeEpoch(): Epoch | null {
    const { pushedTotal } = this.queue;
    if (pushedTotal === this.#pushedAtEpochStart) return null;
    this.#pushedAtEpochStart = pushedTotal;
    const closed = this.currentEpoch;
    this.currentEpoch = epochOf(closed + 1);
    return closed;
  }

  fold(n: number, epochs: ShardEpochs): void {
    const { queue } = this;
    if (n > queue.size) throw new RangeError(`${n} observations of ${queue.size}`);
    const view = this.#view;
    view.advance();
    this.#forEachEpoch(epochs, (shard, epoch) => view.collect(shard, epoch));
    view.observe(queue, n, receiptOf(this.#deps.monotonicNow()));
    queue.take(n);
  }

  discard(n: number): void {
    this.queue.take(n);
  }

  foldRows(epoch: Epoch, rows: Uint8Array): Promise<number> {
    return foldStoredRows(this.#view, rows, epoch, { pause: this.#pause, stopped: () => this.#stopped });
  }

  replaceForeign(instance: string, index: number, epoch: Epoch, cells: NamedCells): void {
    const shard = this.#view.shards[index];
    if (shard !== undefined) this.#view.replaceForeign(shard, instance, epoch, cells);
  }

  sealed(lastEpochs: ShardEpochs): void {
    this.#view.flush();
    this.#forEachEpoch(lastEpochs, (shard, lastEpoch) => shard.pending.seal(lastEpoch));
  }

  stored(lastEpochs: ShardEpochs): void {
    this.#view.flush();
    this.#forEachEpoch(lastEpochs, (shard, lastEpoch) => shard.stored(lastEpoch));
  }

  tick(): boolean {
    const view = this.#view;
    view.advance();
    view.flush();
    this.#tickTypes();
    view.devices.sweep();
    const now = this.#deps.monotonicNow();
    if (this.#rollups.isDue(now)) this.#rollups.refresh(now).catch(this.#deps.onError);
    if (this.#deviceRefresher.isDue(now)) this.#deviceRefresher.refresh(now).catch(this.#deps.onError);
    const { changed } = view;
    view.changed = false;
    return changed;
  }

  buildUpdate(limit: number, pipeline: Pipeline): Update {
    const view = this.#view;
    view.advance();
    view.flush();
    const activeDevices = Math.max(view.devices.active, this.#deviceRefresher.estimate ?? 0);
    return buildUpdate(view, { nowMs: this.#deps.now(), activeDevices, pipeline }, limit);
  }

  stop(): void {
    this.#stopped = true;
    this.#rollups.stop();
    this.#deviceRefresher.stop();
  }

  #forEachEpoch(epochs: ShardEpochs, visit: (shard: Shard, epoch: Epoch) => void): void {
    for (const [index, shard] of this.#view.shards.entries()) {
      const epoch = epochs[index];
      if (epoch !== undefined) visit(shard, epoch);
    }
  }

  #tickTypes(): void {
    const { queue } = this;
    this.types.startTick(++this.#tick);
    if (queue.takenTotal < this.#queueMark.pushed) return;
    this.#queueTick = this.#queueMark.tick;
    this.#queueMark = { pushed: queue.pushedTotal, tick: this.#tick };
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
