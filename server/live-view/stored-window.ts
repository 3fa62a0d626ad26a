import type { RowBinaryReader } from "../../contract/row.ts";
import { blockSeconds } from "./cells.ts";
import { gamma, LogHistogram } from "./log-histogram.ts";

/** Seconds `from` to before `to`, epoch seconds. Here always whole blocks. */
export type SecondRange = readonly [from: number, to: number];

/**
 * What ClickHouse holds of `ranges`: a row for each (block of seconds, event type), ordered by block, with the block's
 * seconds in an array and one sketch for all of them (a sketch a second would be five times the bytes, and the view's
 * quantiles are by block anyway). Every type on the wire is fixed by a cast, whatever the columns are.
 */
export function buildRollupQuery(ranges: readonly SecondRange[], table = "telemetry_1s"): string {
  const from = Math.min(...ranges.map((range) => range[0]));
  const to = Math.max(...ranges.map((range) => range[1]));
  const within = ranges.map((range) => `(time >= ${at(range[0])} AND time < ${at(range[1])})`).join(" OR ");
  return `SELECT
    toUInt32(intDiv(second, ${blockSeconds})) AS block,
    type,
    groupArray((second, events, readings, total, least, greatest)),
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(sketch)
FROM
(
    SELECT
        toUInt32(time) AS second,
        toString(event_type) AS type,
        toUInt64(sum(event_count)) AS events,
        toUInt64(sum(value_count)) AS readings,
        toFloat64(ifNull(sum(value_sum), 0)) AS total,
        toFloat64(ifNull(min(value_min), nan)) AS least,
        toFloat64(ifNull(max(value_max), nan)) AS greatest,
        quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(value_quantiles) AS sketch
    FROM ${table}
    WHERE time >= ${at(from)} AND time < ${at(to)} AND (${within})
    GROUP BY second, type
)
GROUP BY block, type
ORDER BY block
FORMAT RowBinary`;
}

/** The devices with an event since `fromSecond`, at most `limit`: device_id String, newest event UInt32. */
export function buildDevicesQuery(fromSecond: number, limit: number): string {
  return `SELECT device_id, toUInt32(max(last_seen)) AS newest
FROM devices
WHERE last_seen >= ${at(fromSecond)}
GROUP BY device_id
LIMIT ${limit}
FORMAT RowBinary`;
}

/** How many devices had an event since `fromSecond`: UInt64. */
export function buildDeviceCountQuery(fromSecond: number): string {
  return `SELECT toUInt64(uniq(device_id)) FROM devices WHERE last_seen >= ${at(fromSecond)} FORMAT RowBinary`;
}

function at(second: number): string {
  if (!Number.isSafeInteger(second) || second < 0) throw new RangeError(`not a second: ${second}`);
  return `toDateTime(${second}, 'UTC')`;
}

/** One (block, event type) of an answer to `buildRollupQuery`. */
export interface StoredBlock {
  block: number;
  eventType: string;
  seconds: StoredSecond[];
  histogram: LogHistogram;
}

interface StoredSecond {
  second: number;
  count: number;
  valueCount: number;
  sum: number;
  /** Infinity and -Infinity when there are no values. */
  min: number;
  max: number;
}

/** Thrown for bytes that are not what the query asks for: another ClickHouse changed its formats. */
export class StoredAnswerError extends Error {}

export function decodeStoredBlock(reader: RowBinaryReader): StoredBlock {
  const block = reader.uint32();
  const eventType = reader.string();
  const length = reader.length();
  if (length > blockSeconds) throw new StoredAnswerError(`${length} seconds in a block of ${blockSeconds}`);
  const seconds: StoredSecond[] = [];
  for (let index = 0; index < length; index++) {
    const second = reader.uint32();
    const count = reader.uint64();
    const valueCount = reader.uint64();
    const sum = reader.float64();
    const min = reader.float64();
    const max = reader.float64();
    seconds.push({
      second,
      count,
      valueCount,
      sum,
      min: Number.isNaN(min) ? Number.POSITIVE_INFINITY : min,
      max: Number.isNaN(max) ? Number.NEGATIVE_INFINITY : max,
    });
  }
  return { block, eventType, seconds, histogram: decodeSketch(reader) };
}

/** Flags of the serialised sketch. Source: ClickHouse, src/AggregateFunctions/DDSketch/DDSketchEncoding.h. */
const mappingFlag = 0x02;
const positiveFlag = 0x01;
const negativeFlag = 0x03;
const zerosFlag = 0x04;
const deltasAndCounts = 0x04;
const contiguousCounts = 0x0c;
/** More bins than doubles have: keys run from -35,417 to 35,487 at 1 %. */
const binsMax = 100_000;
/** Two gammas are one when they differ by rounding. */
const gammaTolerance = 1e-12;

/**
 * Reads the state of `quantilesDD(0.01, …)` as RowBinary carries it. The state of a Nullable argument has a byte in
 * front that tells whether it holds values (1; 0: nothing follows); a bare state starts with the flag of its mapping.
 */
export function decodeSketch(reader: RowBinaryReader): LogHistogram {
  const histogram = new LogHistogram();
  let flag = reader.uint8();
  if (flag === 0) return histogram;
  if (flag === 1) flag = reader.uint8();
  if (flag !== mappingFlag) throw new StoredAnswerError(`flag ${flag} where a sketch begins`);
  const base = reader.float64();
  const offset = reader.float64();
  if (Math.abs(base - gamma) > gammaTolerance || offset !== 0) {
    throw new StoredAnswerError(`a sketch of base ${base}, offset ${offset}; expected ${gamma}, 0`);
  }
  expectFlag(reader, positiveFlag);
  decodeStore(reader, (key, count) => histogram.addPositive(key, count));
  expectFlag(reader, negativeFlag);
  decodeStore(reader, (key, count) => histogram.addNegative(key, count));
  expectFlag(reader, zerosFlag);
  histogram.zeros = reader.float64();
  return histogram;
}

function decodeStore(reader: RowBinaryReader, add: (key: number, count: number) => void): void {
  const encoding = reader.uint8();
  const bins = reader.length();
  if (bins > binsMax) throw new StoredAnswerError(`a sketch of ${bins} bins`);
  if (encoding === contiguousCounts) {
    let key = signedLength(reader);
    const step = signedLength(reader);
    for (let bin = 0; bin < bins; bin++) {
      const count = reader.float64();
      if (count > 0) add(key, count);
      key += step;
    }
  } else if (encoding === deltasAndCounts) {
    let key = 0;
    for (let bin = 0; bin < bins; bin++) {
      key += signedLength(reader);
      const count = reader.float64();
      if (count > 0) add(key, count);
    }
  } else {
    throw new StoredAnswerError(`encoding ${encoding} of a sketch's bins`);
  }
}

/** Zigzag: 0, -1, 1, -2, … */
function signedLength(reader: RowBinaryReader): number {
  const value = reader.length();
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function expectFlag(reader: RowBinaryReader, expected: number): void {
  const flag = reader.uint8();
  if (flag !== expected) throw new StoredAnswerError(`flag ${flag} in a sketch; expected ${expected}`);
}
