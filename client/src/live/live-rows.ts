import { type Accessor, createSignal } from "solid-js";
import type { TypeAggregate } from "../../../contract/stream.ts";
import { createLiveRow, type LiveRow } from "./row.ts";

export interface LiveRows {
  /** Changes only when a type comes or goes. */
  rows: Accessor<LiveRow[]>;
  count(): number;
  apply(aggregations: readonly TypeAggregate[]): void;
}

/** A row for each event type, kept while its type is in the window. */
export function createLiveRows(): LiveRows {
  const [rows, setRows] = createSignal<LiveRow[]>([]);
  const rowOf = new Map<string, LiveRow>();
  return {
    rows,
    count: () => rowOf.size,
    apply(aggregations) {
      let changed = false;
      const seen = new Set<string>();
      for (const aggregate of aggregations) {
        seen.add(aggregate.event_type);
        const row = rowOf.get(aggregate.event_type);
        if (row) row.apply(aggregate);
        else {
          rowOf.set(aggregate.event_type, createLiveRow(aggregate));
          changed = true;
        }
      }
      if (seen.size < rowOf.size) {
        for (const type of rowOf.keys()) if (!seen.has(type)) rowOf.delete(type);
        changed = true;
      }
      if (changed) setRows([...rowOf.values()]);
    },
  };
}
