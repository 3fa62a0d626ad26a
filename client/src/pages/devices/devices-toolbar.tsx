import { createSignal, For, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { FilterChips } from "../../app/filter-chips.tsx";
import { metadataPrefix } from "../../app/router.ts";
import { saveFile } from "../../ui/csv.ts";
import { formatCount } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Popover } from "../../ui/popover.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { allColumns } from "./device-columns.ts";
import { devicesCsv } from "./device-csv.ts";
import { makeDeviceList } from "./device-list.ts";
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

function ColumnChoice(props: { view: DevicesView }): JSX.Element {
  const toggle = (name: string, on: boolean): void => {
    const names = props.view.columnNames();
    props.view.setColumns(on ? [...names, name] : names.filter((each) => each !== name));
  };
  return (
    <div class="column-choice">
      <Popover
        label="Columns"
        button={
          <>
            <Icon name="columns" />
            Columns
          </>
        }
      >
        {(close) => (
          <fieldset class="choose-columns">
            <legend>Columns</legend>
            <For each={allColumns(props.view.metadataKeys())}>
              {(column) => (
                <label class="check">
                  <input
                    type="checkbox"
                    checked={props.view.columnNames().includes(column.name)}
                    onChange={(event) => toggle(column.name, event.currentTarget.checked)}
                  />
                  {column.label}
                </label>
              )}
            </For>
            <button
              type="button"
              class="button"
              onClick={() => {
                props.view.setColumns(undefined);
                close();
              }}
            >
              Usual columns
            </button>
          </fieldset>
        )}
      </Popover>
    </div>
  );
}

/** The whole filtered list as a file, not only what has been scrolled to. */
function CsvButton(props: { view: DevicesView }): JSX.Element {
  const { api } = useApp();
  const [loaded, setLoaded] = createSignal<number>();
  const [problem, setProblem] = createSignal("");
  const save = async (): Promise<void> => {
    setProblem("");
    setLoaded(0);
    const { search, status, sort, filter, columns } = props.view;
    const list = makeDeviceList(
      {
        askPage: (query, signal) => api.get("/api/devices", query, signal),
        askDevice: (id, signal) => api.get(`/api/devices/${id}`, {}, signal),
        changed: () => setLoaded(list.devices.length),
      },
      { search: search().trim(), status: status(), sort: sort(), meta: filter.query() },
    );
    while (list.more && !list.failure) await list.loadMore();
    setLoaded(undefined);
    if (list.failure) setProblem(list.failure.message);
    else saveFile(devicesCsv(list.devices, columns()), "devices.csv", "text/csv");
  };
  return (
    <button
      type="button"
      class="button csv-button"
      disabled={loaded() !== undefined}
      title={problem() || "The filtered list as a file"}
      onClick={() => void save()}
    >
      <Icon name="download" />
      <Show when={loaded()} fallback={problem() === "" ? "CSV" : "CSV: try again"}>
        {(count) => <>{formatCount(count())} read</>}
      </Show>
    </button>
  );
}
