import { createEffect, type JSX, on, onCleanup } from "solid-js";
import type { HistoryPoint } from "../../../contract/read.ts";
import { useApp } from "../app/context.tsx";
import { formatCompact, formatValue } from "../ui/format.ts";
import { type PlotStep, withGaps } from "./history-steps.ts";
import { chartInk } from "./ink.ts";
import { quantileLines, seriesColor } from "./palette.ts";
import { makeTimeChart, type TimeChart, type TimeSeries } from "./time-chart.ts";

export type HistoryKind = "quantiles" | "range";
type Figure = "p50" | "p95" | "p99" | "avg" | "min" | "max";

const figuresOf: Record<HistoryKind, readonly Figure[]> = {
  quantiles: ["p99", "p95", "p50"],
  range: ["max", "avg", "min"],
};

function columnsOf(steps: readonly PlotStep[], figures: readonly Figure[]): (number | null)[][] {
  return [
    steps.map(({ timeMs }) => timeMs / 1000),
    ...figures.map((figure) => steps.map(({ point }) => point?.[figure] ?? null)),
  ];
}

/** One type's values over time: the median with its upper quantiles, or the average between smallest and largest. */
export default function HistoryChart(props: {
  kind: HistoryKind;
  points: readonly HistoryPoint[];
  stepSeconds: number;
  fromSecond: number;
  toSecond: number;
  label: string;
}): JSX.Element {
  const { preferences } = useApp();
  let host!: HTMLDivElement;
  let chart: TimeChart | undefined;

  const draw = (): void => {
    const columns = columnsOf(withGaps(props.points, props.stepSeconds), figuresOf[props.kind]);
    chart?.setData(columns, props.fromSecond, props.toSecond);
  };
  createEffect(
    on([preferences.dark, preferences.zone, () => props.kind], ([dark, zone, kind]) => {
      chart?.stop();
      const ink = chartInk(host);
      const series: TimeSeries[] =
        kind === "quantiles"
          ? quantileLines.map(({ figure, slot, dash }) => ({
              label: figure,
              color: seriesColor(slot, dark),
              dash,
              ...(dash.length === 0 ? { width: 2 } : {}),
            }))
          : [
              { label: "largest", color: seriesColor(0, dark), width: 0.75 },
              { label: "average", color: seriesColor(0, dark), width: 2 },
              { label: "smallest", color: seriesColor(0, dark), width: 0.75 },
            ];
      chart = makeTimeChart(host, {
        series,
        band: { from: 2, to: 0, color: `${seriesColor(0, dark)}22` },
        zone,
        zeroBased: false,
        formatY: (value) => (Math.abs(value) >= 10_000 ? formatCompact(value) : formatValue(value)),
        ink,
      });
      draw();
    }),
  );
  createEffect(on([() => props.points, () => props.fromSecond, () => props.toSecond], draw, { defer: true }));
  onCleanup(() => chart?.stop());

  return (
    <div class="chart" role="img" aria-label={props.label}>
      <div class="chart-host" ref={host} />
    </div>
  );
}
