import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import type { TimeRangeState } from "../../app/time-range-state.ts";
import { formatCount, formatTime } from "../../ui/format.ts";
import { type DeviceData, numericMax, textMax } from "./device-data.ts";
import { SeriesRow } from "./series-row.tsx";
import { stateRuns } from "./state-runs.ts";
import { StateTimeline } from "./state-timeline.tsx";

/** More charts than fit on some screens are drawn when asked for. */
const shownFirst = 16;

/** All series of the device under one time axis, with one crosshair; its silence is shaded through all of them. */
export function SeriesPanel(props: { data: DeviceData; range: TimeRangeState }): JSX.Element {
  const { router } = useApp();
  const [all, setAll] = createSignal(false);
  const numeric = createMemo(() => props.data.numeric().slice(0, all() ? numericMax : shownFirst));
  const texts = createMemo(() => props.data.texts().slice(0, textMax));
  const hidden = (): number =>
    props.data.numeric().length + props.data.texts().length - numeric().length - texts().length;
  const chosen = (): string => router.param("type");
  return (
    <section class="panel series-panel" aria-labelledby="series-title">
      <div class="panel-head">
        <h2 id="series-title">Series</h2>
        <Show when={props.data.silent().length > 0}>
          <span class="panel-note silent-key">
            <i aria-hidden="true" />
            silent
          </span>
        </Show>
        <Show when={props.data.alerts().length > 0}>
          <span class="panel-note alert-key">
            <i aria-hidden="true" />
            alert firing
          </span>
        </Show>
      </div>
      <div class="series-list">
        <For each={numeric()}>
          {(type) => (
            <SeriesRow
              type={type}
              data={props.data}
              tall={chosen() === type}
              onToggle={() => router.setParams({ type: chosen() === type ? undefined : type })}
              onZoom={(from, to) => props.range.zoom(from * 1000, to * 1000)}
              onReset={() => props.range.reset()}
            />
          )}
        </For>
        <For each={texts()}>{(type) => <TextRow type={type} data={props.data} />}</For>
        <Show when={props.data.detail.data() && numeric().length + texts().length === 0}>
          <p class="table-empty">No series in the last 30 days.</p>
        </Show>
        <SeriesAxis data={props.data} />
      </div>
      <Show when={!all() && hidden() > 0}>
        <p class="panel-foot">
          <button type="button" class="link" onClick={() => setAll(true)}>
            {formatCount(hidden())} more series
          </button>
        </p>
      </Show>
    </section>
  );
}

function TextRow(props: { type: string; data: DeviceData }): JSX.Element {
  const events = () => props.data.textEvents.data()?.[props.type]?.events;
  const runs = createMemo(() => {
    const { fromSecond, toSecond } = props.data.bounds();
    return stateRuns(events() ?? [], fromSecond * 1000, toSecond * 1000);
  });
  return (
    <div class="series-row">
      <span class="series-name" title={props.type}>
        {props.type}
      </span>
      <div class="series-chart">
        <Show
          when={runs().length > 0}
          fallback={
            <div class="chart-wait">
              {props.data.textEvents.failure()?.message ?? (events() ? "Nothing in this range" : "Loading history")}
            </div>
          }
        >
          <StateTimeline
            runs={runs()}
            {...props.data.bounds()}
            spans={props.data.silent()}
            label={`${props.type}: its states and how long each lasted`}
          />
        </Show>
      </div>
      <dl class="series-values text-value">
        <div>
          <dt>Last</dt>
          <dd>{props.data.typeOf(props.type)?.last_value_string ?? "–"}</dd>
        </div>
      </dl>
    </div>
  );
}

/** The time axis of all rows, once. */
function SeriesAxis(props: { data: DeviceData }): JSX.Element {
  const { preferences } = useApp();
  const parts = 4;
  const marks = createMemo(() => {
    const { fromSecond, toSecond } = props.data.bounds();
    const span = toSecond - fromSecond;
    const style = span > 2 * 86_400 ? "day" : span > 1_800 ? "minute" : "clock";
    return Array.from({ length: parts + 1 }, (_, index) =>
      formatTime((fromSecond + (span * index) / parts) * 1000, preferences.zone(), style),
    );
  });
  return (
    <div class="series-row series-axis" aria-hidden="true">
      <span />
      <div class="series-marks">
        <For each={marks()}>{(mark) => <span>{mark}</span>}</For>
      </div>
      <span />
    </div>
  );
}
