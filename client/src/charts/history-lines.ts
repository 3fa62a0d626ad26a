import type { HistoryPoint } from "../../../contract/read.ts";
import { withGaps } from "./history-steps.ts";
import type { Line, LinesChartProps } from "./lines-chart.tsx";
import { quantileLines } from "./palette.ts";

type Figure = "p50" | "p95" | "p99" | "avg" | "min" | "max";

function columnsOf(points: readonly HistoryPoint[], stepSeconds: number, figures: readonly Figure[]) {
  const steps = withGaps(points, stepSeconds);
  return [
    steps.map(({ timeMs }) => timeMs / 1000),
    ...figures.map((figure) => steps.map(({ point }) => point?.[figure] ?? null)),
  ];
}

type Drawn = Pick<LinesChartProps, "lines" | "columns" | "band">;

/** The median with its upper quantiles, of those that are `shown`. */
export function quantileChart(points: readonly HistoryPoint[], stepSeconds: number, shown: readonly string[]): Drawn {
  const lines = quantileLines.filter(({ figure }) => shown.includes(figure));
  const at = (figure: string): number => lines.findIndex((line) => line.figure === figure);
  return {
    columns: columnsOf(
      points,
      stepSeconds,
      lines.map(({ figure }) => figure),
    ),
    lines: lines.map(
      ({ figure, slot, dash }): Line => ({ name: figure, slot, ...(dash.length > 0 ? { dash } : { width: 2 }) }),
    ),
    ...(at("p50") >= 0 && at("p99") >= 0 ? { band: { from: at("p50"), to: at("p99"), slot: 0 } } : {}),
  };
}

const rangeLines: readonly Line[] = [
  { name: "Max", slot: 0, width: 0.75 },
  { name: "Average", slot: 0, width: 1.75 },
  { name: "Min", slot: 0, width: 0.75 },
];

/** The average between the smallest and the largest value of each step. */
export function rangeChart(points: readonly HistoryPoint[], stepSeconds: number): Required<Drawn> {
  return {
    columns: columnsOf(points, stepSeconds, ["max", "avg", "min"]),
    lines: rangeLines,
    band: { from: 2, to: 0, slot: 0 },
  };
}
