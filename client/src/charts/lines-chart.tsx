import { createEffect, createMemo, type JSX, on, onCleanup } from "solid-js";
import { useApp } from "../app/context.tsx";
import type { Unit } from "../ui/units.ts";
import type { AlertMark } from "./alert-marks.ts";
import { chartInk } from "./ink.ts";
import { seriesColor } from "./palette.ts";
import { type Band, makeTimeChart, type TimeChart, type TimeSpan } from "./time-chart.ts";

/** One line: its colour by slot, so that the theme decides the colour. */
export interface Line {
  name: string;
  slot: number;
  dash?: readonly number[];
  width?: number;
}

export interface LinesChartProps {
  lines: readonly Line[];
  /** Times in epoch seconds, then a column for each line; null is a gap. */
  columns: (number | null)[][];
  fromSecond: number;
  toSecond: number;
  unit: Unit;
  zeroBased: boolean;
  /** Filled between two lines, in the colour of a slot. */
  band?: { from: number; to: number; slot: number };
  spans?: readonly TimeSpan[];
  marks?: readonly AlertMark[];
  highlighted?: string | undefined;
  small?: boolean;
  /** What it shows, for who cannot see it. */
  label: string;
  onZoom?(fromSecond: number, toSecond: number): void;
  onReset?(): void;
  onCursor?(column: number | null): void;
}

/** Lines over time. All charts of a page share their crosshair; a drag zooms, a double click goes back. */
export default function LinesChart(props: LinesChartProps): JSX.Element {
  const { preferences } = useApp();
  let host!: HTMLDivElement;
  let chart: TimeChart | undefined;

  const setLines = (): void => {
    const dark = preferences.dark();
    const band = props.band;
    chart?.setSeries(
      props.lines.map(({ name, slot, dash, width }) => ({
        label: name,
        color: seriesColor(slot, dark),
        ...(dash ? { dash } : {}),
        ...(width === undefined ? {} : { width }),
      })),
      band && ({ from: band.from, to: band.to, color: `${seriesColor(band.slot, dark)}22` } satisfies Band),
    );
  };
  const draw = (): void => chart?.setData(props.columns, props.fromSecond, props.toSecond);

  // Of props that are spread from the data, each look depends on the data: a chart that is made anew loses its tooltip.
  const unit = createMemo(() => props.unit);
  const zeroBased = createMemo(() => props.zeroBased);
  createEffect(
    on([preferences.dark, preferences.zone, unit, zeroBased], ([, zone, { format, formatAxis }, isZeroBased]) => {
      chart?.stop();
      chart = makeTimeChart(host, {
        zone,
        zeroBased: isZeroBased,
        formatY: format,
        formatAxis,
        ink: chartInk(host),
        group: "page",
        ...(props.small ? { small: true } : {}),
        ...(props.onZoom ? { onZoom: props.onZoom } : {}),
        ...(props.onReset ? { onReset: props.onReset } : {}),
        ...(props.onCursor ? { onCursor: props.onCursor } : {}),
      });
      setLines();
      draw();
      chart.setSpans(props.spans ?? []);
      chart.setMarks(props.marks ?? []);
    }),
  );
  createEffect(
    on(
      () => props.lines,
      () => {
        setLines();
        draw();
      },
      { defer: true },
    ),
  );
  createEffect(on([() => props.columns, () => props.fromSecond, () => props.toSecond], draw, { defer: true }));
  createEffect(
    on(
      () => props.spans,
      (spans) => chart?.setSpans(spans ?? []),
      { defer: true },
    ),
  );
  createEffect(
    on(
      () => props.marks,
      (marks) => chart?.setMarks(marks ?? []),
      { defer: true },
    ),
  );
  createEffect(
    on(
      () => props.highlighted,
      (name) => chart?.highlight(name),
      { defer: true },
    ),
  );
  onCleanup(() => chart?.stop());

  return (
    <div class="chart" role="img" aria-label={props.label} data-alerts={props.marks?.length || undefined}>
      <div class="chart-host" ref={host} />
    </div>
  );
}
