/** Curves within flat figures: `p99_ms@120000` is the value of `p99_ms` at an offered load of 120,000 events a second. */
import { formatMetric } from "./report.ts";
import type { ContestantResult, Metrics } from "./result.ts";

export const curvePoint = (metric: string, offered: number): string => `${metric}@${Math.round(offered)}`;

export interface Curve {
  readonly metric: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** By metric, each in the order of its x. */
export function curvesOf(metrics: Metrics): Curve[] {
  const points = new Map<string, [number, number][]>();
  for (const [name, value] of Object.entries(metrics)) {
    const [, metric, x] = /^(.+)@(\d+)$/.exec(name) ?? [];
    if (metric === undefined) continue;
    points.set(metric, [...(points.get(metric) ?? []), [Number(x), value]]);
  }
  return [...points].map(([metric, list]) => ({ metric, points: list.sort(([a], [b]) => a - b) }));
}

interface Plot {
  readonly title: string;
  readonly shows: (metric: string) => boolean;
  /** A decade has the same height everywhere. */
  readonly isLogarithmic?: boolean;
}

const plots: readonly Plot[] = [
  { title: "Acknowledged events a second", shows: (metric) => metric === "acknowledged_per_second" },
  {
    title: "Latency from when each request was due, ms",
    shows: (metric) => /^p\d+_ms$/.test(metric),
    isLogarithmic: true,
  },
  { title: "CPU by process, cores", shows: (metric) => metric.endsWith("cpu_cores") },
];

const [width, height, left, bottom, right, top] = [860, 260, 70, 34, 190, 12];
const strokes = ["#1677c7", "#c2410c", "#15803d", "#7c3aed", "#a16207", "#be185d"];

/** One plot under the other, every contestant in each; empty when there are no curves. */
export function renderPlots(contestants: readonly ContestantResult[]): string {
  const all = contestants.flatMap(({ name, medians }) =>
    curvesOf(medians).map((curve) => ({ ...curve, label: labelOf(name, curve.metric) })),
  );
  return plots
    .map((plot) => ({ plot, curves: all.filter(({ metric }) => plot.shows(metric)) }))
    .filter(({ curves }) => curves.length > 0)
    .map(({ plot, curves }) => renderPlot(plot, curves))
    .join("\n");
}

/** `sluice p99`, and of processes their own name. */
function labelOf(contestant: string, metric: string): string {
  if (metric.endsWith(" cpu_cores")) return metric.replace(" cpu_cores", "");
  if (!metric.endsWith("_ms")) return contestant;
  return `${contestant} ${metric.replace("_ms", "").replace("p999", "p99.9")}`;
}

function renderPlot(
  { title, isLogarithmic = false }: Plot,
  curves: readonly (Curve & { readonly label: string })[],
): string {
  const values = curves.flatMap(({ points }) => points.map(([, y]) => y));
  const xMax = Math.max(...curves.flatMap(({ points }) => points.map(([x]) => x)));
  const y = createScale(isLogarithmic, values);
  const atX = (x: number): number => left + (x / xMax) * (width - left - right);
  const lines = curves.map(({ label, points, metric }, index) => {
    const stroke = strokes[index % strokes.length];
    const path = points.map(([px, py]) => `${atX(px).toFixed(1)},${y.at(py).toFixed(1)}`).join(" ");
    const dots = points.map(
      ([px, py]) =>
        `<circle cx="${atX(px).toFixed(1)}" cy="${y.at(py).toFixed(1)}" r="3" fill="${stroke}"><title>${label}: ${formatMetric(metric, py)} at ${formatMetric("", px)} events/s</title></circle>`,
    );
    const legendY = top + 12 + index * 18;
    return `<polyline points="${path}" fill="none" stroke="${stroke}" stroke-width="2"/>${dots.join("")}
<rect x="${width - right + 16}" y="${legendY - 9}" width="10" height="10" fill="${stroke}"/><text x="${width - right + 32}" y="${legendY}">${label}</text>`;
  });
  const metric = curves[0]?.metric ?? "";
  const rules = y.ticks.map(
    (tick) =>
      `<line x1="${left}" x2="${width - right}" y1="${y.at(tick).toFixed(1)}" y2="${y.at(tick).toFixed(1)}" stroke="var(--line)"/>
<text x="${left - 8}" y="${(y.at(tick) + 4).toFixed(1)}" text-anchor="end">${formatMetric(metric, tick)}</text>`,
  );
  const marks = roundTicks(xMax).map(
    (tick) =>
      `<text x="${atX(tick).toFixed(1)}" y="${height - bottom + 20}" text-anchor="middle">${formatMetric("", tick)}</text>`,
  );
  return `<h3>${title}</h3><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title} against offered events a second">
<title>${title} against offered events a second</title>${rules.join("")}${marks.join("")}${lines.join("\n")}</svg>`;
}

/** From 0 up to the largest, in steps of 1, 2 or 5 of some decade: three to six of them. */
function roundTicks(largest: number): number[] {
  const decade = 10 ** Math.floor(Math.log10(largest / 2));
  const step = [1, 2, 5, 10].map((factor) => factor * decade).find((candidate) => largest / candidate < 6) ?? decade;
  return Array.from({ length: Math.floor(largest / step) + 1 }, (_, index) => index * step);
}

interface Scale {
  at(value: number): number;
  readonly ticks: readonly number[];
}

function createScale(isLogarithmic: boolean, values: readonly number[]): Scale {
  const span = height - bottom - top;
  const largest = Math.max(...values, Number.MIN_VALUE);
  if (!isLogarithmic) {
    const ticks = roundTicks(largest);
    return { at: (value) => height - bottom - (value / largest) * span, ticks };
  }
  const smallest = Math.min(...values.filter((value) => value > 0), largest);
  const [from, to] = [Math.floor(Math.log10(smallest)), Math.ceil(Math.log10(largest))];
  const decades = Math.max(1, to - from);
  const at = (value: number): number =>
    height - bottom - ((Math.log10(Math.max(value, 10 ** from)) - from) / decades) * span;
  return { at, ticks: Array.from({ length: decades + 1 }, (_, index) => 10 ** (from + index)) };
}
