import { createMemo, type JSX, lazy, Show, Suspense } from "solid-js";
import { createQuery, notAsked } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import type { TimeRangeState } from "../../app/time-range-state.ts";
import { afterPaint } from "../../charts/after-paint.ts";
import type { AlertMark } from "../../charts/alert-marks.ts";
import { askHistory, refreshMs } from "../../charts/ask-history.ts";
import { fittedRange } from "../../charts/fitted-range.ts";
import { quantileChart } from "../../charts/history-lines.ts";
import { Legend } from "../../charts/legend.tsx";
import { createLegend } from "../../charts/legend-state.ts";
import { quantileLines } from "../../charts/palette.ts";
import { quantileUnit, unitOf } from "../../ui/units.ts";

const LinesChart = lazy(() => afterPaint().then(() => import("../../charts/lines-chart.tsx")));

export function ChartWait(props: { children?: JSX.Element }): JSX.Element {
  return <div class="chart-wait">{props.children ?? "Waiting for data"}</div>;
}

/** Live quantiles move with every event; these come from the stored seconds, so they can be drawn over time. */
export function ValuePanel(props: {
  type: string | undefined;
  range: TimeRangeState;
  filter: FleetFilter;
  marks: readonly AlertMark[];
}): JSX.Element {
  const { api, live } = useApp();
  const source = createMemo(
    () => ({ type: props.type, spec: props.range.spec(), meta: props.filter.query() }),
    undefined,
    { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) },
  );
  const history = createQuery(
    source,
    async ({ type, meta }, signal) =>
      type === undefined ? notAsked : askHistory(api, props.range.bounds(), { ...meta, event_type: type }, signal),
    { everyMs: () => (props.range.moving() ? refreshMs(props.range.spanMs()) : undefined) },
  );
  // A paused page holds its value chart too, while the data goes on being asked for.
  const shown = createMemo<ReturnType<typeof history.data>>((previous) =>
    live.mode() === "pause" && previous !== undefined ? previous : history.data(),
  );
  const points = createMemo(() => shown()?.series.find((each) => each.event_type === props.type)?.points ?? []);
  const hasValues = createMemo(() => points().some((point) => point.p50 !== null));
  const names = (): string[] => quantileLines.map(({ figure }) => figure).toReversed();
  const legend = createLegend(names);
  const drawn = createMemo(() => quantileChart(points(), shown()?.step_seconds ?? 1, legend.shown()));
  return (
    <section class="panel value-panel" aria-labelledby="value-title">
      <div class="panel-head">
        <h2 id="value-title">Values</h2>
        <Show when={props.type}>{(type) => <b class="type-chip">{type()}</b>}</Show>
      </div>
      <div class="chart-box tall">
        <Show
          when={hasValues() && shown()}
          fallback={
            <ChartWait>
              {history.failure()?.message ?? (shown() ? "This type carries no numbers" : "Loading history")}
            </ChartWait>
          }
        >
          {(data) => (
            <Suspense fallback={<ChartWait />}>
              <LinesChart
                {...drawn()}
                unit={quantileUnit(unitOf(props.type ?? ""))}
                zeroBased={false}
                highlighted={legend.hovered()}
                marks={props.marks}
                {...fittedRange(data(), props.range.own())}
                label={`Median, 95th and 99th percentile of the values of ${props.type ?? "no type"} over time`}
                onZoom={(from, to) => props.range.zoom(from * 1000, to * 1000)}
                onReset={() => props.range.reset()}
              />
            </Suspense>
          )}
        </Show>
      </div>
      <Legend
        label="Quantiles"
        state={legend}
        items={quantileLines.toReversed().map(({ figure, slot, dash }) => ({ name: figure, slot, dash }))}
      />
    </section>
  );
}
