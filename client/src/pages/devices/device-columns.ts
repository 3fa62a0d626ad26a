import { limits } from "../../../../contract/limits.ts";
import type { Device } from "../../../../contract/read.ts";
import type { ClockWords } from "../../app/clock-words.ts";
import { metadataPrefix } from "../../app/router.ts";
import { formatCount, reportingInterval } from "../../ui/format.ts";
import { unitOf } from "../../ui/units.ts";

/** A column of the list. Metadata keys are columns too, by the name that filters have: `meta.site`. */
export interface DeviceColumn {
  readonly name: string;
  readonly label: string;
  /** A track of the grid. */
  readonly width: string;
  /** The order of a first click; absent: it cannot be sorted by. */
  readonly sort?: string;
  readonly numeric?: boolean;
  /** Absent: drawn in a way of its own. */
  text?(device: Device, clock: ClockWords): string;
  /** In a file. */
  csv(device: Device): string;
}

const fixedColumns: readonly DeviceColumn[] = [
  {
    name: "status",
    label: "Status",
    width: "84px",
    csv: (device) => device.status,
  },
  {
    name: "last_seen",
    label: "Last seen",
    width: "96px",
    sort: "-last_seen",
    numeric: true,
    text: (device, clock) => clock.ago(device.last_seen),
    csv: (device) => device.last_seen,
  },
  {
    name: "availability",
    label: "Last 24 hours",
    width: "170px",
    csv: () => "",
  },
  {
    name: "interval",
    label: "Reports",
    width: "110px",
    numeric: true,
    text: (device) => reportingInterval(device.interval_seconds),
    csv: (device) => String(device.interval_seconds ?? ""),
  },
  {
    name: "event_count",
    label: "Events",
    width: "110px",
    sort: "-event_count",
    numeric: true,
    text: (device) => formatCount(device.event_count),
    csv: (device) => String(device.event_count),
  },
  {
    name: "first_seen",
    label: "First seen",
    width: "176px",
    sort: "-first_seen",
    text: (device, clock) => clock.full(device.first_seen),
    csv: (device) => device.first_seen,
  },
];

function metadataColumn(name: string): DeviceColumn {
  const key = name.slice(metadataPrefix.length);
  return {
    name,
    label: key,
    width: "minmax(80px, 1fr)",
    text: (device) => device.metadata?.[key] ?? "–",
    csv: (device) => device.metadata?.[key] ?? "",
  };
}

/** The last value of an event type; the type may contain anything, a comma too, so it is encoded in the name. */
function lastValueColumn(name: string): DeviceColumn {
  const type = typeOfColumn(name);
  const unit = unitOf(type);
  const lastValue = (device: Device) => device.last_values?.[type];
  return {
    name,
    label: type,
    width: "minmax(90px, 1fr)",
    numeric: true,
    text(device) {
      const value = lastValue(device);
      if (!value) return "–";
      return value.value_float === null ? (value.value_string ?? "–") : unit.format(value.value_float);
    },
    csv(device) {
      const value = lastValue(device);
      return String(value?.value_float ?? value?.value_string ?? "");
    },
  };
}

const lastPrefix = "last.";
export const lastColumnName = (type: string): string => lastPrefix + encodeURIComponent(type);
/** A name comes from the URL: what cannot be decoded is no column. */
function isLastColumn(name: string): boolean {
  if (!name.startsWith(lastPrefix)) return false;
  try {
    return typeOfColumn(name) !== "";
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}
const typeOfColumn = (name: string): string => decodeURIComponent(name.slice(lastPrefix.length));

/** The event types of the columns of last values, as many as the service tells at once. */
export function lastValueTypes(columns: readonly DeviceColumn[]): string[] {
  return columns
    .filter(({ name }) => name.startsWith(lastPrefix))
    .map(({ name }) => typeOfColumn(name))
    .slice(0, limits.lastValueTypes);
}

/** Every column there is to choose from, but for the last values. */
export function allColumns(metadataKeys: readonly string[]): DeviceColumn[] {
  return [...fixedColumns, ...metadataKeys.map((key) => metadataColumn(metadataPrefix + key))];
}

/** Metadata that is shown until someone chooses. */
const usualKeys = 2;
/** Where a device is and what runs on it is what people look for first. */
const wellKnown: readonly string[] = ["site", "location", "region", "firmware", "version", "model", "kind"];

/** The names of the columns of a list that nobody has chosen any for. */
export function usualColumns(metadataKeys: readonly string[]): string[] {
  const known = wellKnown.filter((key) => metadataKeys.includes(key));
  const keys = [...known, ...metadataKeys.filter((key) => !known.includes(key))]
    .slice(0, usualKeys)
    .map((key) => metadataPrefix + key);
  return ["status", "last_seen", "availability", ...keys, "interval", "event_count"];
}

/** The chosen ones, in the order of all. A key that no device has now can still be chosen: it is in a saved view, say. */
export function columnsNamed(names: readonly string[], metadataKeys: readonly string[]): DeviceColumn[] {
  const unknown = names.filter((name) => name.startsWith(metadataPrefix) && !metadataKeys.includes(name.slice(5)));
  const lastValues = names.filter(isLastColumn).map(lastValueColumn);
  const all = [...allColumns(metadataKeys), ...unknown.map(metadataColumn), ...lastValues];
  return all.filter(({ name }) => names.includes(name));
}

export const sortNames: readonly string[] = ["device_id", "last_seen", "event_count", "first_seen"].flatMap((name) => [
  name,
  `-${name}`,
]);

const gapPx = 16;
const devicePx = 150;

/** What a row needs with these columns; the list scrolls sideways below it. */
export function leastWidth(columns: readonly DeviceColumn[]): number {
  const widths = columns.map(({ width }) => Number(/\d+/.exec(width)?.[0] ?? 0));
  return widths.reduce((sum, width) => sum + width + gapPx, devicePx + 3 * gapPx);
}
