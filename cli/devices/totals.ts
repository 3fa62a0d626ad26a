/** How many events of each type, and the sum of their values: what ClickHouse must have too. */
import type { Event } from "../../contract/event.ts";

interface TypeTotal {
  count: number;
  /** null while no event of the type carried a number, as `sum` of only NULLs is NULL. */
  sum: number | null;
}

export type Totals = Map<string, TypeTotal>;

export function totalsOf(events: readonly Event[]): Totals {
  const totals: Totals = new Map();
  for (const { event_type, value_float } of events) {
    const single = { count: 1, sum: value_float ?? null };
    const total = totals.get(event_type);
    if (total) accumulate(total, single);
    else totals.set(event_type, single);
  }
  return totals;
}

/** Adds `more` to `totals`. */
export function addTotals(totals: Totals, more: Totals): void {
  for (const [type, single] of more) {
    const total = totals.get(type);
    if (total) accumulate(total, single);
    else totals.set(type, { ...single });
  }
}

function accumulate(total: TypeTotal, more: TypeTotal): void {
  total.count += more.count;
  if (more.sum !== null) total.sum = (total.sum ?? 0) + more.sum;
}

/** Sorted by type, to be compared as text. */
export function totalsRecord(totals: Totals): Record<string, TypeTotal> {
  return Object.fromEntries([...totals].sort(([a], [b]) => (a < b ? -1 : 1)));
}
