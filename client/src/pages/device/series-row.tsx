import { createMemo, createSignal, type JSX, lazy, Show, Suspense } from "solid-js";
import { rangeChart } from "../../charts/history-lines.ts";
import type { DeviceData } from "./device-data.ts";

const LinesChart = lazy(() => import("../../charts/lines-chart.tsx"));

/** One series with numbers: its last value, its smallest and largest of the range, and its line. */
export function SeriesRow(props: {
  type: string;
  data: DeviceData;
  tall: boolean;
  onToggle(): void;
  onZoom(fromSecond: number, toSecond: number): void;
  onReset(): void;
}): JSX.Element {
  const [cursor, setCursor] = createSignal<number | null>(null);
  const unit = createMemo(() => props.data.unitOf(props.type));
  const series = createMemo(() => props.data.history.data()?.series.find((each) => each.event_type === props.type));
  const drawn = createMemo(() => rangeChart(series()?.points ?? [], props.data.history.data()?.step_seconds ?? 1));
  const extremes = createMemo(() => {
    const points = series()?.points ?? [];
    return {
      min: smallest(points.map((point) => point.min)),
      max: smallest(points.map((point) => (point.max === null ? null : -point.max))),
    };
  });
  const hasNumbers = createMemo(() => series()?.points.some((point) => point.avg !== null) ?? false);
  /** Under the crosshair, wherever on the page it is; else the newest. */
  const value = (): number | null => {
    const at = cursor();
    return at === null ? (props.data.typeOf(props.type)?.last_value_float ?? null) : (drawn().columns[2]?.[at] ?? null);
  };
  return (
    <div class="series-row" classList={{ tall: props.tall }}>
      <button type="button" class="series-name" aria-expanded={props.tall} title={props.type} onClick={props.onToggle}>
        {props.type}
      </button>
      <div class="series-chart">
        <Show
          when={hasNumbers()}
          fallback={
            <div class="chart-wait">
              {props.data.history.failure()?.message ?? (series() ? "No numbers in this range" : "Loading history")}
            </div>
          }
        >
          <Suspense fallback={<div class="chart-wait">Loading history</div>}>
            <LinesChart
              {...drawn()}
              {...props.data.bounds()}
              unit={unit()}
              zeroBased={false}
              small={!props.tall}
              spans={props.data.silent()}
              marks={props.data.alerts()}
              label={`${props.type} over time: average between smallest and largest`}
              onZoom={props.onZoom}
              onReset={props.onReset}
              onCursor={setCursor}
            />
          </Suspense>
        </Show>
      </div>
      <dl class="series-values">
        <div data-cursor={cursor() === null ? undefined : ""}>
          <dt>{cursor() === null ? "Last" : "Here"}</dt>
          <dd>{unit().format(value())}</dd>
        </div>
        <div>
          <dt>Min</dt>
          <dd>{unit().format(extremes().min)}</dd>
        </div>
        <div>
          <dt>Max</dt>
          <dd>{unit().format(extremes().max === null ? null : -(extremes().max ?? 0))}</dd>
        </div>
      </dl>
    </div>
  );
}

function smallest(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>(
    (least, value) => (value === null ? least : least === null ? value : Math.min(least, value)),
    null,
  );
}
