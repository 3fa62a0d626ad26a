import { Named } from "./table";

/** A row, with its strings elsewhere. */
@unmanaged
export class Row {
  timestamp: i64;
  received: i64;
  /** 0 where there is none. */
  value: f64;
  /** Addresses. */
  device: u32;
  type: u32;
  /** 0: it has none. */
  metadata: u32;
  /** Where its text is, with its length before it; 0: it has none. */
  text: u32;
  hasValue: u32;
  unused: u32;
}

@unmanaged
export class Device extends Named {
  rows: u32;
  /** Its place in the order of all devices. */
  rank: u32;
  /** What its last row with any had. */
  metadata: u32;
  /** That of the row with the latest time; of several, of the first. */
  newestMetadata: u32;
  newestMetadataAt: i64;
  firstSeen: i64;
  lastSeen: i64;
  firstReceived: i64;
  lastReceived: i64;
}

@unmanaged
export class EventType extends Named {
  /** 0, 1, 2 … in the order of their first occurrence. */
  id: u32;
  /** The group that its last row was in, and the second of that; 0: none yet. */
  group: u32;
  groupSecond: i64;
}

/** Pairs of strings as a row has them: their number, then key, value, key, value …, each with its length. */
@unmanaged
export class Metadata {
  pairs: u32;
  /** Behind the number of pairs: all keys, all values, with their lengths. */
  keyBytes: u32;
  valueBytes: u32;
  /** Of the number of pairs and all that follows it; it lies behind this record. */
  bytes: u32;
  /** Where its keys and its values were written last. */
  keysAt: u32;
  valuesAt: u32;
}

/** The rows of one second and type, which become one row of telemetry_1s. */
@unmanaged
export class Group {
  second: i64;
  sum: f64;
  low: f64;
  high: f64;
  /** 0, 1, 2 … in the order of their first occurrence. */
  id: u32;
  typeId: u32;
  events: u32;
  values: u32;
  zeros: u32;
  unused: u32;
  /** What its values' binary exponents span, by sign; see `rollup-memory.ts`. */
  positiveFirst: u16;
  positiveLast: u16;
  negativeFirst: u16;
  negativeLast: u16;
}
