import type { Event } from "../../../contract/event.ts";
import { isLonger, limits } from "../../../contract/limits.ts";

/** The events of one data point or log record; it is taken or refused as a whole. */
export interface Point {
  /** All have the same device, time and, but for the key that tells them apart, metadata. */
  readonly events: readonly Event[];
  readonly exemplars: number;
}

/** A device that has no name, as the specification's `service.name` has it. */
const unnamedDevice = "unknown_service";

/** The first of the named attributes that the resource has. */
export function deviceOf(resource: { get(key: string): string | undefined }, names: readonly string[]): string {
  for (const name of names) {
    const text = resource.get(name);
    if (text) return text;
  }
  return unnamedDevice;
}

/** What the events' schema says, for events that were not JSON; undefined when they are good. */
export function pointFault({ events }: Point): string | undefined {
  for (const { device_id, event_type, metadata = {} } of events) {
    if (isLonger(device_id, limits.deviceIdCharacters)) {
      return `the device's name is longer than ${limits.deviceIdCharacters} characters`;
    }
    if (event_type === "") return "the metric has no name";
    if (isLonger(event_type, limits.eventTypeCharacters)) {
      return `the event type ${event_type.slice(0, 40)}… is longer than ${limits.eventTypeCharacters} characters`;
    }
    if (Object.keys(metadata).length > limits.metadataKeys) {
      return `it has more than ${limits.metadataKeys} attributes, those of resource and scope included`;
    }
  }
  return undefined;
}

/** A number as an event carries it: what a double does not hold stands as text, too. */
export function valueFields(value: number | bigint): Pick<Event, "value_float" | "value_string"> {
  const number = Number(value);
  if (typeof value === "bigint")
    return Number.isSafeInteger(number)
      ? { value_float: number }
      : { value_float: number, value_string: String(value) };
  return Number.isFinite(value) ? { value_float: value } : { value_string: String(value) };
}

const nanosecondsPerMillisecond = 1_000_000n;

/** Epoch milliseconds of the first time that is given; undefined: none is. */
export function timeOf(...unixNanos: readonly bigint[]): { timestamp?: number } {
  const given = unixNanos.find((nanos) => nanos !== 0n);
  return given === undefined ? {} : { timestamp: Number(given / nanosecondsPerMillisecond) };
}
