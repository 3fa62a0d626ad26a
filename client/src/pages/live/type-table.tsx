import { createMemo, createSignal, For, type JSX, onCleanup, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { LiveSparkline } from "../../charts/live-sparkline.tsx";
import { Swatch } from "../../charts/swatch.tsx";
import type { FigureName, LiveRow } from "../../live/row.ts";
import { formatCount, formatQuantile, formatRate, formatValue, plural } from "../../ui/format.ts";

const columns: readonly { name: FigureName; label: string; long: string; format(value: number | null): string }[] = [
  { name: "event_count", label: "Events", long: "Events in the window", format: formatCount },
  { name: "rate", label: "Rate /s", long: "Events per second", format: formatRate },
  { name: "avg_value", label: "Average", long: "Average value", format: formatValue },
  { name: "min_value", label: "Min", long: "Smallest value", format: formatValue },
  { name: "max_value", label: "Max", long: "Largest value", format: formatValue },
  { name: "p50", label: "p50", long: "Median", format: formatQuantile },
  { name: "p95", label: "p95", long: "95 of 100 values are below", format: formatQuantile },
  { name: "p99", label: "p99", long: "99 of 100 values are below", format: formatQuantile },
];
type SortName = FigureName | "event_type";
const sortNames: readonly string[] = ["event_type", ...columns.map((column) => column.name)];

/** Ascending order for `sort`; what has no value comes first, so that it ends last when the largest is on top. */
function compareRows(sort: SortName): (a: LiveRow, b: LiveRow) => number {
  if (sort === "event_type") return (a, b) => a.type.localeCompare(b.type);
  return (a, b) => {
    const one = a.latest()[sort] ?? Number.NEGATIVE_INFINITY;
    const two = b.latest()[sort] ?? Number.NEGATIVE_INFINITY;
    return one === two ? b.type.localeCompare(a.type) : one < two ? -1 : 1;
  };
}

export function TypeTable(props: {
  selected: string | undefined;
  onSelect(type: string): void;
  slotOf(type: string): number | undefined;
}): JSX.Element {
  const { live, router, shortcuts } = useApp();
  const sort = (): SortName => {
    const wanted = router.param("sort", "event_count");
    return sortNames.includes(wanted) ? (wanted as SortName) : "event_count";
  };
  const ascending = (): boolean => router.param("dir", sort() === "event_type" ? "asc" : "desc") === "asc";
  const filter = (): string => router.param("q");
  const [hovered, setHovered] = createSignal(false);

  let lastKey = "";
  let lastRows: LiveRow[] = [];
  // Once a second, not at stream rate, and not under the pointer: a row that jumps away cannot be read or clicked.
  const order = createMemo<LiveRow[]>((previous) => {
    const rows = live.rows();
    const key = `${sort()} ${ascending()} ${filter()} ${rows.length}`;
    live.nowMs();
    const same = key === lastKey && rows === lastRows;
    if (same && (hovered() || live.mode() === "pause")) return previous;
    lastKey = key;
    lastRows = rows;
    const words = filter().toLowerCase();
    const shown = rows.filter((row) => row.type.toLowerCase().includes(words));
    const compare = compareRows(sort());
    shown.sort(ascending() ? compare : (a, b) => compare(b, a));
    return previous.length === shown.length && previous.every((row, index) => row === shown[index]) ? previous : shown;
  }, []);

  const setSort = (name: SortName): void => {
    const natural = name === "event_type" ? "asc" : "desc";
    const flipped = natural === "asc" ? "desc" : "asc";
    const dir = sort() === name && (ascending() ? "asc" : "desc") === natural ? flipped : natural;
    router.setParams({ sort: name === "event_count" ? undefined : name, dir: dir === natural ? undefined : dir });
  };
  const ariaSort = (name: SortName): "ascending" | "descending" | undefined =>
    sort() === name ? (ascending() ? "ascending" : "descending") : undefined;

  const observed = new WeakMap<Element, (visible: boolean) => void>();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) observed.get(entry.target)?.(entry.isIntersecting);
    },
    // A row just below the edge is fresh before it is scrolled in; more would be work that nobody sees.
    { rootMargin: "40px" },
  );
  onCleanup(() => observer.disconnect());

  let input!: HTMLInputElement;
  shortcuts.add("/", () => input.focus());

  return (
    <section class="panel type-panel" aria-labelledby="types-title">
      <div class="panel-head">
        <h2 id="types-title">Event types</h2>
        <span class="panel-note">
          <Show when={filter() !== ""} fallback={plural(live.rows().length, "type")}>
            {formatCount(order().length)} of {plural(live.rows().length, "type")}
          </Show>
          , <span data-testid="events">{formatCount(live.figures()?.eventCount)}</span>{" "}
          {live.figures()?.eventCount === 1 ? "event" : "events"} in the last ten minutes
        </span>
        <label class="search slash">
          <span class="visually-hidden">Filter event types</span>
          <input
            ref={input}
            type="search"
            placeholder="Filter types"
            value={filter()}
            onInput={(event) => router.setParams({ q: event.currentTarget.value })}
          />
        </label>
      </div>
      <section class="table-scroll" tabindex="0" aria-label="Event types, scrolls sideways">
        <table class="types">
          <caption class="visually-hidden">Figures of each event type over the last ten minutes, updated live</caption>
          <thead>
            <tr>
              <th scope="col" class="col-type" aria-sort={ariaSort("event_type")}>
                <button type="button" class="sort" onClick={() => setSort("event_type")}>
                  Type
                </button>
              </th>
              <th scope="col" class="col-spark">
                Last 2 min
              </th>
              <For each={columns}>
                {(column) => (
                  <th
                    scope="col"
                    class="num"
                    classList={{ [`col-${column.name}`]: true }}
                    aria-sort={ariaSort(column.name)}
                  >
                    <button type="button" class="sort" title={column.long} onClick={() => setSort(column.name)}>
                      {column.label}
                    </button>
                  </th>
                )}
              </For>
            </tr>
          </thead>
          <tbody onPointerEnter={() => setHovered(true)} onPointerLeave={() => setHovered(false)}>
            <For each={order()}>
              {(row) => {
                const [visible, setVisible] = createSignal(true);
                const watch = (element: HTMLElement): void => {
                  observed.set(element, (next) => {
                    row.setVisible(next);
                    setVisible(next);
                  });
                  observer.observe(element);
                  onCleanup(() => observer.unobserve(element));
                };
                return (
                  <tr ref={watch} classList={{ selected: props.selected === row.type }}>
                    <th scope="row" class="col-type">
                      <button
                        type="button"
                        class="type-name"
                        aria-pressed={props.selected === row.type}
                        title={row.type}
                        onClick={() => props.onSelect(row.type)}
                      >
                        <Show when={props.slotOf(row.type) !== undefined} fallback={<span class="swatch" />}>
                          <Swatch slot={props.slotOf(row.type)!} />
                        </Show>
                        <span>{row.type}</span>
                      </button>
                    </th>
                    <td class="col-spark">
                      <LiveSparkline type={row.type} visible={visible} />
                    </td>
                    <For each={columns}>
                      {(column) => (
                        <td class="num" classList={{ [`col-${column.name}`]: true }}>
                          {column.format(row.cell(column.name))}
                        </td>
                      )}
                    </For>
                  </tr>
                );
              }}
            </For>
          </tbody>
        </table>
        <Show when={live.rows().length > 0 && order().length === 0}>
          <p class="table-empty">
            No type contains “{filter()}”.{" "}
            <button type="button" class="link" onClick={() => router.setParams({ q: undefined })}>
              Clear the filter
            </button>
          </p>
        </Show>
      </section>
    </section>
  );
}
