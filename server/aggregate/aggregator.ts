import type { Pipeline, Update } from "../contract/stream.ts";
import type { ObservationQueue } from "./observation-queue.ts";
import type { SecondRange } from "./stored-window.ts";
import type { TypeTable } from "./type-table.ts";

/** What ClickHouse holds of the asked seconds, and the newest epoch that was confirmed stored when the query started. */
export type StoredAnswer = { ok: true; storedEpoch: number; body: Uint8Array } | { ok: false };

export interface AggregatorDeps {
  /** Epoch milliseconds. */
  now(): number;
  /**
   * Runs `buildRollupQuery(ranges)` at a moment when no insert is in flight or uncertain, so that the answer holds all
   * epochs up to `storedEpoch` and nothing of later ones. May take long, or wait for the moment; never called twice at once.
   */
  queryStored(ranges: readonly SecondRange[]): Promise<StoredAnswer>;
  /** Runs `buildDevicesQuery(fromSecond, limit)`. Optional: without it only devices seen by this process count. */
  queryDevices?(fromSecond: number, limit: number): Promise<{ ok: true; body: Uint8Array } | { ok: false }>;
  /** Runs `buildDeviceCountQuery(fromSecond)`; asked only when the device table is full. Null: not known now. */
  countDevices?(fromSecond: number): Promise<number | null>;
  /** An answer that could not be understood. The view keeps what it had. */
  onError(error: unknown): void;
}

export interface AggregatorOptions {
  /** Rows of the view; what is past it counts under "(other)". */
  eventTypesMax: number;
  aggregationIntervalMs: number;
}

export interface Aggregator {
  /** The hot path: `queue.push(types.indexOf(event.event_type), second, value or NaN, hashA, hashB)`. */
  readonly types: TypeTable;
  readonly queue: ObservationQueue;
  /** Stamp of the frames written now. Starts at 1, or after what `startAt` was given. */
  readonly currentEpoch: number;
  /** Before the first event: live epochs start at `epoch`; the ones below are for what an earlier run left. */
  startAt(epoch: number): void;
  /** Ends the current epoch when events were pushed into it. Returns its number, or null. */
  closeEpoch(): number | null;
  /** The `n` oldest observations are durable, in frames of `epoch`. */
  fold(n: number, epoch: number): void;
  /** The `n` oldest observations were refused by the journal. */
  discard(n: number): void;
  /** Rows of an earlier run (RowBinary of `telemetry_events`), as pending of `epoch`; in slices. Resolves to their number. */
  foldRows(epoch: number, rows: Uint8Array): Promise<number>;
  /** Epochs up to `lastEpoch` are in sealed batches. */
  sealed(lastEpoch: number): void;
  /** Epochs up to `lastEpoch` are confirmed in ClickHouse (or dead-lettered). */
  stored(lastEpoch: number): void;
  /** Moves the window to now, starts a rollup query when one is due. True when the view differs from the one at the last call. */
  tick(): boolean;
  buildUpdate(limit: number, pipeline: Pipeline): Update;
  /** No further queries; the one in flight is ignored. */
  stop(): void;
}

export function createAggregator(_deps: AggregatorDeps, _options: AggregatorOptions): Aggregator {
  throw new Error("not yet");
}
