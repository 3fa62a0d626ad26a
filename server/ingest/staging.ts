import type { Event, StoredEvent } from "../../contract/event.ts";
import {
  decodeRow,
  LoneSurrogateError,
  RowBinaryReader,
  RowEncoder,
  rowDeviceOffset,
  rowTimeMs,
  type ScannedEvent,
  viewedTimeMs,
} from "../../contract/row.ts";
import { createRetentionLookup, type Retention, shortestDays } from "../../ddl/retention.ts";
import type { WriterClient } from "../../workers/client.ts";
import { fileHeaderBytes, frameHeaderBytes } from "../../workers/journal/frame.ts";
import type { IngestPrincipal } from "../access/access.ts";
import type { TypeRules } from "../alerts/evaluation/evaluator.ts";
import { passed } from "../alerts/evaluation/subject-table.ts";
import type { Tap } from "../alerts/event-tap.ts";
import { Refusal } from "../http/refusal.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import type { Epoch } from "../live-view/epoch.ts";
import { otherType } from "../live-view/type-table.ts";
import type { ScannedEvents } from "./scanned-events.ts";
import { TypeNames } from "./type-names.ts";
import { boundedTimeMs, boundsFault, type EventBounds, eventTimeMs, type Fault, surrogateFault } from "./validate.ts";

export interface StagingDeps {
  readonly ring: WriterClient["ring"];
  readonly aggregator: Pick<Aggregator, "types" | "queue" | "currentEpoch">;
  /** Devices that viewers follow one by one. */
  readonly watchedDevices: { readonly size: number; has(deviceId: string): boolean };
  /** Events under alert rules. */
  readonly tap: Tap;
}

export interface StagingOptions extends EventBounds {
  readonly maxEvents: number;
  readonly retention: Retention;
  readonly journalMaxBytes: number;
  /** Rows of one request together; over: 413. */
  readonly frameMaxBytes: number;
}

/** An event that lies in the bytes of its body; see `contract/row.ts`. */
export interface PlacedEvent extends ScannedEvent {
  readonly hasTimestamp: boolean;
  /** ISO 8601 or epoch milliseconds, when there is one. */
  readonly timestamp: string | number;
  readonly deviceId: string;
}

/** One frame in the ring. */
export interface Committed {
  readonly rowCount: number;
  readonly epoch: Epoch;
  /** Events of watched devices, to be shown once they are durable. */
  readonly watched: readonly StoredEvent[];
}

const dayMs = 86_400_000;
/** What a frame takes in an empty journal, above its rows and meta. */
const framingBytes = fileHeaderBytes + frameHeaderBytes;

const journalFull = new Refusal("journal_full", "the journal is full (JOURNAL_MAX_BYTES); nothing was accepted");
const ringFull = new Refusal("ring_full", "the service is taking in as much as it can; nothing was accepted");

/**
 * The transaction of one delivery over three places that must agree: the encoder's rows, the observations of the live view,
 * and the ring. `begin`, add any number of events, then `commit` or `rollback`. Nothing may wait in between: there is one
 * staging, and one delivery in it at a time. Until the commit nothing can be seen from outside; after it, everything is.
 */
export class Staging {
  readonly maxEvents: number;
  readonly #deps: StagingDeps;
  readonly #options: StagingOptions;
  readonly #encoder = new RowEncoder();
  readonly #typeNames = new TypeNames();
  readonly #retentionDays: (eventType: string) => number;
  /** No event younger than this is past its retention, whatever its type. */
  readonly #retentionMinMs: number;
  #principal: IngestPrincipal | null = null;
  #mark = 0;
  #nowMs = 0;
  #nowSecond = 0;
  /** Of each type of scanned events: its index in the live view. */
  #typeIndexes = new Int32Array(64);
  #rowCount = 0;
  /** The observation queue is full, which the ring should have been before. */
  #overflow = false;
  #watching = false;
  #tapping = false;
  /** Of the types of the events at hand, by the scanner's numbers. */
  readonly #typeRules: (TypeRules | undefined)[] = [];
  #watched: StoredEvent[] = [];
  /** Bytes that found no room in the journal when one was last asked for; 0 once some did. */
  #unplacedBytes = 0;
  /** Length of the body that they came in. */
  #unplacedBodyBytes = 0;
  #bodyBytes = 0;

  constructor(deps: StagingDeps, options: StagingOptions) {
    this.#deps = deps;
    this.#options = options;
    this.maxEvents = options.maxEvents;
    this.#retentionDays = createRetentionLookup(options.retention);
    this.#retentionMinMs = shortestDays(options.retention) * dayMs;
  }

  /** Good events since `begin` or `restart`. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** The server's time of this delivery, in epoch milliseconds; what an event without a time gets. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Bounds of an event's own time, in epoch milliseconds. */
  get oldestMs(): number {
    return this.#nowMs - this.#options.maxEventAgeMs;
  }

  get newestMs(): number {
    return this.#nowMs + this.#options.maxClockSkewFutureMs;
  }

  /** What every device's id has to begin with. */
  get devicePrefix(): string | null {
    return this.#principal?.devicePrefix ?? null;
  }

  /** The newest events found the journal full, and would again. Looked at when asked, so that it heals without a request. */
  get journalFull(): boolean {
    const { ring } = this.#deps;
    const unplaced = this.#unplacedBytes;
    return unplaced > 0 && ring.journalBytes + ring.usedBytes + unplaced > this.#options.journalMaxBytes;
  }

  /**
   * A body as long as one that has just found no room is refused unread. Under a load that storing cannot keep up with, reading what
   * is refused took most of the processor, which is what storing waited for.
   */
  refusalUnread(bodyBytes: number): Refusal | undefined {
    return bodyBytes >= this.#unplacedBodyBytes && this.journalFull ? journalFull : undefined;
  }

  begin(principal: IngestPrincipal, nowMs: number, bodyBytes: number): void {
    if (this.#principal !== null) throw new Error("a delivery is being staged already");
    this.#principal = principal;
    this.#nowMs = nowMs;
    this.#bodyBytes = bodyBytes;
    this.#nowSecond = Math.floor(nowMs / 1000);
    this.#mark = this.#deps.aggregator.queue.mark();
    this.#clear();
  }

  /** Forgets what was added; the delivery is staged anew, in another way. */
  restart(): void {
    this.#deps.aggregator.queue.rewind(this.#mark);
    this.#deps.tap.rewind();
    this.#clear();
  }

  /** Nothing of the delivery remains. */
  rollback(): void {
    this.restart();
    this.#principal = null;
  }

  /** Adds an event that the schema allows (`isEvent`), or says what else is wrong with it. */
  add(event: Event): Fault | undefined {
    const timeMs = eventTimeMs(event, this.#nowMs, this.#options);
    if (typeof timeMs !== "number") return timeMs;
    const fault =
      boundsFault(event) ?? this.#prefixFault(event.device_id) ?? this.#retentionFault(event.event_type, timeMs);
    if (fault) return fault;
    const encoder = this.#encoder;
    const before = encoder.byteLength;
    try {
      encoder.encode(event, timeMs, this.#nowMs);
    } catch (error) {
      if (!(error instanceof LoneSurrogateError)) throw error;
      encoder.rewind(before);
      return surrogateFault(event);
    }
    const value = event.value_float ?? Number.NaN;
    const typeIndex = this.#observe(event.event_type, timeMs, value);
    if (this.#tapping) {
      this.#tap(typeIndex, event.event_type, timeMs, value, before, encoder.deviceHashA, encoder.deviceHashB);
    }
    if (this.#watching && this.#deps.watchedDevices.has(event.device_id)) this.#watch(before);
    return undefined;
  }

  /** `add` without an object: the event's fields are places in `placed.bytes`, all within the schema's limits. */
  addPlaced(placed: PlacedEvent): Fault | undefined {
    const nowMs = this.#nowMs;
    let timeMs = nowMs;
    if (placed.hasTimestamp) {
      const bounded = boundedTimeMs(placed.timestamp, nowMs, this.#options);
      if (typeof bounded !== "number") return bounded;
      timeMs = bounded;
    }
    if (timeMs < nowMs - this.#retentionMinMs) {
      const fault = this.#retentionFault(this.#typeNames.nameOf(placed), timeMs);
      if (fault) return fault;
    }
    if (this.#principal?.devicePrefix) {
      const fault = this.#prefixFault(placed.deviceId);
      if (fault) return fault;
    }
    const encoder = this.#encoder;
    const before = encoder.byteLength;
    encoder.encodeScanned(placed, timeMs, nowMs);
    const type = this.#typeNames.nameOf(placed);
    const typeIndex = this.#observe(type, timeMs, placed.value);
    if (this.#tapping) {
      this.#tap(typeIndex, type, timeMs, placed.value, before, encoder.deviceHashA, encoder.deviceHashB);
    }
    if (this.#watching && this.#deps.watchedDevices.has(placed.deviceId)) this.#watch(before);
    return undefined;
  }

  /**
   * `add` of events that are within the schema's limits, the bounds of time and the key's prefix. False, and nothing can be said of
   * this delivery: there are too many, or one may be past its retention.
   */
  addScanned(events: ScannedEvents): boolean {
    const { count } = events;
    if (count === 0) return true;
    if (this.#rowCount + count > this.maxEvents) return false;
    if (events.earliestMs < this.#nowMs - this.#retentionMinMs && this.#isAnyPastRetention(events)) return false;
    const before = this.#encoder.byteLength;
    this.#encoder.append(events.memory, events.rowsStart, events.rowsLength);
    const indexes = this.#indexTypes(events);
    if (!this.#deps.aggregator.queue.pushAll(events, indexes)) this.#overflow = true;
    this.#rowCount += count;
    if (this.#tapping) this.#tapScanned(events, indexes, before);
    if (this.#watching) this.#watchScanned(events, before);
    return true;
  }

  /**
   * Hands the rows to the writer thread as one frame, or says why they cannot be taken now; then all is as before `begin`.
   * `meta` travels in the frame.
   */
  commit(meta: Uint8Array): Committed | Refusal {
    const { ring, aggregator } = this.#deps;
    const rows = this.#encoder.bytes();
    const epoch = aggregator.currentEpoch;
    const refusal = this.#overflow ? ringFull : this.#refusalOf(rows.length, meta.length);
    if (refusal !== undefined || !ring.tryPush(rows, this.#rowCount, epoch, meta)) {
      this.rollback();
      return refusal ?? ringFull;
    }
    this.#unplacedBytes = 0;
    this.#principal = null;
    this.#deps.tap.committed(this.#rowCount, this.#nowMs);
    return { rowCount: this.#rowCount, epoch, watched: this.#watched };
  }

  #clear(): void {
    this.#encoder.reset();
    this.#rowCount = 0;
    this.#overflow = false;
    this.#watching = this.#deps.watchedDevices.size > 0;
    this.#tapping = this.#deps.tap.active;
    if (this.#watched.length > 0) this.#watched = [];
  }

  /** Gives the type's index. */
  #observe(type: string, timeMs: number, value: number): number {
    const { types, queue } = this.#deps.aggregator;
    const encoder = this.#encoder;
    const second = timeMs === this.#nowMs ? this.#nowSecond : Math.floor(timeMs / 1000);
    const typeIndex = types.indexOf(type);
    if (!queue.push(typeIndex, second, value, encoder.deviceHashA, encoder.deviceHashB)) {
      this.#overflow = true;
    }
    this.#rowCount++;
    return typeIndex;
  }

  /** Asks for each type once. Gives the array of indexes by the types' numbers, of use until the next call. */
  #indexTypes(events: ScannedEvents): Int32Array {
    const { types: table } = this.#deps.aggregator;
    const { count, types, metTypes, metTypeCount } = events;
    const overflowed = table.overflowed;
    for (let met = 0; met < metTypeCount; met++) {
      const type = metTypes[met] as number;
      if (type >= this.#typeIndexes.length) this.#typeIndexes = new Int32Array(2 * type);
      this.#typeIndexes[type] = table.indexOf(events.typeName(type));
    }
    const indexes = this.#typeIndexes;
    if (table.overflowed !== overflowed) {
      let others = 0;
      for (let at = 0; at < count; at++) others += Number(indexes[types[at] as number] === otherType);
      table.overflowed = overflowed + others;
    }
    return indexes;
  }

  #isAnyPastRetention(events: ScannedEvents): boolean {
    const { count, memory, rowsStart, rowStarts, types } = events;
    for (let at = 0; at < count; at++) {
      const timeMs = rowTimeMs(memory, rowsStart + (rowStarts[at] as number));
      if (this.#retentionFault(events.typeName(types[at] as number), timeMs) !== undefined) return true;
    }
    return false;
  }

  /** `before`: where their rows begin in the encoder. */
  #tapScanned(events: ScannedEvents, indexes: Int32Array, before: number): void {
    const { count, rowStarts, types, values, hashesA, hashesB, metTypes, metTypeCount } = events;
    const rulesOf = this.#typeRules;
    let isAny = false;
    for (let met = 0; met < metTypeCount; met++) {
      const type = metTypes[met] as number;
      rulesOf[type] = this.#deps.tap.typeRules(indexes[type] as number, events.typeName(type));
      isAny ||= rulesOf[type] !== undefined;
    }
    if (!isAny) return;
    const bytes = this.#encoder.bytes();
    const rows = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < count; at++) {
      const rules = rulesOf[types[at] as number];
      if (rules === undefined) continue;
      const rowStart = before + (rowStarts[at] as number);
      const timeMs = viewedTimeMs(rows, rowStart);
      this.#tapUnder(rules, timeMs, values[at] as number, rowStart, hashesA[at] as number, hashesB[at] as number);
    }
  }

  #watchScanned({ count, rowStarts }: ScannedEvents, before: number): void {
    const reader = new RowBinaryReader(this.#encoder.bytes());
    for (let at = 0; at < count; at++) {
      const rowStart = before + (rowStarts[at] as number);
      reader.offset = rowStart + rowDeviceOffset;
      if (this.#deps.watchedDevices.has(reader.string())) this.#watch(rowStart);
    }
  }

  /** The row at `rowStart` is decoded for the first event of a device, and for texts; for others its hashes will do. */
  #tap(
    typeIndex: number,
    type: string,
    timeMs: number,
    value: number,
    rowStart: number,
    hashA: number,
    hashB: number,
  ): void {
    const rules = this.#deps.tap.typeRules(typeIndex, type);
    if (rules !== undefined) this.#tapUnder(rules, timeMs, value, rowStart, hashA, hashB);
  }

  #tapUnder(rules: TypeRules, timeMs: number, value: number, rowStart: number, hashA: number, hashB: number): void {
    const { tap } = this.#deps;
    const { subjects } = rules;
    const isQuiet = !rules.needsText && value >= rules.quietFrom && value <= rules.quietTo;
    const slot = isQuiet ? subjects.passQuietly(hashA, hashB, timeMs) : subjects.locate(hashA, hashB);
    if (slot === passed) return;
    if (slot !== -1 && !rules.needsText) {
      tap.push(rules, subjects.at(slot), timeMs, value, null);
      return;
    }
    const event = decodeRow(new RowBinaryReader(this.#encoder.bytes(), rowStart));
    const subject =
      slot === -1 ? tap.introduce(rules, hashA, hashB, event.device_id, event.metadata) : subjects.at(slot);
    if (subject !== undefined) tap.push(rules, subject, timeMs, value, event.value_string);
  }

  #watch(rowStart: number): void {
    this.#watched.push(decodeRow(new RowBinaryReader(this.#encoder.bytes(), rowStart)));
  }

  #prefixFault(deviceId: string): Fault | undefined {
    const prefix = this.#principal?.devicePrefix ?? null;
    if (prefix === null || deviceId.startsWith(prefix)) return undefined;
    return { path: "/device_id", message: `this key may write only devices whose id starts with ${prefix}` };
  }

  #retentionFault(eventType: string, timeMs: number): Fault | undefined {
    const ageMs = this.#nowMs - timeMs;
    if (ageMs <= this.#retentionMinMs) return undefined;
    const days = this.#retentionDays(eventType);
    if (ageMs <= days * dayMs) return undefined;
    return { path: "/timestamp", message: `is older than events of this type are kept, ${days} days (RETENTION)` };
  }

  #refusalOf(rowBytes: number, metaBytes: number): Refusal | undefined {
    const { journalMaxBytes, frameMaxBytes } = this.#options;
    const { ring } = this.#deps;
    if (rowBytes > frameMaxBytes) {
      return new Refusal("body_too_large", "the events are too large together (MAX_BODY_BYTES)");
    }
    // "Full" would promise that it fits later.
    if (rowBytes + metaBytes + framingBytes > journalMaxBytes) {
      return new Refusal("body_too_large", "the events are larger together than the whole journal (JOURNAL_MAX_BYTES)");
    }
    if (ring.journalBytes + ring.usedBytes + rowBytes > journalMaxBytes) {
      // A request larger than what a journal can hold must not make it seem full for ever.
      this.#unplacedBytes = Math.min(rowBytes, journalMaxBytes / 16);
      this.#unplacedBodyBytes = this.#bodyBytes;
      return journalFull;
    }
    return undefined;
  }
}
