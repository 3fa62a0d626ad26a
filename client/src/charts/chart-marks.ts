import type uPlot from "uplot";
import type { Severity } from "../../../contract/alerts.ts";
import { type AlertMark, mergedMarks, severityOrder } from "./alert-marks.ts";
import type { TipNote } from "./chart-tip.ts";

type SeverityColors = Readonly<Record<Severity, string>>;

/** CSS pixels: along the top while an alert fires. */
const stripHeight = 4;
const notesMax = 3;

/** Over the lines: a strip along the top for the time in which alerts fired, and a line down from where each began. */
export function markPlugin(colors: SeverityColors, marks: () => readonly AlertMark[]): uPlot.Plugin {
  return {
    hooks: {
      draw: [
        (chart) => {
          const shown = marks();
          if (shown.length === 0) return;
          chart.ctx.save();
          for (const mark of mergedMarks(shown)) {
            chart.ctx.fillStyle = colors[mark.severity];
            drawMark(chart, mark);
          }
          chart.ctx.restore();
        },
      ],
    },
  };
}

function drawMark(chart: uPlot, { fromSecond, toSecond }: Omit<AlertMark, "text">): void {
  const { left, top, width, height } = chart.bbox;
  const scale = devicePixelRatio;
  const place = (second: number): number =>
    Number.isFinite(second) ? chart.valToPos(second, "x", true) : second < 0 ? left : left + width;
  const [start, end] = [place(fromSecond), place(toSecond)];
  if (end < left || start > left + width) return;
  const from = Math.max(left, start);
  chart.ctx.fillRect(from, top, Math.max(2 * scale, Math.min(left + width, end) - from), stripHeight * scale);
  if (start < left) return;
  for (let y = top; y < top + height; y += 6 * scale) {
    chart.ctx.fillRect(Math.round(start), y, Math.max(1, scale), Math.min(3 * scale, top + height - y));
  }
}

/** What fired at a moment, worst first, for the tooltip. */
export function notesAt(marks: readonly AlertMark[], second: number, colors: SeverityColors): TipNote[] {
  const there = marks.filter((mark) => mark.fromSecond <= second && second <= mark.toSecond);
  there.sort((a, b) => severityOrder.indexOf(b.severity) - severityOrder.indexOf(a.severity));
  const notes = there.slice(0, notesMax).map(({ severity, text }) => ({ color: colors[severity], text }));
  const more = there.length - notes.length;
  return more > 0
    ? [...notes, { color: "transparent", text: `and ${more} more ${more === 1 ? "alert" : "alerts"}` }]
    : notes;
}
