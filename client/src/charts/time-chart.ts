import "uplot/dist/uPlot.min.css";
import uPlot from "uplot";
import type { Severity } from "../../../contract/alerts.ts";
import { formatTime, type TimeZone } from "../ui/format.ts";
import type { AlertMark } from "./alert-marks.ts";
import { markPlugin, notesAt } from "./chart-marks.ts";
import { tipPlugin } from "./chart-tip.ts";
import { touchPlugin, type XRange } from "./chart-touch.ts";
import { niceRange } from "./nice-range.ts";

export interface TimeSeries {
  label: string;
  color: string;
  dash?: readonly number[];
  width?: number;
  /** Not in the tooltip: a threshold. */
  quiet?: boolean;
}

/** A stretch of time that is shaded, in epoch seconds: a silence, say. */
export interface TimeSpan {
  fromSecond: number;
  toSecond: number;
}

export interface TimeChartSpec {
  zone: TimeZone;
  /** The y axis starts at zero; otherwise it fits the values. */
  zeroBased: boolean;
  formatY(value: number): string;
  /** Of the y axis, if it is to be shorter. */
  formatAxis?(value: number): string;
  /** Axis, grid, text and shade colours. */
  ink: { text: string; grid: string; shade: string; alerts: Readonly<Record<Severity, string>> };
  /** Charts of the same group share their crosshair. */
  group?: string;
  /** A few pixels high, in a row with others: no time axis, two marks on the y axis, no tooltip. */
  small?: boolean;
  /** A drag over the chart, or fingers, chose a range, in epoch seconds. */
  onZoom?(fromSecond: number, toSecond: number): void;
  /** A double click. */
  onReset?(): void;
  /** The crosshair is at this column of the data, here or on a chart of the same group; null: it has left. */
  onCursor?(column: number | null): void;
}

/** Fills between two series, by index. */
export interface Band {
  from: number;
  to: number;
  color: string;
}

export interface TimeChart {
  /** Replaces the lines inside the chart: the pointer and its tooltip stay. Data must follow. */
  setSeries(series: readonly TimeSeries[], band?: Band): void;
  /** x in epoch seconds; null is a gap. */
  setData(data: (number | null)[][], fromSecond: number, toSecond: number): void;
  setSpans(spans: readonly TimeSpan[]): void;
  /** When alerts fired. */
  setMarks(marks: readonly AlertMark[]): void;
  /** Fades all lines but this one; undefined: none. */
  highlight(label: string | undefined): void;
  /** CSS pixels, without asking the document for them. */
  width(): number;
  stop(): void;
}

const fadedAlpha = 0.2;

/** A chart of values over time on `host`, which gives it its size. */
export function makeTimeChart(host: HTMLElement, spec: TimeChartSpec): TimeChart {
  let shown: XRange = { from: 0, to: 1 };
  let preview: XRange | undefined;
  let series: readonly TimeSeries[] = [];
  let spans: readonly TimeSpan[] = [];
  let marks: readonly AlertMark[] = [];
  const range = (): XRange => preview ?? shown;

  const touch = touchPlugin({
    shown: () => shown,
    preview(next) {
      preview = next;
      chart.setData(chart.data);
    },
    done: ({ from, to }) => spec.onZoom?.(from, to),
  });
  const chart: uPlot = new uPlot(
    {
      ...chartOptions(host, spec, range),
      plugins: [
        shadePlugin(spec.ink.shade, () => spans),
        markPlugin(spec.ink.alerts, () => marks),
        ...(spec.small
          ? []
          : [
              tipPlugin({
                series: () => series,
                zone: spec.zone,
                formatY: spec.formatY,
                notes: (second) => notesAt(marks, second, spec.ink.alerts),
              }),
            ]),
        ...(spec.onZoom ? [touch] : []),
      ],
    },
    [[]],
    host,
  );
  chart.over.addEventListener("dblclick", () => spec.onReset?.());
  const observer = new ResizeObserver(() => {
    const { clientWidth: width, clientHeight: height } = host;
    if (width > 0 && height > 0 && (width !== chart.width || height !== chart.height)) chart.setSize({ width, height });
  });
  observer.observe(host);

  return {
    setSeries(next, band) {
      series = next;
      // The lines change here and are drawn with the data that follows.
      for (let index = chart.series.length - 1; index > 0; index--) chart.delSeries(index);
      for (const [index, each] of next.entries()) chart.addSeries(lineOf(each), index + 1);
      chart.delBand(null);
      if (band) chart.addBand({ series: [band.to + 1, band.from + 1], fill: band.color });
    },
    setData(data, fromSecond, toSecond) {
      shown = { from: fromSecond, to: toSecond };
      chart.setData(data as uPlot.AlignedData);
    },
    setSpans(next) {
      spans = next;
      chart.redraw(false, false);
    },
    setMarks(next) {
      if (next.length === 0 && marks.length === 0) return;
      marks = next;
      chart.redraw(false, false);
    },
    highlight(label) {
      const at = label === undefined ? -1 : series.findIndex((each) => each.label === label);
      if (at < 0) chart.setSeries(null, { focus: false });
      else chart.setSeries(at + 1, { focus: true });
    },
    width: () => chart.width,
    stop() {
      observer.disconnect();
      chart.destroy();
    },
  };
}

function lineOf(series: TimeSeries): uPlot.Series {
  return {
    label: series.label,
    stroke: series.color,
    width: series.width ?? 1.5,
    // A round end makes a line of one step a dot; it would close the gaps of a dashed one.
    ...(series.dash && series.dash.length > 0 ? { dash: [...series.dash] } : { cap: "round" as const }),
    points: { show: false },
    spanGaps: false,
  };
}

function chartOptions(host: HTMLElement, spec: TimeChartSpec, range: () => XRange): uPlot.Options {
  return {
    width: Math.max(1, host.clientWidth),
    height: Math.max(1, host.clientHeight),
    padding: spec.small ? [6, 8, 6, 0] : [8, 20, 0, 0],
    legend: { show: false },
    focus: { alpha: fadedAlpha },
    cursor: {
      y: false,
      drag: { x: spec.onZoom !== undefined, y: false, setScale: false },
      points: { size: 6 },
      ...(spec.group === undefined ? {} : { sync: { key: spec.group, setSeries: false, scales: ["x", null] } }),
    },
    scales: {
      x: { time: true, range: () => [range().from, range().to] },
      y: { range: (_, min, max) => niceRange(min, max, spec.zeroBased) },
    },
    axes: chartAxes(host, spec, range),
    series: [{}],
    hooks: {
      setCursor: [(chart) => spec.onCursor?.((chart.cursor.left ?? -1) < 0 ? null : (chart.cursor.idx ?? null))],
      setSelect: [
        (chart) => {
          if (chart.select.width < 4) return;
          const start = chart.posToVal(chart.select.left, "x");
          const end = chart.posToVal(chart.select.left + chart.select.width, "x");
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          // A chart that follows another's drag is told of it too; the range is one for all.
          if (chart.cursor.event) spec.onZoom?.(start, end);
        },
      ],
    },
  };
}

function chartAxes(host: HTMLElement, spec: TimeChartSpec, range: () => XRange): uPlot.Axis[] {
  const font = `11px ${getComputedStyle(host).fontFamily}`;
  const axis = { stroke: spec.ink.text, font, ticks: { show: false }, grid: { stroke: spec.ink.grid, width: 1 } };
  const formatAxis = spec.formatAxis ?? spec.formatY;
  return [
    {
      ...axis,
      show: spec.small !== true,
      grid: { show: false },
      size: 28,
      space: 72,
      values: (_, splits) => {
        const { from, to } = range();
        const span = to - from;
        const style = span > 2 * 86_400 ? "day" : span > 1_800 ? "minute" : "clock";
        return splits.map((second) => formatTime(second * 1000, spec.zone, style));
      },
    },
    {
      ...axis,
      size: spec.small ? 64 : 60,
      space: spec.small ? 22 : 36,
      values: (_, splits) => splits.map((value) => formatAxis(value)),
    },
  ];
}

/** Under the lines: a silence is seen as a stretch of time, in every chart of the page alike. */
function shadePlugin(color: string, spans: () => readonly TimeSpan[]): uPlot.Plugin {
  return {
    hooks: {
      drawClear: [
        (chart) => {
          const { left, top, width, height } = chart.bbox;
          chart.ctx.save();
          chart.ctx.fillStyle = color;
          for (const { fromSecond, toSecond } of spans()) {
            const start = Math.max(left, chart.valToPos(fromSecond, "x", true));
            const end = Math.min(left + width, chart.valToPos(toSecond, "x", true));
            if (end > start) chart.ctx.fillRect(start, top, Math.max(1, end - start), height);
          }
          chart.ctx.restore();
        },
      ],
    },
  };
}
