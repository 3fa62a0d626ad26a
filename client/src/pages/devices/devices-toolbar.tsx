import { For, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { FilterChips } from "../../app/filter-chips.tsx";
import { metadataPrefix } from "../../app/router.ts";
import { Segmented } from "../../ui/segmented.tsx";
import { ColumnChoice } from "./column-choice.tsx";
import { CsvButton } from "./csv-button.tsx";
import { type DevicesView, statuses } from "./devices-state.ts";
import { FacetSheet } from "./facet-panel.tsx";

export function DevicesToolbar(props: { view: DevicesView }): JSX.Element {
  const { router, shortcuts } = useApp();
  let input!: HTMLInputElement;
  shortcuts.add("/", () => input.focus());
  return (
    <div class="toolbar devices-toolbar">
      <Segmented
        label="Status"
        name="status"
        value={props.view.status()}
        options={statuses}
        onChange={(value) => router.setParams({ status: value })}
      />
      <label class="search slash">
        <span class="visually-hidden">Search devices</span>
        <input
          ref={input}
          type="search"
          placeholder="Search device id"
          value={props.view.search()}
          onInput={(event) => router.setParams({ q: event.currentTarget.value })}
        />
      </label>
      <FacetSheet view={props.view} />
      <GroupChoice view={props.view} />
      <ColumnChoice view={props.view} />
      <CsvButton view={props.view} />
      <FilterChips filter={props.view.filter} />
    </div>
  );
}

function GroupChoice(props: { view: DevicesView }): JSX.Element {
  const { router } = useApp();
  return (
    <Show when={props.view.metadataKeys().length > 0 || props.view.group() !== ""}>
      <label class="group-choice">
        <span>Group by</span>
        <select
          value={props.view.group()}
          onChange={(event) => router.setParams({ group: event.currentTarget.value }, { push: true })}
        >
          <option value="">nothing</option>
          <For each={props.view.metadataKeys()}>
            {(key) => (
              <option value={metadataPrefix + key} selected={props.view.group() === metadataPrefix + key}>
                {key}
              </option>
            )}
          </For>
        </select>
      </label>
    </Show>
  );
}
