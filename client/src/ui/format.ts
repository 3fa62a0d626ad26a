/**
 * Numbers and times for people: in the browser's locale, times local or UTC. Formatters of `Intl` are dear to build and
 * cheap to use, so each is built once.
 */
const dash = "–";

/** Built at its first use: the page's first paint does not wait for formats that nobody needs yet. */
function lazyFormat(options: Intl.NumberFormatOptions): (value: number) => string {
  let format: Intl.NumberFormat | undefined;
  return (value) => {
    format ??= new Intl.NumberFormat(undefined, options);
    return format.format(value);
  };
}

const scientific = lazyFormat({ notation: "scientific", maximumFractionDigits: 2 });
const compact = lazyFormat({ notation: "compact", maximumSignificantDigits: 3 });
const upToThree = lazyFormat({ maximumSignificantDigits: 3 });

const grouped = lazyFormat({ maximumFractionDigits: 0 });
/** This locale's decimal sign; undefined where digits are not 0 to 9 and `Intl` must write every number. */
let decimalSign: string | undefined | null = null;

/**
 * As `Intl` with as many minimum and maximum fraction digits. Below a thousand there is nothing to group, and `toFixed` does;
 * a tick formats hundreds of these, and building an `Intl` format for each number of digits delays the first paint.
 */
function withDecimals(value: number, digits: number): string {
  if (digits === 0) return grouped(value);
  if (decimalSign === null) {
    const format = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1 });
    const sign = format.formatToParts(1.5).find((part) => part.type === "decimal")?.value;
    decimalSign = format.resolvedOptions().numberingSystem === "latn" ? sign : undefined;
  }
  if (decimalSign === undefined || Math.abs(value) >= 999.5) {
    return value.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  }
  return decimalSign === "." ? value.toFixed(digits) : value.toFixed(digits).replace(".", decimalSign);
}

/** A measured value: about four significant digits, and the same width while it stays in the same magnitude. */
export function formatValue(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return dash;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e9 || size < 1e-4) return scientific(value);
  if (size >= 1000) return withDecimals(value, 0);
  if (size >= 100) return withDecimals(value, 1);
  if (size >= 1) return withDecimals(value, 2);
  return withDecimals(value, 4);
}

/** A quantile: known to one per cent, so three digits are all it has. */
export function formatQuantile(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return dash;
  const size = Math.abs(value);
  if (size === 0 || size >= 1e9 || size < 1e-4) return formatValue(value);
  const decimals = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size))));
  return withDecimals(decimals === 0 ? Number(value.toPrecision(3)) : value, decimals);
}

/** A whole number with grouping, never shortened: counts are exact here, and are shown so. */
export function formatCount(value: number | null | undefined): string {
  return value === null || value === undefined ? dash : withDecimals(value, 0);
}

/** A short number for an axis or a narrow place: 1.2K, 34M. */
export function formatCompact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return dash;
  return Math.abs(value) < 1000 ? upToThree(value) : compact(value);
}

/** Events per second. Below 100 a tenth is shown, because a fleet of three devices is a fleet too. */
export function formatRate(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return dash;
  return withDecimals(value, value !== 0 && value < 100 ? 1 : 0);
}

export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return dash;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${withDecimals(value, unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** A length of time in its two largest units at most: 850 ms, 4.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return dash;
  if (seconds < 0) return `-${formatDuration(-seconds)}`;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995) return `${withDecimals(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 9.95) return `${withDecimals(seconds, 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pair = (size: number, name: string, smallSize: number, smallName: string): string => {
    const large = Math.floor(whole / size);
    const small = Math.floor((whole - large * size) / smallSize);
    return small === 0 ? `${large} ${name}` : `${large} ${name} ${small} ${smallName}`;
  };
  if (whole < 3600) return pair(60, "min", 1, "s");
  if (whole < 86_400) return pair(3600, "h", 60, "min");
  return pair(86_400, "d", 3600, "h");
}

/** How long ago, in one unit, so that a column of them can be compared at a glance: 12 s, 4 min, 3 h, 2 d. */
export function formatAge(seconds: number): string {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The same with its direction: just now, 14 s ago, 3 h ago. */
export function formatAgo(seconds: number): string {
  return seconds < 1 ? "just now" : `${formatAge(seconds)} ago`;
}

/** A count and its noun: 1 event type, 2 event types. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : nouns}`;
}

/** Below this, an interval says more about how events are batched than about the device. */
const shortestSeconds = 0.05;

/** A median has more digits than it deserves: about 1 s, about 5 min. */
export function reportingInterval(seconds: number | null): string {
  if (seconds === null) return "–";
  if (seconds < shortestSeconds) return `under ${formatDuration(shortestSeconds)}`;
  if (seconds >= 10) return `about ${formatDuration(seconds)}`;
  const rounded = Number(seconds.toPrecision(1));
  return `about ${rounded < 1 ? formatDuration(rounded) : `${rounded} s`}`;
}

export type TimeZone = "local" | "utc";

type TimeStyle = "clock" | "minute" | "day" | "minute_of_day" | "full";
const timeOptions: Record<TimeStyle, Intl.DateTimeFormatOptions> = {
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  day: { month: "short", day: "numeric" },
  minute_of_day: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  full: {
    year: "numeric",
    month: "short",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  },
};
const timeFormats = new Map<string, Intl.DateTimeFormat>();

/** @param timeMs epoch milliseconds */
export function formatTime(timeMs: number, zone: TimeZone, style: TimeStyle = "clock"): string {
  if (!Number.isFinite(timeMs)) return dash;
  const key = zone + style;
  let format = timeFormats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(undefined, {
      ...timeOptions[style],
      ...(zone === "utc" ? { timeZone: "UTC" } : {}),
    });
    timeFormats.set(key, format);
  }
  return format.format(timeMs);
}
