import ApexCharts, { type ApexOptions } from "apexcharts";
import "apexcharts/dist/apexcharts.css";
import { afterPaint } from "../../charts/after-paint.ts";
import { type AlertMark, mergedMarks } from "../../charts/alert-marks.ts";
import { dashes, seriesColor } from "../../charts/palette.ts";
import { formatTime, type TimeZone } from "../../ui/format.ts";
import type { Unit } from "../../ui/units.ts";

export interface ExploreSeries {
  name: string;
  slot: number;
  /** Drawn thin and pale. */
  previous: boolean;
  points: { x: number; y: number | null }[];
}

export interface ExploreChartSpec {
  dark: boolean;
  zone: TimeZone;
  ink: {
    text: string;
    grid: string;
    accent: string;
    surface: string;
    alerts: Readonly<Record<AlertMark["severity"], string>>;
  };
  unit: Unit;
  onZoom(fromMs: number, toMs: number): void;
}

export interface ExploreAxes {
  fromMs: number;
  toMs: number;
  zeroBased: boolean;
  marks: readonly AlertMark[];
}

export interface ExploreChart {
  draw(series: ExploreSeries[], axes: ExploreAxes): void;
  /** A PNG of the chart, as a data URL. */
  png(): Promise<string>;
  stop(): void;
}

/**
 * ApexCharts puts its style sheet into the page as an inline element unless one with this id is there; the content
 * security policy forbids inline styles, and ours comes as a file with this chunk.
 */
function claimStyles(): void {
  const id = "apexcharts-css";
  if (document.getElementById(id)) return;
  const mark = document.createElement("meta");
  mark.id = id;
  document.head.append(mark);
}

/**
 * Apex makes a chart's elements and puts them into the page in one go, and a phone answers no touch meanwhile. Here other
 * tasks come between, so that the longest is half as long: at a quarter of this machine's speed 240 and 100 instead of
 * 400 ms. `mount` is not in Apex's documentation; the version is fixed, being the last one under the MIT licence.
 */
function renderInPieces(chart: ApexCharts): Promise<void> {
  const pieces = chart as ApexCharts & { mount(made: unknown): Promise<unknown> };
  pieces.mount = async (made) => {
    // From here on the class's own again: an update is drawn at once.
    Reflect.deleteProperty(pieces, "mount");
    await afterPaint();
    return pieces.mount(made);
  };
  return chart.render();
}

/** Apex finds round times for its axis only with its own formats. */
function timeLabels(spec: ExploreChartSpec): object {
  return {
    style: { colors: spec.ink.text, fontSize: "11px" },
    datetimeUTC: spec.zone === "utc",
    datetimeFormatter: {
      year: "yyyy",
      month: "MMM yyyy",
      day: "d MMM",
      hour: "HH:mm",
      minute: "HH:mm",
      second: "HH:mm:ss",
    },
  };
}

export function makeExploreChart(host: HTMLElement, spec: ExploreChartSpec): ExploreChart {
  claimStyles();
  const zoom = (
    _: unknown,
    { xaxis }: { xaxis: { min: number; max: number } },
  ): { xaxis: { min: number; max: number } } => {
    const { min, max } = xaxis;
    // The URL changes and new data comes for the range; Apex's own zoom would only stretch the old.
    if (Number.isFinite(min) && Number.isFinite(max)) queueMicrotask(() => spec.onZoom(min, max));
    return { xaxis };
  };
  const base: ApexOptions = {
    chart: {
      type: "line",
      height: "100%",
      animations: { enabled: false },
      toolbar: { show: false },
      background: "transparent",
      fontFamily: "inherit",
      zoom: { enabled: true, type: "x", allowMouseWheelZoom: false },
      events: { beforeZoom: zoom },
    },
    theme: { mode: spec.dark ? "dark" : "light" },
    noData: { text: "" },
    legend: { show: false },
    grid: { borderColor: spec.ink.grid, padding: { left: 12, right: 12, top: 0, bottom: 0 } },
    dataLabels: { enabled: false },
    markers: { size: 0 },
    xaxis: {
      type: "datetime",
      axisBorder: { color: spec.ink.grid },
      axisTicks: { show: false },
      tooltip: { enabled: false },
      labels: timeLabels(spec),
    },
    yaxis: {
      labels: {
        style: { colors: spec.ink.text, fontSize: "11px" },
        formatter: (value: number) => spec.unit.formatAxis(value),
        minWidth: 44,
      },
    },
    tooltip: {
      shared: true,
      intersect: false,
      theme: spec.dark ? "dark" : "light",
      x: { formatter: (value: number) => formatTime(value, spec.zone, "full") },
      y: { formatter: (value: number) => spec.unit.format(value) },
    },
  };
  let chart: ApexCharts | undefined;
  let ready: Promise<void> = Promise.resolve();
  let stopped = false;
  let newest = 0;

  return {
    draw(series, { fromMs, toMs, zeroBased, marks }) {
      const own = ++newest;
      const shown: ApexOptions = {
        series: series.map(({ name, points }) => ({ name, data: points })),
        colors: series.map(({ slot, previous }) => seriesColor(slot, spec.dark) + (previous ? "99" : "")),
        stroke: {
          width: series.map(({ previous }) => (previous ? 1 : 2)),
          // Apex takes one length, for dash and gap alike.
          dashArray: series.map(({ slot }) => dashes[slot]?.[0] ?? 0),
          curve: "straight",
        },
        annotations: { xaxis: annotationsOf(marks, { fromMs, toMs }, spec) },
        // Undefined takes an earlier zero away again, which Apex's types do not know.
        yaxis: { ...base.yaxis, min: zeroBased ? 0 : undefined } as ApexYAxis,
      };
      ready = ready.then(async () => {
        // A drawing that waited while a newer one came would bring an older range back: a zoom undone.
        if (stopped || own !== newest) return;
        if (chart) {
          await chart.updateOptions({ ...shown, xaxis: { min: fromMs, max: toMs } }, false, false);
          return;
        }
        await afterPaint();
        if (stopped) return;
        // Made with its first data: an empty chart first would cost a whole second drawing.
        chart = new ApexCharts(host, { ...base, ...shown, xaxis: { ...base.xaxis, min: fromMs, max: toMs } });
        await renderInPieces(chart);
      });
    },
    async png() {
      await ready;
      const svg = host.querySelector("svg");
      if (!svg) throw new Error("the chart is not drawn yet");
      return drawPng(svg, spec.ink.surface, getComputedStyle(host).fontFamily);
    },
    stop() {
      stopped = true;
      void ready.then(() => chart?.destroy());
    },
  };
}

/** Each is elements of its own in the drawing. */
const annotationsMax = 30;

/** The newest of the times in which alerts fired: a shade, and a line where it began. */
function annotationsOf(
  marks: readonly AlertMark[],
  { fromMs, toMs }: { fromMs: number; toMs: number },
  { ink }: ExploreChartSpec,
): XAxisAnnotations[] {
  return mergedMarks(marks)
    .map((mark) => ({ ...mark, startMs: mark.fromSecond * 1000, endMs: mark.toSecond * 1000 }))
    .filter(({ startMs, endMs }) => endMs > fromMs && startMs < toMs)
    .slice(-annotationsMax)
    .map(({ startMs, endMs, severity }) => ({
      x: Math.max(fromMs, startMs),
      x2: Math.min(toMs, endMs),
      borderColor: ink.alerts[severity],
      fillColor: ink.alerts[severity],
      opacity: 0.12,
      strokeDashArray: 3,
    }));
}

/** Apex's own export writes inline styles into the page, which the content security policy forbids. */
async function drawPng(svg: SVGSVGElement, background: string, fontFamily: string): Promise<string> {
  const scale = 2;
  const { width, height } = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true) as SVGSVGElement;
  // HTML inside an image makes the canvas unreadable.
  for (const foreign of copy.querySelectorAll("foreignObject")) foreign.remove();
  copy.setAttribute("font-family", fontFamily);
  for (const text of copy.querySelectorAll("text")) text.setAttribute("font-family", fontFamily);
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no canvas");
  context.fillStyle = background;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
}

export interface BrushChart {
  draw(
    points: { x: number; y: number | null }[],
    selection: { fromMs: number; toMs: number },
    bounds: { fromMs: number; toMs: number },
  ): void;
  stop(): void;
}

/** A small picture of the surroundings with the shown range as a window on it, to be dragged. */
export function makeBrushChart(host: HTMLElement, spec: ExploreChartSpec): BrushChart {
  claimStyles();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let selected = { fromMs: 0, toMs: 0 };
  let spanMs = 3_600_000;
  const onSelection = (_: unknown, { xaxis }: { xaxis?: { min: number; max: number } }): void => {
    if (!xaxis) return;
    const { min, max } = xaxis;
    // Apex reports every pixel of a drag, and its own drawing of the selection as well.
    const moved = Math.abs(min - selected.fromMs) + Math.abs(max - selected.toMs);
    if (!(max > min) || moved < spanMs / 100) return;
    clearTimeout(timer);
    timer = setTimeout(() => spec.onZoom(min, max), 350);
  };
  const base: ApexOptions = {
    chart: {
      type: "area",
      height: "100%",
      animations: { enabled: false },
      toolbar: { show: false, autoSelected: "selection" },
      background: "transparent",
      fontFamily: "inherit",
      zoom: { enabled: false },
      selection: {
        enabled: true,
        type: "x",
        fill: { color: spec.ink.accent, opacity: 0.18 },
        stroke: { color: spec.ink.accent, width: 1, opacity: 0.9, dashArray: 0 },
      },
      events: { selection: onSelection, brushScrolled: onSelection },
    },
    theme: { mode: spec.dark ? "dark" : "light" },
    colors: [spec.ink.text],
    fill: { type: "solid", opacity: 0.15 },
    stroke: { width: 1, curve: "straight" },
    noData: { text: "" },
    legend: { show: false },
    grid: { show: false, padding: { left: 12, right: 12, top: -18, bottom: 0 } },
    dataLabels: { enabled: false },
    tooltip: { enabled: false },
    xaxis: {
      type: "datetime",
      axisBorder: { color: spec.ink.grid },
      axisTicks: { show: false },
      labels: timeLabels(spec),
    },
    yaxis: { show: true, min: 0, tickAmount: 1, labels: { minWidth: 44, formatter: () => "" } },
  };
  let chart: ApexCharts | undefined;
  let ready: Promise<void> = Promise.resolve();
  let stopped = false;
  return {
    draw(points, selection, bounds) {
      selected = selection;
      spanMs = bounds.toMs - bounds.fromMs;
      const series = [{ name: "events", data: points }];
      const selectionAxis = { min: selection.fromMs, max: selection.toMs };
      ready = ready.then(async () => {
        if (stopped) return;
        const xaxis = { min: bounds.fromMs, max: bounds.toMs };
        if (chart) {
          await chart.updateOptions({ series, xaxis, chart: { selection: { xaxis: selectionAxis } } }, false, false);
          return;
        }
        await afterPaint();
        if (stopped) return;
        chart = new ApexCharts(host, {
          ...base,
          series,
          xaxis: { ...base.xaxis, ...xaxis },
          chart: { ...base.chart, selection: { ...base.chart?.selection, xaxis: selectionAxis } },
        });
        await renderInPieces(chart);
      });
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      void ready.then(() => chart?.destroy());
    },
  };
}
