import { createSignal, For, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { formatCount, plural } from "../../ui/format.ts";
import type { ShownFleet } from "./shown-fleet.ts";
import { typeColumns } from "./type-columns.ts";
import { createTypeOrder, type TypeOrder } from "./type-order.ts";
import { createSightWatch, TypeRow } from "./type-row.tsx";

/** The event types of the last ten minutes with their figures. */
export function TypeTable(props: {
  fleet: ShownFleet;
  selected: string | undefined;
  onSelect(type: string): void;
  slotOf(type: string): number | undefined;
}): JSX.Element {
  const [hovered, setHovered] = createSignal(false);
  const order = createTypeOrder(props.fleet, hovered);
  const sight = createSightWatch();
  return (
    <section class="panel type-panel" aria-labelledby="types-title">
      <TypePanelHead fleet={props.fleet} order={order} />
      <section class="table-scroll" tabindex="0" aria-label="Event types, scrolls sideways">
        <table class="types">
          <caption class="visually-hidden">Figures of each event type over the last ten minutes, updated live</caption>
          <TypeHeads order={order} sparkline={!props.fleet.isPart()} />
          <tbody onPointerEnter={() => setHovered(true)} onPointerLeave={() => setHovered(false)}>
            <For each={order.rows()}>
              {(row) => (
                <TypeRow
                  row={row}
                  sight={sight}
                  selected={props.selected === row.type}
                  slot={props.slotOf(row.type)}
                  sparkline={!props.fleet.isPart()}
                  onSelect={() => props.onSelect(row.type)}
                />
              )}
            </For>
          </tbody>
        </table>
        <TypesMissing fleet={props.fleet} order={order} />
      </section>
    </section>
  );
}

function TypePanelHead(props: { fleet: ShownFleet; order: TypeOrder }): JSX.Element {
  const { shortcuts } = useApp();
  let input!: HTMLInputElement;
  shortcuts.add("/", () => input.focus());
  const types = (): string => plural(props.fleet.rows().length, "type");
  return (
    <div class="panel-head">
      <h2 id="types-title">Event types</h2>
      <span class="panel-note">
        <Show when={props.order.filter() !== ""} fallback={types()}>
          {formatCount(props.order.rows().length)} of {types()}
        </Show>
        , <span data-testid="events">{formatCount(props.fleet.figures()?.eventCount)}</span>{" "}
        {props.fleet.figures()?.eventCount === 1 ? "event" : "events"} in the last ten minutes
        {props.fleet.isPart() ? ", from what is stored" : ""}
      </span>
      <label class="search slash">
        <span class="visually-hidden">Filter event types</span>
        <input
          ref={input}
          type="search"
          placeholder="Filter types"
          value={props.order.filter()}
          onInput={(event) => props.order.setFilter(event.currentTarget.value)}
        />
      </label>
    </div>
  );
}

function TypeHeads(props: { order: TypeOrder; sparkline: boolean }): JSX.Element {
  return (
    <thead>
      <tr>
        <th scope="col" class="col-type" aria-sort={props.order.ariaSort("event_type")}>
          <button type="button" class="sort" onClick={() => props.order.sortBy("event_type")}>
            Type
          </button>
        </th>
        <Show when={props.sparkline}>
          <th scope="col" class="col-spark">
            Last 2 min
          </th>
        </Show>
        <For each={typeColumns}>
          {(column) => (
            <th scope="col" class={`num col-${column.name}`} aria-sort={props.order.ariaSort(column.name)}>
              <button type="button" class="sort" title={column.long} onClick={() => props.order.sortBy(column.name)}>
                {column.label}
              </button>
            </th>
          )}
        </For>
      </tr>
    </thead>
  );
}

/** Why there is no row: nothing has come, or nothing matches. */
function TypesMissing(props: { fleet: ShownFleet; order: TypeOrder }): JSX.Element {
  const { router } = useApp();
  const words = (): string | undefined => {
    if (!props.fleet.isPart() || props.fleet.rows().length > 0) return undefined;
    const failure = props.fleet.failure();
    if (failure) return failure.message;
    return props.fleet.figures() ? "No event of this part of the fleet in the last ten minutes." : "Loading the types";
  };
  return (
    <>
      <Show when={words()}>{(text) => <p class="table-empty">{text()}</p>}</Show>
      <Show when={props.fleet.rows().length > 0 && props.order.rows().length === 0}>
        <p class="table-empty">
          No type contains “{props.order.filter()}”.{" "}
          <button type="button" class="link" onClick={() => router.setParams({ q: undefined })}>
            Clear the filter
          </button>
        </p>
      </Show>
    </>
  );
}
