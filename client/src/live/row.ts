import { type Accessor, createSignal, type Setter } from "solid-js";
import type { TypeAggregate } from "../../../contract/stream.ts";

const figureNames = [
  "event_count",
  "rate",
  "avg_value",
  "min_value",
  "max_value",
  "p50",
  "p95",
  "p99",
] as const satisfies readonly (keyof TypeAggregate)[];
export type FigureName = (typeof figureNames)[number];

/** One event type on the page. Its cells change only while they can be seen; `latest` always does. */
export interface LiveRow {
  readonly type: string;
  latest(): TypeAggregate;
  cell(name: FigureName): number | null;
  apply(next: TypeAggregate): void;
  setVisible(visible: boolean): void;
  visible(): boolean;
}

export function createLiveRow(first: TypeAggregate): LiveRow {
  let latest = first;
  let visible = true;
  const cells = new Map<FigureName, [Accessor<number | null>, Setter<number | null>]>(
    figureNames.map((name) => [name, createSignal<number | null>(first[name])]),
  );
  const write = (): void => {
    for (const [name, [, set]] of cells) set(latest[name]);
  };
  return {
    type: first.event_type,
    latest: () => latest,
    cell: (name) => cells.get(name)![0](),
    apply(next) {
      latest = next;
      if (visible) write();
    },
    setVisible(next) {
      if (visible === next) return;
      visible = next;
      if (visible) write();
    },
    visible: () => visible,
  };
}
