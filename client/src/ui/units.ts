import { formatBytes, formatCompact, formatDuration, formatQuantile, formatValue } from "./format.ts";

/** How a measured value is written, with its unit, and what its axis is called. Two series with equal keys share an axis. */
export interface Unit {
  readonly key: string;
  /** Shown after the value, or at the axis; empty when the format carries its own. */
  readonly label: string;
  format(value: number | null | undefined): string;
  /** Short, for an axis. */
  formatAxis(value: number): string;
}

const dash = "–";

function suffixOf(label: string): string {
  return label === "" || label === "%" || label === "°" ? label : ` ${label}`;
}

function written(label: string): Unit {
  const spaced = suffixOf(label);
  return {
    key: label,
    label,
    format: (value) => (value === null || value === undefined ? dash : `${formatValue(value)}${spaced}`),
    formatAxis: (value) => `${shortNumber(value)}${spaced}`,
  };
}

/** The same unit for values that are known to three digits. */
export function quantileUnit(unit: Unit): Unit {
  if (unit.label === "" && unit.key !== "") return unit;
  const known = quantileUnits.get(unit.key);
  if (known) return known;
  const suffix = suffixOf(unit.label);
  const made: Unit = {
    ...unit,
    format: (value) => (value === null || value === undefined ? dash : `${formatQuantile(value)}${suffix}`),
  };
  quantileUnits.set(unit.key, made);
  return made;
}
const quantileUnits = new Map<string, Unit>();

function shortNumber(value: number): string {
  return Math.abs(value) >= 10_000 ? formatCompact(value) : trimZeros(formatValue(value));
}

/** 20.00 on an axis is 20. */
function trimZeros(text: string): string {
  return /[.,]\d*$/.test(text) && !/[.,]\d{3}$/.test(text) ? text.replace(/[.,]?0+$/, "") : text;
}

export const plainUnit: Unit = { key: "", label: "", format: formatValue, formatAxis: shortNumber };
const bytes: Unit = { key: "B", label: "", format: formatBytes, formatAxis: formatBytes };
const bytesPerSecond: Unit = {
  key: "B/s",
  label: "",
  format: (value) => (value === null || value === undefined ? dash : `${formatBytes(value)}/s`),
  formatAxis: (value) => `${formatBytes(value)}/s`,
};

/** A length of time that is measured in units of so many seconds, written in whatever unit fits. */
function duration(key: string, seconds: number): Unit {
  const format = (value: number | null | undefined): string =>
    value === null || value === undefined ? dash : formatDuration(value * seconds);
  return { key, label: "", format, formatAxis: format };
}

const units: Readonly<Record<string, Unit>> = {
  B: bytes,
  "B/s": bytesPerSecond,
  s: duration("s", 1),
  ms: duration("ms", 1e-3),
  us: duration("us", 1e-6),
  ns: duration("ns", 1e-9),
};

/** Names for the same unit: of UCUM, which OpenTelemetry uses, and of everyday. */
const aliases: Readonly<Record<string, string>> = {
  By: "B",
  byte: "B",
  bytes: "B",
  "By/s": "B/s",
  "bytes/s": "B/s",
  sec: "s",
  second: "s",
  seconds: "s",
  milliseconds: "ms",
  µs: "us",
  Cel: "°C",
  C: "°C",
  celsius: "°C",
  degF: "°F",
  "[degF]": "°F",
  F: "°F",
  percent: "%",
  pct: "%",
  volt: "V",
  volts: "V",
  watt: "W",
  watts: "W",
  ampere: "A",
  hertz: "Hz",
  "/min": "rpm",
  "1": "",
};

/** The end of a type's name, after its last `_`, `.` or `-`, that says what is measured. */
const suffixes: Readonly<Record<string, string>> = {
  bytes: "B",
  bytes_per_second: "B/s",
  bytes_s: "B/s",
  bps: "B/s",
  percent: "%",
  pct: "%",
  celsius: "°C",
  fahrenheit: "°F",
  seconds: "s",
  milliseconds: "ms",
  ms: "ms",
  us: "us",
  voltage: "V",
  volts: "V",
  watts: "W",
  amps: "A",
  rpm: "rpm",
  dbm: "dBm",
  db: "dB",
  ppm: "ppm",
  lux: "lx",
  hz: "Hz",
  hpa: "hPa",
  pascal: "Pa",
  kwh: "kWh",
  kmh: "km/h",
};

const made = new Map<string, Unit>();

function unitNamed(name: string): Unit {
  // UCUM annotations such as {request} are words, not units.
  const bare = name.replace(/\{[^}]*\}/g, "").trim();
  const label = aliases[bare] ?? bare;
  if (label === "") return plainUnit;
  const known = units[label] ?? made.get(label);
  if (known) return known;
  const unit = written(label);
  made.set(label, unit);
  return unit;
}

/**
 * The unit of a type's values: what its events say (`metadata.unit`), else what the end of its name says, else none.
 * A unit longer than a few characters is prose, and is not repeated at every number.
 */
export function unitOf(type: string, metadataUnit?: string): Unit {
  if (metadataUnit !== undefined && metadataUnit !== "" && metadataUnit.length <= 12) return unitNamed(metadataUnit);
  const parts = type.toLowerCase().split(/[_.-]/);
  for (const length of [3, 2, 1]) {
    if (parts.length <= length - 1) continue;
    const suffix = suffixes[parts.slice(-length).join("_")];
    if (suffix !== undefined) return unitNamed(suffix);
  }
  return plainUnit;
}
