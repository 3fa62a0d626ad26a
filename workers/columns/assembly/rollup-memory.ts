import { Group } from "./records";
import { groupOf, groups } from "./rollups";

/**
 * A state in ClickHouse's memory, measured on 26.7 as the peak of an insert, a third of it: a fixed part, and for each sign that
 * occurs an array of bins from the smallest to the largest magnitude, in pieces of 128. A bin is a factor of 101/99, so an octave
 * has 34.7 of them, of eight bytes each; magnitudes are clamped to 1e-18 … 1e21 (ddl/002_rollups.sql).
 *
 *   60,000 groups without a value            993 bytes a group at the peak
 *   60,000 of one value                    3,111 (10 types) to 4,998 (60,000 types)
 *   10,000 of two values, 3 decades apart  11,612
 *   10,000 of two, 39 decades apart       113,098; with both signs over 211,000, so 10,000 are too many
 */
const stateBytes: f64 = 512;
const signBytes: f64 = 1024;
const octaveBytes: f64 = 278;
/** Binary exponents, as a double has them, of what the clamp lets through. */
const exponentMin: u32 = 1023 - 60;
const exponentMax: u32 = 1023 + 69;
const noExponent: u16 = 0xffff;

export function beginSpans(group: Group): void {
  group.positiveFirst = noExponent;
  group.positiveLast = 0;
  group.negativeFirst = noExponent;
  group.negativeLast = 0;
}

@inline
export function widenSpan(group: Group, value: f64): void {
  const bits = reinterpret<u64>(value);
  const exponent = <u32>(bits >> 52) & 0x7ff;
  // What is below the clamp counts as zero, which has no bin.
  if (exponent < exponentMin) return;
  const clamped = <u16>min(exponent, exponentMax);
  if (<i64>bits >= 0) {
    if (clamped < group.positiveFirst) group.positiveFirst = clamped;
    if (clamped > group.positiveLast) group.positiveLast = clamped;
  } else {
    if (clamped < group.negativeFirst) group.negativeFirst = clamped;
    if (clamped > group.negativeLast) group.negativeLast = clamped;
  }
}

/** An upper bound of what the quantile states of all groups take in ClickHouse. */
export function boundOfRollups(): f64 {
  let bytes: f64 = 0;
  for (let id: u32 = 0; id < groups.count; id++) {
    const group = groupOf(id);
    bytes += stateBytes + boundOfSign(group.positiveFirst, group.positiveLast);
    bytes += boundOfSign(group.negativeFirst, group.negativeLast);
  }
  return bytes;
}

function boundOfSign(first: u16, last: u16): f64 {
  return first === noExponent ? 0 : signBytes + <f64>(<i32>last - <i32>first + 1) * octaveBytes;
}
