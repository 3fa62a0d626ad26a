/** The report as one page: no script, no request, charts as SVG. */
import { renderPlots } from "./curves.ts";
import { findNoise, formatMetric, ratioTo } from "./report.ts";
import type { CaseResult, ContestantResult, Report } from "./result.ts";

const style = `
:root { color-scheme: light dark; --bar: #7a8ca3; --own: #1677c7; --bad: #c2410c; --good: #15803d; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2.5rem 0 .25rem; } p { margin: .25rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .75rem 0; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; max-width: 7.5rem; } td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.bad { color: var(--bad); } .good { color: var(--good); }
.scroll { overflow-x: auto; } svg { width: 100%; height: auto; display: block; } svg text { fill: currentColor; font-size: 13px; }`;

export function renderHtml(report: Report): string {
  const facts = Object.entries({ ...report.machine, ...report.versions }).map(
    ([name, value]) => `<tr><td>${escapeText(name)}</td><td>${escapeText(value)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sluice bench</title>
<style>${style}</style></head><body>
<h1>Sluice bench</h1>
<p>${escapeText(report.startedAt)}, commit ${escapeText(report.commit)}, <code>${escapeText(report.command)}</code></p>
${report.cases.map(renderCase).join("\n")}
<h2>Machine and versions</h2><div class="scroll"><table>${facts.join("")}</table></div>
<p>What these figures mean and what they cannot show: bench/README.md.</p>
</body></html>
`;
}

function renderCase(result: CaseResult): string {
  const metric = result.headline[0]!;
  const measured = result.contestants.filter(({ status }) => status === "ok");
  return `<h2>${escapeText(result.name)}</h2><p>${escapeText(result.title)}; medians of ${result.repeat} runs</p>
${renderBars(measured, metric, result.contestants[0]?.name ?? "")}
<div class="scroll">${renderTable(result, measured)}</div>${renderPlots(measured)}
${result.contestants.map(renderAbsent).join("")}${findNoise(result).map(renderWarning).join("")}
<ul>${result.goals.map(renderGoal).join("")}</ul>`;
}

function renderGoal({ text, value, reached }: CaseResult["goals"][number]): string {
  const verdict = reached === null ? (value === null ? "not measured" : "") : reached ? "reached" : "not reached";
  const tone = reached === null ? "" : reached ? "good" : "bad";
  return `<li>${escapeText(text)}: ${value === null ? "–" : value.toFixed(3)} <span class="${tone}">${verdict}</span></li>`;
}

function renderAbsent({ name, status, why }: ContestantResult): string {
  if (status === "ok") return "";
  const what = status === "failed" ? `FAILED: ${why}` : `missing: install ${why}`;
  return `<p class="bad">${escapeText(name)}: ${escapeText(what)}</p>`;
}

const renderWarning = (text: string): string => `<p class="bad">${escapeText(text)}</p>`;

function renderTable(result: CaseResult, measured: readonly ContestantResult[]): string {
  const heads = [
    "",
    ...result.headline.map((metric) => metric.replaceAll("_", " ")),
    `${result.contestants[0]?.name ?? ""} ÷ it`,
  ];
  const rows = measured.map((contestant) => {
    const ratio = contestant === result.contestants[0] ? null : ratioTo(result, contestant);
    const cells = result.headline.map((metric) => formatMetric(metric, contestant.medians[metric] ?? Number.NaN));
    return [contestant.name, ...cells, ratio === null ? "" : `${ratio.toFixed(2)} ×`];
  });
  const line = (cells: string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeText(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>${line(heads, "th")}${rows.map((row) => line(row, "td")).join("")}</table>`;
}

/** A bar for the median, a dot for each run. */
function renderBars(measured: readonly ContestantResult[], metric: string, own: string): string {
  const values = measured.map((contestant) => contestant.runs.map(({ metrics }) => metrics[metric] ?? 0));
  const largest = Math.max(0, ...values.flat());
  if (largest <= 0) return "";
  const [labelWidth, barWidth, rowHeight] = [150, 560, 30];
  const x = (value: number) => labelWidth + (Math.max(0, value) / largest) * barWidth;
  const bars = measured.map((contestant, index) => {
    const y = index * rowHeight;
    const middle = contestant.medians[metric] ?? 0;
    const dots = values[index]!.map(
      (value) => `<circle cx="${x(value).toFixed(1)}" cy="${y + 14}" r="3" fill="currentColor"/>`,
    );
    return `<text x="${labelWidth - 8}" y="${y + 19}" text-anchor="end">${escapeText(contestant.name)}</text>
<rect x="${labelWidth}" y="${y + 4}" width="${(x(middle) - labelWidth).toFixed(1)}" height="20" fill="var(--${contestant.name === own ? "own" : "bar"})"/>
${dots.join("")}<text x="${labelWidth + barWidth + 12}" y="${y + 19}">${escapeText(formatMetric(metric, middle))}</text>`;
  });
  const title = `${metric} by contestant`;
  return `<svg viewBox="0 0 860 ${measured.length * rowHeight + 6}" role="img" aria-label="${escapeText(title)}"><title>${escapeText(title)}</title>${bars.join("")}</svg>`;
}

function escapeText(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replaceAll(/[&<>"]/g, (character) => entities[character]!);
}
