import { For, type JSX, Show } from "solid-js";
import { Icon } from "../ui/icons.tsx";
import type { FleetFilter } from "./fleet-filter.ts";

/** The part of the fleet that every number on the page is about; each condition can be taken away. */
export function FilterChips(props: { filter: FleetFilter }): JSX.Element {
  return (
    <Show when={props.filter.active()}>
      <ul class="chips" aria-label="Filter">
        <For each={Object.entries(props.filter.values())}>
          {([key, value]) => (
            <li class="chip">
              <span>
                {key}: <b>{value}</b>
              </span>
              <button
                type="button"
                aria-label={`Remove ${key}: ${value}`}
                onClick={() => props.filter.set(key, undefined)}
              >
                <Icon name="close" />
              </button>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}
