import type { ClickHouseState, PartUpdate, Update } from "../../../contract/stream.ts";

/** The numbers of the fleet, or of a part of it, as of one update. */
export interface LiveFigures {
  rate: number;
  eventCount: number;
  activeDevices: number;
  eventTypes: number;
  windowSeconds: number;
  /** The server's time of the update on the page, epoch ms. */
  timestampMs: number;
  /** Undefined where the service does not count them. */
  online: number | undefined;
  silent: number | undefined;
  becameSilent: number | undefined;
  newDevices: number | undefined;
  /** False while a service that has just started is still being told what ClickHouse holds. */
  complete: boolean;
}

export function figuresOf({ totals, window_seconds, timestamp }: PartUpdate): LiveFigures {
  return {
    rate: totals.rate,
    eventCount: totals.event_count,
    activeDevices: totals.active_devices,
    eventTypes: totals.event_types,
    windowSeconds: window_seconds,
    timestampMs: Date.parse(timestamp),
    online: totals.online,
    silent: totals.silent,
    becameSilent: totals.became_silent,
    newDevices: totals.new_devices,
    complete: totals.complete !== false,
  };
}

/** What must be seen without looking at the page. */
export interface Vitals {
  silent: number;
  deadLettered: number;
  clickhouse: ClickHouseState;
}

export const noVitals: Vitals = { silent: 0, deadLettered: 0, clickhouse: "ok" };

export function vitalsOf({ totals, pipeline }: Update): Vitals {
  return { silent: totals.silent ?? 0, deadLettered: pipeline.dead_lettered, clickhouse: pipeline.clickhouse };
}

export function sameVitals(a: Vitals, b: Vitals): boolean {
  return a.silent === b.silent && a.deadLettered === b.deadLettered && a.clickhouse === b.clickhouse;
}
