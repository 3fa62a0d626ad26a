import type { FigureName, LiveRow } from "../../live/row.ts";
import { formatCount, formatQuantile, formatRate, formatValue } from "../../ui/format.ts";

export interface TypeColumn {
  readonly name: FigureName;
  readonly label: string;
  /** What the label stands for. */
  readonly long: string;
  format(value: number | null): string;
}

export const typeColumns: readonly TypeColumn[] = [
  { name: "event_count", label: "Events", long: "Events in the window", format: formatCount },
  { name: "rate", label: "Rate /s", long: "Events per second", format: formatRate },
  { name: "avg_value", label: "Average", long: "Average value", format: formatValue },
  { name: "min_value", label: "Min", long: "Smallest value", format: formatValue },
  { name: "max_value", label: "Max", long: "Largest value", format: formatValue },
  { name: "p50", label: "p50", long: "Median", format: formatQuantile },
  { name: "p95", label: "p95", long: "95 of 100 values are below", format: formatQuantile },
  { name: "p99", label: "p99", long: "99 of 100 values are below", format: formatQuantile },
];

export type TypeSortName = FigureName | "event_type";

export function isTypeSortName(name: string): name is TypeSortName {
  return name === "event_type" || typeColumns.some((column) => column.name === name);
}

/** Ascending order for `sort`; what has no value comes first, so that it ends last when the largest is on top. */
export function compareTypeRows(sort: TypeSortName): (a: LiveRow, b: LiveRow) => number {
  if (sort === "event_type") return (a, b) => a.type.localeCompare(b.type);
  return (a, b) => {
    const one = a.latest()[sort] ?? Number.NEGATIVE_INFINITY;
    const two = b.latest()[sort] ?? Number.NEGATIVE_INFINITY;
    return one === two ? b.type.localeCompare(a.type) : one < two ? -1 : 1;
  };
}
