import type { Pipeline, TypeAggregate, Update } from "../../contract/stream.ts";
import { type LiveWindow, rateSeconds, type TypeTotals, windowSeconds } from "./live-window.ts";
import { otherTypeName, type TypeTable } from "./type-table.ts";

const quantileRanks = [0.5, 0.95, 0.99] as const;

/** What the stream shows of the window at `nowMs`: its `limit` largest types, and the totals of all. */
export function buildUpdate(
  { window, types }: { readonly window: LiveWindow; readonly types: TypeTable },
  at: { readonly nowMs: number; readonly activeDevices: number; readonly pipeline: Pipeline },
  limit: number,
): Update {
  const shown: { index: number; name: string; totals: TypeTotals }[] = [];
  let events = 0;
  let recent = 0;
  window.forEachType((index, totals) => {
    events += totals.count;
    recent += window.recentCount(index);
    shown.push({ index, name: types.nameOf(index) ?? otherTypeName, totals });
  });
  shown.sort((a, b) => b.totals.count - a.totals.count || (a.name < b.name ? -1 : 1));
  return {
    timestamp: new Date(at.nowMs).toISOString(),
    window_seconds: windowSeconds,
    aggregations: shown.slice(0, limit).map(({ index, name, totals }) => aggregateOf(window, index, name, totals)),
    totals: {
      event_count: events,
      rate: rounded(recent / rateSeconds),
      active_devices: at.activeDevices,
      event_types: shown.length,
    },
    pipeline: at.pipeline,
  };
}

function aggregateOf(window: LiveWindow, index: number, name: string, totals: TypeTotals): TypeAggregate {
  const [p50, p95, p99] = window.quantiles(index, quantileRanks) as [number, number, number];
  return {
    event_type: name,
    event_count: totals.count,
    avg_value: totals.valueCount === 0 ? null : finite(totals.sum / totals.valueCount),
    min_value: finite(totals.min),
    max_value: finite(totals.max),
    p50: finite(p50),
    p95: finite(p95),
    p99: finite(p99),
    rate: rounded(window.recentCount(index) / rateSeconds),
  };
}

/** JSON has no infinities; a sum may have become one. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function rounded(rate: number): number {
  return Math.round(rate * 1000) / 1000;
}
