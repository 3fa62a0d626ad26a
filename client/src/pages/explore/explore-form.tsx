import { createSignal, createUniqueId, For, type JSX, Show } from "solid-js";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { seriesMax } from "../../charts/palette.ts";
import { formatCount } from "../../ui/format.ts";
import type { ExploreData, ExploreView } from "./explore-state.ts";
import { type Metric, metrics } from "./explore-view.ts";

const devicesFound = 8;

/** What is asked: metric, where, split, compare, types. */
export function ExploreForm(props: { view: ExploreView; data: ExploreData }): JSX.Element {
  return (
    <section class="panel explore-side" aria-labelledby="choose-title">
      <div class="panel-head">
        <h2 id="choose-title">Query</h2>
      </div>
      <div class="panel-body choose">
        <label class="stack">
          <span>Metric</span>
          <select
            value={props.view.metric()}
            onChange={(event) => props.view.set({ metric: event.currentTarget.value as Metric })}
          >
            <For each={metrics}>
              {(each) => (
                <option value={each.value} selected={each.value === props.view.metric()}>
                  {each.label}
                </option>
              )}
            </For>
          </select>
        </label>
        <DeviceChoice view={props.view} />
        <SplitChoice view={props.view} />
        <label class="check">
          <input
            type="checkbox"
            checked={props.view.compare()}
            onChange={(event) => props.view.set({ compare: event.currentTarget.checked })}
          />
          Compare with the previous period
        </label>
        <TypeChoice view={props.view} data={props.data} />
      </div>
    </section>
  );
}

/** A device by its id, found while it is typed. */
function DeviceChoice(props: { view: ExploreView }): JSX.Element {
  const { api } = useApp();
  const [words, setWords] = createSignal("");
  const list = createUniqueId();
  const found = createQuery(words, (search, signal) =>
    api.get("/api/devices", { search, limit: String(devicesFound) }, signal),
  );
  return (
    <label class="stack">
      <span>Device</span>
      <input
        type="search"
        placeholder="All devices"
        list={list}
        value={props.view.device()}
        onInput={(event) => setWords(event.currentTarget.value)}
        onChange={(event) => props.view.set({ device: event.currentTarget.value })}
      />
      <datalist id={list}>
        <For each={found.data()?.devices}>{({ device_id }) => <option value={device_id} />}</For>
      </datalist>
    </label>
  );
}

/** Metadata keys that several devices share: each value gets a line. */
function SplitChoice(props: { view: ExploreView }): JSX.Element {
  const { api } = useApp();
  const facets = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/facets", {}, signal),
  );
  const keys = (): string[] => {
    const known = (facets.data()?.facets ?? []).map(({ key }) => key);
    const chosen = props.view.split();
    return chosen === "" || known.includes(chosen) ? known : [chosen, ...known];
  };
  return (
    <Show when={keys().length > 0 && props.view.device() === ""}>
      <label class="stack">
        <span>Split by</span>
        <select value={props.view.split()} onChange={(event) => props.view.set({ split: event.currentTarget.value })}>
          <option value="">Nothing</option>
          <For each={keys()}>
            {(key) => (
              <option value={key} selected={key === props.view.split()}>
                {key}
              </option>
            )}
          </For>
        </select>
      </label>
    </Show>
  );
}

function TypeChoice(props: { view: ExploreView; data: ExploreData }): JSX.Element {
  const { shortcuts } = useApp();
  const [words, setWords] = createSignal("");
  let search!: HTMLInputElement;
  shortcuts.add("/", () => search.focus());
  const shown = () => {
    const wanted = words().toLowerCase();
    return props.data
      .typeNames()
      .filter((each) => each.event_type.toLowerCase().includes(wanted))
      .slice(0, 100);
  };
  const note = (): string => {
    const { length } = props.view.types();
    if (length === 0) return "The busiest, until you choose";
    return length > seriesMax
      ? `${length} chosen; a chart draws the ${seriesMax} busiest of them`
      : `${formatCount(length)} chosen`;
  };
  return (
    <fieldset class="type-choice">
      <legend>{props.view.device() === "" ? "Event types" : "Event types of this device"}</legend>
      <label class="search slash">
        <span class="visually-hidden">Search event types</span>
        <input
          ref={search}
          type="search"
          placeholder="Search types"
          value={words()}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
      </label>
      <p class="panel-note">{note()}</p>
      <ul>
        <For each={shown()}>
          {(each) => (
            <li>
              <label class="check">
                <input
                  type="checkbox"
                  checked={props.view.types().includes(each.event_type)}
                  onChange={(event) => props.view.toggleType(each.event_type, event.currentTarget.checked)}
                />
                <span class="clip">{each.event_type}</span>
                <span class="panel-note push">{formatCount(each.event_count)}</span>
              </label>
            </li>
          )}
        </For>
      </ul>
    </fieldset>
  );
}
