import { createEffect, type JSX, on, onCleanup, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import type { AlertMark } from "../../charts/alert-marks.ts";
import { chartInk } from "../../charts/ink.ts";
import type { Unit } from "../../ui/units.ts";
import {
  type BrushChart,
  type ExploreChart,
  type ExploreSeries,
  makeBrushChart,
  makeExploreChart,
} from "./explore-chart.ts";

export interface ExploreChartsProps {
  /** There is an answer. Before it nothing is drawn: an empty chart first would cost a whole second drawing. */
  known: boolean;
  series: ExploreSeries[];
  /** The y axis starts at zero; otherwise it fits the values. */
  zeroBased: boolean;
  fromMs: number;
  toMs: number;
  unit: Unit;
  /** Undefined while the surroundings are not known yet; `none`: another chart of the page has the brush. */
  brush: { points: { x: number; y: number | null }[]; fromMs: number; toMs: number } | undefined | "none";
  label: string;
  marks: readonly AlertMark[];
  onZoom(fromMs: number, toMs: number): void;
  onReady(png: () => Promise<string>): void;
}

/** The history chart and its brush; all of ApexCharts comes with this module and no other. */
export default function ExploreCharts(props: ExploreChartsProps): JSX.Element {
  const { preferences } = useApp();
  let host!: HTMLDivElement;
  let brushHost: HTMLDivElement | undefined;
  let chart: ExploreChart | undefined;
  let brush: BrushChart | undefined;
  const stop = (): void => {
    chart?.stop();
    brush?.stop();
  };
  const draw = (): void => {
    if (!props.known) return;
    const { fromMs, toMs, zeroBased, marks } = props;
    chart?.draw(props.series, { fromMs, toMs, zeroBased, marks });
  };
  const drawBrush = (): void => {
    if (props.brush && props.brush !== "none")
      brush?.draw(props.brush.points, { fromMs: props.fromMs, toMs: props.toMs }, props.brush);
  };
  createEffect(
    on([preferences.dark, preferences.zone, () => props.unit.key], ([dark, zone]) => {
      stop();
      const spec = {
        dark,
        zone,
        ink: chartInk(host),
        unit: props.unit,
        onZoom: (from: number, to: number) => props.onZoom(from, to),
      };
      chart = makeExploreChart(host, spec);
      brush = brushHost && makeBrushChart(brushHost, spec);
      draw();
      drawBrush();
      const current = chart;
      props.onReady(() => current.png());
    }),
  );
  createEffect(on([() => props.series, () => props.marks], draw, { defer: true }));
  createEffect(on(() => props.brush, drawBrush, { defer: true }));
  onCleanup(stop);
  return (
    <>
      <div class="chart explore-main" role="img" aria-label={props.label} data-alerts={props.marks.length || undefined}>
        <div class="apex-host" ref={host} />
      </div>
      <Show when={props.brush !== "none"}>
        <div class="explore-brush">
          <div class="apex-host" ref={(element) => (brushHost = element)} aria-hidden="true" />
        </div>
      </Show>
    </>
  );
}
