import { createMemo, For, type JSX, Show } from "solid-js";
import { limits } from "../../../../contract/limits.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { Icon } from "../../ui/icons.tsx";
import { Popover } from "../../ui/popover.tsx";
import { allColumns, lastColumnName, lastValueTypes } from "./device-columns.ts";
import type { DevicesView } from "./devices-state.ts";

/** The busiest event types are offered. */
const typesMax = 20;
const typesOfMs = 86_400_000;

/** Which columns the list has: what is known of each device, its metadata, its last values. */
export function ColumnChoice(props: { view: DevicesView }): JSX.Element {
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
          <div class="choose-columns">
            <fieldset>
              <legend>Columns</legend>
              <For each={allColumns(props.view.metadataKeys())}>
                {(column) => <ColumnCheck view={props.view} name={column.name} label={column.label} />}
              </For>
            </fieldset>
            <LastValueChecks view={props.view} />
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
          </div>
        )}
      </Popover>
    </div>
  );
}

/** Only while the choice is open are the types asked for. */
function LastValueChecks(props: { view: DevicesView }): JSX.Element {
  const { api, live } = useApp();
  const known = createQuery(
    () => undefined,
    (_, signal) => {
      const from = new Date(Date.now() + live.clockOffsetMs() - typesOfMs).toISOString();
      return api.get("/api/event-types", { from, limit: String(typesMax) }, signal);
    },
  );
  const chosen = createMemo(() => lastValueTypes(props.view.columns()));
  const types = createMemo(() => {
    const busiest = known.data()?.event_types.map(({ event_type }) => event_type) ?? [];
    return [...busiest, ...chosen().filter((type) => !busiest.includes(type))];
  });
  const full = (): boolean => chosen().length >= limits.lastValueTypes;
  return (
    <Show when={types().length > 0}>
      <fieldset>
        <legend>Last value of</legend>
        <For each={types()}>
          {(type) => (
            <ColumnCheck
              view={props.view}
              name={lastColumnName(type)}
              label={type}
              disabled={full() && !chosen().includes(type)}
            />
          )}
        </For>
        <Show when={full()}>
          <p class="panel-note">At most {limits.lastValueTypes} at once.</p>
        </Show>
      </fieldset>
    </Show>
  );
}

function ColumnCheck(props: { view: DevicesView; name: string; label: string; disabled?: boolean }): JSX.Element {
  const toggle = (on: boolean): void => {
    const names = props.view.columnNames();
    props.view.setColumns(on ? [...names, props.name] : names.filter((each) => each !== props.name));
  };
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.view.columnNames().includes(props.name)}
        disabled={props.disabled === true}
        onChange={(event) => toggle(event.currentTarget.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}
