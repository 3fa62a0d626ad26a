import "uplot/dist/uPlot.min.css";
import uPlot from "uplot";
import { formatTime, type TimeZone } from "../ui/format.ts";

export interface TimeSeries {
  label: string;
  color: string;
  dash?: readonly number[];
  /** Fills down to zero. */
  fill?: string;
  width?: number;
  /** Not in the tooltip: the edge of a band. */
  quiet?: boolean;
}

export interface TimeChartSpec {
  series: readonly TimeSeries[];
  /** Fills between two series (by index in `series`). */
  band?: { from: number; to: number; color: string };
  zone: TimeZone;
  /** The y axis starts at zero; otherwise it fits the values. */
  zeroBased: boolean;
  formatY(value: number): string;
  /** Axis, grid and text colours. */
  ink: { text: string; grid: string };
  /** Drag over the chart selects a range, in epoch seconds. */
  onSelect?: (fromSecond: number, toSecond: number) => void;
}

export interface TimeChart {
  /** x in epoch seconds; null is a gap. */
  setData(data: (number | null)[][], fromSecond: number, toSecond: number): void;
  /** CSS pixels, without asking the document for them. */
  width(): number;
  stop(): void;
}

/** A chart of values over time on `host`, which gives it its size. Charts of the same `group` share their cursor. */
export function makeTimeChart(host: HTMLElement, spec: TimeChartSpec): TimeChart {
  let from = 0;
  let to = 1;
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.hidden = true;
  const font = `11px ${getComputedStyle(host).fontFamily}`;
  const axis = { stroke: spec.ink.text, font, ticks: { show: false }, grid: { stroke: spec.ink.grid, width: 1 } };

  const options: uPlot.Options = {
    width: Math.max(1, host.clientWidth),
    height: Math.max(1, host.clientHeight),
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: spec.onSelect !== undefined, y: false, setScale: false },
      points: { size: 6 },
    },
    scales: {
      x: { time: true, range: () => [from, to] },
      y: { range: (_, min, max) => niceRange(min, max, spec.zeroBased) },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 28,
        space: 72,
        values: (_, splits) => {
          const span = to - from;
          const style = span > 2 * 86_400 ? "day" : span > 1_800 ? "minute" : "clock";
          return splits.map((second) => formatTime(second * 1000, spec.zone, style));
        },
      },
      { ...axis, size: 56, space: 36, values: (_, splits) => splits.map((value) => spec.formatY(value)) },
    ],
    series: [
      {},
      ...spec.series.map((series) => ({
        label: series.label,
        stroke: series.color,
        width: series.width ?? 1.5,
        // A round end makes a line of one step a dot; it would close the gaps of a dashed one.
        ...(series.dash && series.dash.length > 0 ? { dash: [...series.dash] } : { cap: "round" as const }),
        ...(series.fill ? { fill: series.fill } : {}),
        points: { show: false },
        spanGaps: false,
      })),
    ],
    ...(spec.band ? { bands: [{ series: [spec.band.to + 1, spec.band.from + 1], fill: spec.band.color }] } : {}),
    hooks: {
      setCursor: [(chart) => showTip(chart, tip, spec)],
      setSelect: [
        (chart) => {
          if (chart.select.width < 4) return;
          const start = chart.posToVal(chart.select.left, "x");
          const end = chart.posToVal(chart.select.left + chart.select.width, "x");
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          spec.onSelect?.(start, end);
        },
      ],
    },
  };

  const chart = new uPlot(options, [[], ...spec.series.map(() => [])], host);
  chart.over.append(tip);
  const observer = new ResizeObserver(() => {
    const { clientWidth: width, clientHeight: height } = host;
    if (width > 0 && height > 0 && (width !== chart.width || height !== chart.height)) chart.setSize({ width, height });
  });
  observer.observe(host);

  return {
    setData(data, fromSecond, toSecond) {
      from = fromSecond;
      to = toSecond;
      chart.setData(data as uPlot.AlignedData);
    },
    width: () => chart.width,
    stop() {
      observer.disconnect();
      chart.destroy();
    },
  };
}

/** A top that people can read, and that does not move with every tick: 1, 1.5, 2, 3, 4, 5, 6, 8 of its power of ten. */
function niceRange(min: number | null, max: number | null, zeroBased: boolean): [number, number] {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  if (!zeroBased) {
    const room = (max - min) * 0.08 || Math.abs(max) * 0.05 || 1;
    return [min - room, max + room];
  }
  const low = Math.min(0, min);
  if (max <= 0) return [low < 0 ? -niceAbove(-low) : 0, low < 0 ? 0 : 1];
  return [low < 0 ? -niceAbove(-low) : 0, niceAbove(max * 1.04)];
}

function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((each) => each * power >= value) ?? 10;
  return step * power;
}

const tipRowsMax = 10;

function showTip(chart: uPlot, tip: HTMLElement, spec: TimeChartSpec): void {
  const { idx, left } = chart.cursor;
  if (idx === null || idx === undefined || left === undefined || left < 0) {
    tip.hidden = true;
    return;
  }
  const second = chart.data[0][idx];
  if (second === undefined) {
    tip.hidden = true;
    return;
  }
  const rows = spec.series
    .map((series, index) => ({ series, value: chart.data[index + 1]?.[idx] ?? null }))
    .filter(({ series }) => !series.quiet)
    .sort((a, b) => (b.value ?? Number.NEGATIVE_INFINITY) - (a.value ?? Number.NEGATIVE_INFINITY))
    .slice(0, tipRowsMax);
  const time = document.createElement("div");
  time.className = "chart-tip-time";
  time.textContent = formatTime(second * 1000, spec.zone, "full");
  tip.replaceChildren(
    time,
    ...rows.map(({ series, value }) => {
      const row = document.createElement("div");
      row.className = "chart-tip-row";
      const mark = document.createElement("i");
      mark.style.background = series.color;
      const name = document.createElement("span");
      name.textContent = series.label;
      const text = document.createElement("b");
      text.textContent = value === null ? "no data" : spec.formatY(value);
      row.append(mark, name, text);
      return row;
    }),
  );
  tip.hidden = false;
  const { clientWidth: width } = chart.over;
  const space = 14;
  const at = left + space + tip.offsetWidth > width ? left - space - tip.offsetWidth : left + space;
  tip.style.transform = `translate(${Math.max(0, Math.round(at))}px, 4px)`;
}
