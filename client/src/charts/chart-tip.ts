import type uPlot from "uplot";
import { formatTime, type TimeZone } from "../ui/format.ts";

/** A row of the tooltip: one series at the cursor. */
export interface TipSeries {
  label: string;
  color: string;
  quiet?: boolean;
}

/** A line under the values. */
export interface TipNote {
  color: string;
  text: string;
}

interface TipSpec {
  /** In the order of the chart's data, without its first column. */
  series(): readonly TipSeries[];
  zone: TimeZone;
  formatY(value: number): string;
  /** What else there is to say of this moment. */
  notes(second: number): readonly TipNote[];
}

/** More would not fit; the legend has them all. */
const rowsMax = 10;

/** The values under the cursor, beside it. Charts that only follow another one's cursor show no tooltip. */
export function tipPlugin(spec: TipSpec): uPlot.Plugin {
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.hidden = true;
  return {
    hooks: {
      ready: [(chart) => chart.over.append(tip)],
      setCursor: [(chart) => showTip(chart, tip, spec)],
    },
  };
}

function showTip(chart: uPlot, tip: HTMLElement, spec: TipSpec): void {
  const { idx, left, event } = chart.cursor;
  const second = idx === null || idx === undefined ? undefined : chart.data[0][idx];
  if (second === undefined || left === undefined || left < 0 || !event) {
    tip.hidden = true;
    return;
  }
  const rows = spec
    .series()
    .map((series, index) => ({ series, value: chart.data[index + 1]?.[idx!] ?? null }))
    .filter(({ series }) => series.quiet !== true)
    .sort((a, b) => (b.value ?? Number.NEGATIVE_INFINITY) - (a.value ?? Number.NEGATIVE_INFINITY))
    .slice(0, rowsMax);
  const time = document.createElement("div");
  time.className = "chart-tip-time";
  time.textContent = formatTime(second * 1000, spec.zone, "full");
  tip.replaceChildren(
    time,
    ...rows.map(({ series, value }) => tipRow(series, value, spec)),
    ...spec.notes(second).map(tipNote),
  );
  tip.hidden = false;
  const { clientWidth: width } = chart.over;
  const space = 14;
  const at = left + space + tip.offsetWidth > width ? left - space - tip.offsetWidth : left + space;
  tip.style.transform = `translate(${Math.max(0, Math.round(at))}px, 4px)`;
}

function tipNote({ color, text }: TipNote): HTMLElement {
  const row = document.createElement("div");
  row.className = "chart-tip-row chart-tip-note";
  const mark = document.createElement("i");
  mark.style.background = color;
  const words = document.createElement("span");
  words.textContent = text;
  row.append(mark, words);
  return row;
}

function tipRow(series: TipSeries, value: number | null, spec: TipSpec): HTMLElement {
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
}
