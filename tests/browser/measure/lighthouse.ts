import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromiumPath } from "../harness.ts";
import { measuredPages, median } from "./pages.ts";

const categories = ["performance", "accessibility", "best-practices"] as const;

interface Report {
  categories: Record<string, { score: number | null; auditRefs: { id: string; weight: number }[] }>;
  audits: Record<string, { score: number | null; title: string }>;
}

/** Lighthouse as on a phone, every page: the median score of a few runs, and which audits cost points. */
export async function measureLighthouse(url: string, options: { directory: string; runs: number }): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "sluice-lighthouse-"));
  try {
    for (const path of Object.keys(measuredPages)) {
      const reports: Report[] = [];
      for (let run = 0; run < options.runs; run++) {
        reports.push(await audit(url + path, options.directory, join(scratch, "report.json")));
      }
      const scores = categories.map((name) => median(reports.map((each) => scoreOf(each, name))));
      const lost = reports[0] === undefined ? [] : lostPoints(reports[0]);
      console.log(`lighthouse ${path}: ${scores.join(" / ")}${lost.length > 0 ? ` (${lost.join("; ")})` : ""}`);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const scoreOf = ({ categories: all }: Report, name: string): number => Math.round((all[name]?.score ?? 0) * 100);

/** Accessibility and best practices have to be whole. */
function lostPoints(report: Report): string[] {
  return ["accessibility", "best-practices"].flatMap((name) =>
    (report.categories[name]?.auditRefs ?? [])
      .filter(({ id, weight }) => weight > 0 && report.audits[id]?.score === 0)
      .map(({ id }) => report.audits[id]?.title ?? id),
  );
}

async function audit(url: string, directory: string, file: string, attempts = 3): Promise<Report> {
  const lighthouse = Bun.spawn(
    [
      "node",
      join(directory, "node_modules/lighthouse/cli/index.js"),
      url,
      ...["--quiet", "--output=json", `--output-path=${file}`, `--only-categories=${categories.join(",")}`],
      // Without a window of a phone's size a headless Chromium may paint nothing.
      "--chrome-flags=--headless=new --no-sandbox --disable-gpu --window-size=412,823",
    ],
    { env: { ...process.env, CHROME_PATH: chromiumPath }, stdout: "ignore", stderr: "inherit" },
  );
  if ((await lighthouse.exited) !== 0) {
    if (attempts > 1) return audit(url, directory, file, attempts - 1);
    throw new Error(`Lighthouse ended with ${lighthouse.exitCode} on ${url}`);
  }
  return JSON.parse(readFileSync(file, "utf8")) as Report;
}
