import { Index, type JSX, Show } from "solid-js";
import type { LegendState } from "./legend-state.ts";
import { Swatch } from "./swatch.tsx";

export interface LegendItem {
  name: string;
  slot: number;
  dash?: readonly number[];
  /** At the cursor, or the newest; absent: no value is shown. */
  value?: string;
}

/** What the lines are, and a switch for each: a click isolates, Ctrl or Shift toggles, the pointer highlights. */
export function Legend(props: { label: string; items: readonly LegendItem[]; state: LegendState }): JSX.Element {
  return (
    <ul class="legend" aria-label={props.label}>
      {/* By place: values change with the cursor, and the buttons under the pointer must not. */}
      <Index each={props.items}>
        {(item) => (
          <li>
            <button
              type="button"
              class="legend-item"
              aria-pressed={props.state.isShown(item().name)}
              title={`${item().name}: click to show it alone, Ctrl+click to switch it`}
              onClick={(event) => props.state.press(item().name, event.ctrlKey || event.metaKey || event.shiftKey)}
              onPointerEnter={() => props.state.hover(item().name)}
              onPointerLeave={() => props.state.hover(undefined)}
              onFocus={() => props.state.hover(item().name)}
              onBlur={() => props.state.hover(undefined)}
            >
              <Swatch slot={item().slot} {...(item().dash ? { dash: item().dash } : {})} />
              <span>{item().name}</span>
              <Show when={item().value !== undefined}>
                <b>{item().value}</b>
              </Show>
            </button>
          </li>
        )}
      </Index>
    </ul>
  );
}
