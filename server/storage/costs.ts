import type { Storage } from "../../contract/storage.ts";
import { createRetentionLookup, longestDays, type Retention } from "../../ddl/retention.ts";

export interface TableSize {
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
  readonly uncompressed: number;
}

export interface TypeRate {
  readonly event_type: string;
  readonly events: number;
}

export interface TypeWidth {
  readonly event_type: string;
  /** Uncompressed, of the sampled rows. */
  readonly width: number;
}

export interface CostFacts {
  readonly tables: readonly TableSize[];
  /** Of the last 24 hours. */
  readonly rates: readonly TypeRate[];
  readonly widths: readonly TypeWidth[];
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | null;
  /** Days since the oldest stored event. */
  readonly ageDays: number;
}

const typesShown = 200;

/**
 * What each type costs. Its bytes on disk are not known by type, so a sample of rows tells how wide they are, and the table's
 * own compression what of that is left.
 */
export function computeCosts(facts: CostFacts, retention: Retention, rulesText: string): Storage {
  const daysOf = createRetentionLookup(retention);
  const raw = facts.tables.find(({ table }) => table.startsWith("telemetry_events"));
  const compression = raw && raw.uncompressed > 0 ? raw.bytes / raw.uncompressed : 0;
  const widthOf = new Map(facts.widths.map(({ event_type, width }) => [event_type, width]));
  const meanWidth = raw && raw.rows > 0 ? raw.uncompressed / raw.rows : 0;
  const types = facts.rates
    .map(({ event_type, events }) => {
      const bytesPerEvent = (widthOf.get(event_type) ?? meanWidth) * compression;
      const days = daysOf(event_type);
      return {
        event_type,
        events_per_day: events,
        bytes_per_event: bytesPerEvent,
        bytes_per_day: events * bytesPerEvent,
        retention_days: days,
        bytes_when_steady: events * bytesPerEvent * days,
      };
    })
    .sort((a, b) => b.bytes_per_day - a.bytes_per_day);
  const sum = (key: "bytes_per_day" | "bytes_when_steady"): number => types.reduce((all, type) => all + type[key], 0);
  const bytesPerDay = sum("bytes_per_day");
  const steady = sum("bytes_when_steady");
  return {
    disk: facts.disk && { free_bytes: facts.disk.freeBytes, total_bytes: facts.disk.totalBytes },
    tables: facts.tables.map(({ table, rows, bytes }) => ({
      table,
      rows,
      bytes,
      bytes_per_row: rows === 0 ? null : bytes / rows,
    })),
    bytes_per_day: bytesPerDay,
    days_until_full: daysUntilFull(facts, bytesPerDay, steady, raw?.bytes ?? 0, longestDays(retention)),
    bytes_when_steady: steady,
    types: types.slice(0, typesShown),
    settings: { RETENTION_DAYS: retention.days, RETENTION: rulesText },
  };
}

/** At today's rate. While the oldest events are younger than their retention nothing leaves; later, what is kept is the steady size. */
function daysUntilFull(
  { disk, ageDays }: CostFacts,
  bytesPerDay: number,
  steadyBytes: number,
  storedBytes: number,
  longest: number,
): number | null {
  if (disk === null || bytesPerDay <= 0) return null;
  const growthLeft = Math.max(0, steadyBytes - storedBytes);
  const isSteady = ageDays >= longest;
  if (isSteady || growthLeft <= disk.freeBytes) return null;
  return disk.freeBytes / bytesPerDay;
}
