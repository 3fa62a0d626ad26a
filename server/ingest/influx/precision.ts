/** Units of the timestamps in line protocol. `auto` tells them by magnitude, as InfluxDB 3 does. */
export type Precision = "ns" | "us" | "ms" | "s" | "m" | "h" | "auto";

const names: Readonly<Record<string, Precision>> = {
  n: "ns",
  ns: "ns",
  nanosecond: "ns",
  u: "us",
  us: "us",
  µ: "us",
  µs: "us",
  microsecond: "us",
  ms: "ms",
  millisecond: "ms",
  s: "s",
  second: "s",
  m: "m",
  h: "h",
  auto: "auto",
};

/** Undefined: no such precision. */
export function precisionOf(name: string): Precision | undefined {
  return Object.hasOwn(names, name) ? names[name] : undefined;
}

export const precisionNames = "n, ns, u, us, ms, s, m, h or auto";

/** Smaller magnitudes are of the unit; InfluxDB 3 has the same bounds. */
const autoBounds: readonly (readonly [bound: number, unit: Precision])[] = [
  [5e9, "s"],
  [5e12, "ms"],
  [5e15, "us"],
];

/** Digits to drop so that what is left are milliseconds, for units shorter than one. */
const droppedDigits: Readonly<Partial<Record<Precision, number>>> = { ns: 6, us: 3, ms: 0 };
const unitMs: Readonly<Partial<Record<Precision, number>>> = { s: 1000, m: 60_000, h: 3_600_000 };
/** A double holds every integer of this many digits. */
const exactDigits = 15;

/**
 * Epoch milliseconds of a timestamp's digits, rounded down. A time of nanoseconds has more digits than a double holds, so
 * the digits below a millisecond are cut off before it is made a number.
 */
export function timestampMs(digits: string, negative: boolean, precision: Precision): number {
  const unit = precision === "auto" ? unitByMagnitude(digits) : precision;
  const dropped = droppedDigits[unit];
  if (dropped === undefined) return (negative ? -1 : 1) * product(digits, unitMs[unit] as number);
  const whole = digits.slice(0, Math.max(0, digits.length - dropped)) || "0";
  const milliseconds = Number(whole);
  if (!negative) return milliseconds;
  const isRounded = dropped > 0 && /[1-9]/.test(digits.slice(-dropped));
  return -milliseconds - (isRounded ? 1 : 0);
}

/** Rounded once, however many digits there are. */
function product(digits: string, factor: number): number {
  return digits.length <= exactDigits ? Number(digits) * factor : Number(BigInt(digits) * BigInt(factor));
}

function unitByMagnitude(digits: string): Precision {
  const magnitude = digits.length > exactDigits + 5 ? Number.POSITIVE_INFINITY : Number(digits);
  return autoBounds.find(([bound]) => magnitude < bound)?.[1] ?? "ns";
}
