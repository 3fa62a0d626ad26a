import { createEffect, type JSX, on, onCleanup } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { chartInk } from "../../charts/ink.ts";
import {
  type BrushChart,
  type ExploreChart,
  type ExploreSeries,
  makeBrushChart,
  makeExploreChart,
} from "./explore-chart.ts";

export interface ExploreChartsProps {
  series: ExploreSeries[];
  /** The y axis starts at zero; otherwise it fits the values. */
  zeroBased: boolean;
  fromMs: number;
  toMs: number;
  /** Undefined while the surroundings are not known yet. */
  brush: { points: { x: number; y: number | null }[]; fromMs: number; toMs: number } | undefined;
  label: string;
  onZoom(fromMs: number, toMs: number): void;
  onReady(png: () => Promise<string>): void;
}

/** The history chart and its brush; all of ApexCharts comes with this module and no other. */
export default function ExploreCharts(props: ExploreChartsProps): JSX.Element {
  const { preferences } = useApp();
  let host!: HTMLDivElement;
  let brushHost!: HTMLDivElement;
  let chart: ExploreChart | undefined;
  let brush: BrushChart | undefined;
  const stop = (): void => {
    chart?.stop();
    brush?.stop();
  };
  const draw = (): void => {
    if (props.series.length > 0) chart?.draw(props.series, props);
  };
  const drawBrush = (): void => {
    if (props.brush) brush?.draw(props.brush.points, { fromMs: props.fromMs, toMs: props.toMs }, props.brush);
  };
  createEffect(
    on([preferences.dark, preferences.zone], ([dark, zone]) => {
      stop();
      const spec = { dark, zone, ink: chartInk(host), onZoom: (from: number, to: number) => props.onZoom(from, to) };
      chart = makeExploreChart(host, spec);
      brush = makeBrushChart(brushHost, spec);
      draw();
      drawBrush();
      const current = chart;
      props.onReady(() => current.png());
    }),
  );
  createEffect(on(() => props.series, draw, { defer: true }));
  createEffect(on(() => props.brush, drawBrush, { defer: true }));
  onCleanup(stop);
  return (
    <>
      <div class="chart explore-main" role="img" aria-label={props.label}>
        <div class="apex-host" ref={host} />
      </div>
      <div class="explore-brush">
        <div class="apex-host" ref={brushHost} aria-hidden="true" />
      </div>
    </>
  );
}
