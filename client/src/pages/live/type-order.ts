import { type Accessor, createMemo } from "solid-js";
import { useApp } from "../../app/context.tsx";
import type { LiveRow } from "../../live/row.ts";
import type { ShownFleet } from "./shown-fleet.ts";
import { compareTypeRows, isTypeSortName, type TypeSortName } from "./type-columns.ts";

/** How the table of types is sorted and filtered: in the URL. */
export interface TypeOrder {
  rows: Accessor<LiveRow[]>;
  filter(): string;
  setFilter(words: string | undefined): void;
  ariaSort(name: TypeSortName): "ascending" | "descending" | undefined;
  /** A second call turns the order round. */
  sortBy(name: TypeSortName): void;
}

const natural = (name: TypeSortName): "asc" | "desc" => (name === "event_type" ? "asc" : "desc");

/** `hovered`: nobody's row may jump away from under the pointer. */
export function createTypeOrder(fleet: ShownFleet, hovered: Accessor<boolean>): TypeOrder {
  const { live, router } = useApp();
  const sort = (): TypeSortName => {
    const wanted = router.param("sort", "event_count");
    return isTypeSortName(wanted) ? wanted : "event_count";
  };
  const ascending = (): boolean => router.param("dir", natural(sort())) === "asc";
  const filter = (): string => router.param("q");

  let lastKey = "";
  let lastRows: LiveRow[] = [];
  // Once a second, not at stream rate.
  const rows = createMemo<LiveRow[]>((previous) => {
    const all = fleet.rows();
    const key = `${sort()} ${ascending()} ${filter()} ${all.length}`;
    live.nowMs();
    const same = key === lastKey && all === lastRows;
    if (same && (hovered() || live.mode() === "pause")) return previous;
    lastKey = key;
    lastRows = all;
    const words = filter().toLowerCase();
    const shown = all.filter((row) => row.type.toLowerCase().includes(words));
    const compare = compareTypeRows(sort());
    shown.sort(ascending() ? compare : (a, b) => compare(b, a));
    return previous.length === shown.length && previous.every((row, index) => row === shown[index]) ? previous : shown;
  }, []);

  return {
    rows,
    filter,
    setFilter: (words) => router.setParams({ q: words }),
    ariaSort: (name) => (sort() === name ? (ascending() ? "ascending" : "descending") : undefined),
    sortBy(name) {
      const flipped = natural(name) === "asc" ? "desc" : "asc";
      const dir = sort() === name && (ascending() ? "asc" : "desc") === natural(name) ? flipped : natural(name);
      router.setParams({
        sort: name === "event_count" ? undefined : name,
        dir: dir === natural(name) ? undefined : dir,
      });
    },
  };
}
