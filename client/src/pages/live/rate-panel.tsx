import { createMemo, createSignal, type JSX, lazy, Show, Suspense } from "solid-js";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import type { TimeRangeState } from "../../app/time-range-state.ts";
import { afterPaint } from "../../charts/after-paint.ts";
import type { AlertMark } from "../../charts/alert-marks.ts";
import { Legend } from "../../charts/legend.tsx";
import { createLegend } from "../../charts/legend-state.ts";
import { dashes } from "../../charts/palette.ts";
import { liveSeconds } from "../../live/live-rings.ts";
import { restName } from "./rate-columns.ts";
import type { ShownFleet } from "./shown-fleet.ts";
import { ChartWait } from "./value-panel.tsx";

const LiveRateChart = lazy(() => afterPaint().then(() => import("./live-rate-chart.tsx")));
const StoredRateChart = lazy(() => afterPaint().then(() => import("./stored-rate-chart.tsx")));

/** Events per second by type: from the stream for the last ten minutes of the whole fleet, else from what is stored. */
export function RatePanel(props: {
  fleet: ShownFleet;
  range: TimeRangeState;
  filter: FleetFilter;
  slots: ReadonlyMap<string, number>;
  marks: readonly AlertMark[];
  onHover(hovered: boolean): void;
}): JSX.Element {
  const [cursorValues, setCursorValues] = createSignal<Readonly<Record<string, string>>>();
  const streamed = createMemo(
    () => props.range.moving() && !props.filter.active() && props.range.spanMs() <= liveSeconds * 1000 + 500,
  );
  const hasFigures = createMemo(() => props.fleet.figures() !== undefined);
  const hasRest = createMemo(() => props.fleet.rows().length > props.slots.size);
  const slots = createMemo(() => new Map([...props.slots, ...(hasRest() ? [[restName, -1] as const] : [])]));
  const names = createMemo(() => [...slots().keys()]);
  const legend = createLegend(names);
  const common = () => ({
    slots: slots(),
    shown: legend.shown(),
    highlighted: legend.hovered(),
    marks: props.marks,
    onZoom: (from: number, to: number) => props.range.zoom(from * 1000, to * 1000),
    onReset: () => props.range.reset(),
    label: `Events per second by type, ${props.range.label()}. The table of event types has the newest figures.`,
  });
  return (
    <section class="panel rate-panel" aria-labelledby="rate-title">
      <div class="panel-head">
        <h2 id="rate-title">Events per second</h2>
        <span class="panel-note">by type{streamed() ? ", mean of ten seconds" : ", from what is stored"}</span>
      </div>
      <div class="chart-box tall">
        <Show when={hasFigures()} fallback={<ChartWait>{props.fleet.failure()?.message}</ChartWait>}>
          <Suspense fallback={<ChartWait />}>
            <Show
              when={streamed()}
              fallback={<StoredRateChart {...common()} range={props.range} filter={props.filter} />}
            >
              <LiveRateChart
                {...common()}
                seconds={Math.round(props.range.spanMs() / 1000)}
                fit={props.range.own()}
                onHover={props.onHover}
                onValues={setCursorValues}
              />
            </Show>
          </Suspense>
        </Show>
      </div>
      <Legend
        label="Event types of the chart"
        state={legend}
        items={names().map((name) => ({
          name,
          slot: slots().get(name) ?? -1,
          dash: dashes[slots().get(name) ?? -1] ?? [],
          ...(cursorValues()?.[name] === undefined ? {} : { value: cursorValues()![name]! }),
        }))}
      />
    </section>
  );
}
