/** Results as text and as a comparison of two of them. The page is in html.ts. */
import type { CaseResult, ContestantResult, Report } from "./result.ts";
import { spread } from "./stats.ts";

/** The unit is the end of the name. */
export function formatMetric(name: string, value: number): string {
  if (Number.isNaN(value)) return "–";
  if (/bytes/.test(name)) return `${formatBytes(value)}${/per_second$/.test(name) ? "/s" : ""}`;
  if (name.endsWith("_ms")) return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
  if (name.endsWith("_seconds") || name.startsWith("cpu_seconds")) return `${value.toFixed(2)} s`;
  if (name.endsWith("_cores")) return value.toFixed(2);
  return formatCount(value);
}

function formatCount(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

function formatBytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let scaled = value;
  let unit = 0;
  for (; Math.abs(scaled) >= 1024 && unit < units.length - 1; unit++) scaled /= 1024;
  return `${scaled.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "),
    )
    .join("\n");
}

/** The first contestant's headline figure divided by each other's: how the table gives ratios. */
export function ratioTo(result: CaseResult, other: ContestantResult): number | null {
  const metric = result.headline[0]!;
  const own = result.contestants[0]?.medians[metric];
  const theirs = other.medians[metric];
  return own === undefined || theirs === undefined || theirs === 0 ? null : own / theirs;
}

const noisyCores = 0.15;

/** Contestants during whose runs other programs had a part of the machine: their figures are too low. */
export function findNoise(result: CaseResult): string[] {
  return result.contestants.flatMap(({ name, runs }) => {
    const cores = Math.max(0, ...runs.map(({ metrics }) => metrics.others_cpu_cores ?? 0));
    return cores > noisyCores ? [`${name}: NOISY, other programs took up to ${cores.toFixed(2)} cores`] : [];
  });
}

export function formatCase(result: CaseResult): string {
  const first = result.contestants[0]?.name ?? "";
  const rows = [["", ...result.headline, `${first} ÷ it`, "spread"]];
  for (const contestant of result.contestants) {
    if (contestant.status !== "ok") continue;
    const ratio = ratioTo(result, contestant);
    const headline = contestant.runs.map(({ metrics }) => metrics[result.headline[0]!] ?? Number.NaN);
    rows.push([
      contestant.name,
      ...result.headline.map((metric) => formatMetric(metric, contestant.medians[metric] ?? Number.NaN)),
      contestant.name === first || ratio === null ? "" : `${ratio.toFixed(2)} ×`,
      `± ${(spread(headline) * 100).toFixed(0)} %`,
    ]);
  }
  const lines = [`${result.name}: ${result.title} (${result.repeat} × ${result.seconds || "–"} s, medians)`];
  if (rows.length > 1) lines.push(formatTable(rows));
  for (const { name, status, why } of result.contestants) {
    if (status === "failed") lines.push(`${name}: FAILED: ${why}`);
    if (status === "missing") lines.push(`${name}: missing, install ${why}`);
  }
  lines.push(...findNoise(result));
  for (const contestant of result.contestants) {
    const last = contestant.runs.at(-1);
    if (contestant.status !== "ok" || !last) continue;
    const used = last.processes.map(
      ({ name, cpuSeconds, peakRssBytes }) =>
        `${name} ${cpuSeconds.toFixed(1)} s CPU, ${formatBytes(peakRssBytes)} peak`,
    );
    lines.push(`  ${contestant.name}, last run: ${used.join("; ")}`);
  }
  for (const { text, value, reached } of result.goals) {
    const mark = reached === null ? (value === null ? "not measured" : "shown") : reached ? "reached" : "NOT REACHED";
    lines.push(`  ${mark.padEnd(12)} ${text}: ${value === null ? "–" : value.toFixed(value < 10 ? 3 : 0)}`);
  }
  return lines.join("\n");
}

export function formatReport(report: Report): string {
  const { cpu, cpus, kernel, load_before } = report.machine;
  const head = `${report.commit}, ${cpu}, ${cpus} CPUs, Linux ${kernel}, load before ${load_before}`;
  return [head, ...report.cases.map(formatCase)].join("\n\n");
}

/** Each figure of both, B over A, with the larger of the two spreads: a change inside it is noise. */
export function formatComparison(a: Report, b: Report): string {
  const rows = [["", "metric", "A", "B", "B ÷ A", "spread"]];
  for (const before of a.cases) {
    const after = b.cases.find(({ name }) => name === before.name);
    for (const contestant of before.contestants) {
      const other = after?.contestants.find(({ name }) => name === contestant.name);
      if (!other) continue;
      for (const metric of before.headline) {
        const [from, to] = [contestant.medians[metric], other.medians[metric]];
        if (from === undefined || to === undefined) continue;
        const noise = Math.max(
          ...[contestant, other].map(({ runs }) => spread(runs.map(({ metrics }) => metrics[metric] ?? Number.NaN))),
        );
        rows.push([
          `${before.name} ${contestant.name}`,
          metric,
          formatMetric(metric, from),
          formatMetric(metric, to),
          from === 0 ? "–" : `${(to / from).toFixed(2)} ×`,
          `± ${(noise * 100).toFixed(0)} %`,
        ]);
      }
    }
  }
  return [`A: ${a.commit}, ${a.startedAt}`, `B: ${b.commit}, ${b.startedAt}`, "", formatTable(rows)].join("\n");
}
