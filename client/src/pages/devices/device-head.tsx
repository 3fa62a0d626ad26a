import { For, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import type { DevicesView } from "./devices-state.ts";

/** The columns' names; a click sorts by one, a second click the other way. */
export function DeviceHead(props: { view: DevicesView }): JSX.Element {
  const { router } = useApp();
  const columns = () => [{ name: "device_id", label: "Device", sort: "device_id" }, ...props.view.columns()];
  const setSort = (natural: string): void => {
    const flipped = natural.startsWith("-") ? natural.slice(1) : `-${natural}`;
    router.setParams({ sort: props.view.sort() === natural ? flipped : natural });
  };
  const ariaSort = (name: string): "ascending" | "descending" | undefined =>
    props.view.sort() === name ? "ascending" : props.view.sort() === `-${name}` ? "descending" : undefined;
  return (
    // biome-ignore lint/a11y/useSemanticElements: see the table around it
    // biome-ignore lint/a11y/useFocusableInteractive: a row of a table is not a control
    <div class="device-row device-head" role="row" aria-rowindex={1}>
      <For each={columns()}>
        {(column) => (
          // biome-ignore lint/a11y/useSemanticElements: see the table around it
          // biome-ignore lint/a11y/useFocusableInteractive: the button inside is the control
          <div
            role="columnheader"
            class={`cell-${column.name.replace(".", "-")}`}
            classList={{
              "cell-number": "numeric" in column && column.numeric === true,
              "cell-meta": column.name.startsWith("meta."),
            }}
            aria-sort={ariaSort(column.name)}
          >
            <Show when={column.sort} fallback={column.label}>
              {(natural) => (
                <button type="button" class="sort" onClick={() => setSort(natural())}>
                  {column.label}
                </button>
              )}
            </Show>
          </div>
        )}
      </For>
    </div>
  );
}
