import { createSignal, For, type JSX, onCleanup, Show } from "solid-js";
import { LiveSparkline } from "../../charts/live-sparkline.tsx";
import { Swatch } from "../../charts/swatch.tsx";
import type { LiveRow } from "../../live/row.ts";
import { typeColumns } from "./type-columns.ts";

/** Tells elements whether they can be seen. */
export interface SightWatch {
  watch(element: Element, tell: (visible: boolean) => void): void;
  unwatch(element: Element): void;
}

/** Under a Solid owner. */
export function createSightWatch(): SightWatch {
  const observed = new WeakMap<Element, (visible: boolean) => void>();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) observed.get(entry.target)?.(entry.isIntersecting);
    },
    // A row just below the edge is fresh before it is scrolled in; more would be work that nobody sees.
    { rootMargin: "40px" },
  );
  onCleanup(() => observer.disconnect());
  return {
    watch(element, tell) {
      observed.set(element, tell);
      observer.observe(element);
    },
    unwatch: (element) => observer.unobserve(element),
  };
}

/** One event type. Its cells follow the stream only while they can be seen. */
export function TypeRow(props: {
  row: LiveRow;
  sight: SightWatch;
  selected: boolean;
  slot: number | undefined;
  /** The rings under the sparkline are of the whole fleet. */
  sparkline: boolean;
  onSelect(): void;
}): JSX.Element {
  const [visible, setVisible] = createSignal(true);
  const watch = (element: HTMLElement): void => {
    const { row, sight } = props;
    sight.watch(element, (next) => {
      row.setVisible(next);
      setVisible(next);
    });
    onCleanup(() => sight.unwatch(element));
  };
  return (
    <tr ref={watch} classList={{ selected: props.selected }}>
      <th scope="row" class="col-type">
        <button
          type="button"
          class="type-name"
          aria-pressed={props.selected}
          title={props.row.type}
          onClick={() => props.onSelect()}
        >
          <Show when={props.slot !== undefined} fallback={<span class="swatch" />}>
            <Swatch slot={props.slot!} />
          </Show>
          <span>{props.row.type}</span>
        </button>
      </th>
      <Show when={props.sparkline}>
        <td class="col-spark">
          <LiveSparkline type={props.row.type} visible={visible} />
        </td>
      </Show>
      <For each={typeColumns}>
        {(column) => <td class={`num col-${column.name}`}>{column.format(props.row.cell(column.name))}</td>}
      </For>
    </tr>
  );
}
