import { createMemo, type JSX, Show } from "solid-js";
import type { History } from "../../../../contract/read.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import type { TimeRangeState } from "../../app/time-range-state.ts";
import type { AlertMark } from "../../charts/alert-marks.ts";
import { askHistory, refreshMs } from "../../charts/ask-history.ts";
import { fittedRange } from "../../charts/fitted-range.ts";
import { withSilence } from "../../charts/history-steps.ts";
import LinesChart from "../../charts/lines-chart.tsx";
import { dashes, seriesMax } from "../../charts/palette.ts";
import { plainUnit } from "../../ui/units.ts";
import { restName } from "./rate-columns.ts";

/** Rates of the types that are shown, in columns over the same steps. Types that are stored and have no line are left out. */
function rateColumns(history: History, shown: readonly string[]): (number | null)[][] {
  const step = history.step_seconds;
  const fromMs = Date.parse(history.from);
  const toMs = Date.parse(history.complete_to ?? history.to);
  const perType = new Map(
    history.series.map((each) => [
      each.event_type,
      withSilence(each.points, step, fromMs, toMs).map((point) => point.count / step),
    ]),
  );
  const seconds = withSilence([], step, fromMs, toMs).map((point) => Date.parse(point.time) / 1000);
  return [seconds, ...shown.map((name) => perType.get(name) ?? seconds.map(() => null))];
}

/** As the stream's rates: in a step of a second, a device that reports every ten is a comb. */
const stepMinSeconds = 10;

/** Events per second by type over any range, for any part of the fleet. */
export default function StoredRateChart(props: {
  range: TimeRangeState;
  filter: FleetFilter;
  slots: ReadonlyMap<string, number>;
  shown: readonly string[];
  highlighted: string | undefined;
  label: string;
  marks: readonly AlertMark[];
  onZoom(fromSecond: number, toSecond: number): void;
  onReset(): void;
}): JSX.Element {
  const { api } = useApp();
  const source = createMemo(() => ({ spec: props.range.spec(), meta: props.filter.query() }));
  const history = createQuery(
    source,
    ({ meta }, signal) =>
      askHistory(api, props.range.bounds(), { ...meta, limit: String(seriesMax) }, signal, stepMinSeconds),
    { everyMs: () => (props.range.moving() ? refreshMs(props.range.spanMs()) : undefined) },
  );
  const shown = createMemo(() => props.shown.filter((name) => name !== restName));
  const lines = createMemo(() =>
    shown().map((name) => {
      const slot = props.slots.get(name) ?? -1;
      return { name, slot, dash: dashes[slot] ?? [] };
    }),
  );
  const columns = createMemo(() => {
    const data = history.data();
    return data ? rateColumns(data, shown()) : undefined;
  });
  return (
    <Show when={columns()} fallback={<div class="chart-wait">{history.failure()?.message ?? "Loading history"}</div>}>
      {(data) => (
        <LinesChart
          lines={lines()}
          columns={data()}
          {...fittedRange(history.data()!, props.range.own())}
          unit={plainUnit}
          zeroBased
          highlighted={props.highlighted}
          label={props.label}
          marks={props.marks}
          onZoom={props.onZoom}
          onReset={props.onReset}
        />
      )}
    </Show>
  );
}
