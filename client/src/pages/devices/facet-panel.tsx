import { createSignal, For, type JSX, Show } from "solid-js";
import type { Facets } from "../../../../contract/fleet.ts";
import { formatCount, plural } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Popover } from "../../ui/popover.tsx";
import type { DevicesView } from "./devices-state.ts";

/** Values of a key that are shown before anybody asks for more. */
const valuesShown = 6;

/** What the fleet consists of, and where the silence is: beside the list, or in a sheet on a phone. */
export function FacetPanel(props: { view: DevicesView }): JSX.Element {
  return (
    <Show when={(props.view.facets()?.facets.length ?? 0) > 0}>
      <aside class="panel facets" aria-label="Filter by metadata">
        <FacetList view={props.view} />
      </aside>
    </Show>
  );
}

export function FacetSheet(props: { view: DevicesView }): JSX.Element {
  const active = (): number => Object.keys(props.view.filter.values()).length;
  return (
    <Show when={(props.view.facets()?.facets.length ?? 0) > 0}>
      <div class="facet-sheet">
        <Popover
          label="Filter by metadata"
          button={
            <>
              <Icon name="filter" />
              Filter{active() > 0 ? ` (${active()})` : ""}
            </>
          }
        >
          {() => <FacetList view={props.view} />}
        </Popover>
      </div>
    </Show>
  );
}

function FacetList(props: { view: DevicesView }): JSX.Element {
  // A key with one value for all divides nothing, unless it is the one that was chosen.
  const keys = () =>
    (props.view.facets()?.facets ?? [])
      .filter(({ key, distinct }) => distinct > 1 || props.view.filter.values()[key] !== undefined)
      .map(({ key }) => key);
  return (
    <For each={keys()}>
      {(key) => {
        const facet = () => props.view.facets()?.facets.find((each) => each.key === key);
        return <Show when={facet()}>{(each) => <FacetKey facet={each()} view={props.view} />}</Show>;
      }}
    </For>
  );
}

function FacetKey(props: { facet: Facets["facets"][number]; view: DevicesView }): JSX.Element {
  const [all, setAll] = createSignal(false);
  const values = () => (all() ? props.facet.values : props.facet.values.slice(0, valuesShown));
  const more = (): number => props.facet.distinct - values().length;
  const chosen = (): string | undefined => props.view.filter.values()[props.facet.key];
  return (
    <section class="facet">
      <h2>{props.facet.key}</h2>
      <ul>
        <For each={values().map(({ value }) => value)}>
          {(value) => {
            const entry = () => props.facet.values.find((each) => each.value === value);
            const silent = (): number => entry()?.silent ?? 0;
            const devices = (): number => entry()?.devices ?? 0;
            return (
              <li>
                <button
                  type="button"
                  class="facet-value"
                  aria-pressed={chosen() === value}
                  onClick={() => props.view.filter.set(props.facet.key, chosen() === value ? undefined : value)}
                >
                  <span class="clip">{value}</span>
                  <span class="facet-count">
                    <Show when={silent() > 0}>
                      <b>{formatCount(silent())} silent</b> of{" "}
                    </Show>
                    {formatCount(devices())}
                  </span>
                  <i aria-hidden="true" style={{ "--share": `${devices() > 0 ? (silent() / devices()) * 100 : 0}%` }} />
                </button>
              </li>
            );
          }}
        </For>
      </ul>
      <Show when={!all() && props.facet.values.length > valuesShown}>
        <button type="button" class="link" onClick={() => setAll(true)}>
          {plural(more(), "more value")}
        </button>
      </Show>
    </section>
  );
}
