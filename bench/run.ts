/** `bun bench/run.ts`: runs the cases, each in a process of its own, and reports. README.md says what the figures mean. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Case } from "./case.ts";
import { cases } from "./cases/index.ts";
import { loadCurve } from "./cases/load-curve.ts";
import { renderHtml } from "./html.ts";
import { describeCommit, describeMachine, describeVersions, machineName } from "./machine.ts";
import { createTemporaryDirectory, placed, removeTemporaryDirectory } from "./processes.ts";
import { formatCase, formatComparison, formatReport, formatTable } from "./report.ts";
import { type CaseResult, type Report, readCaseResult, readReport } from "./result.ts";

const usage = `npm run bench -- [options]
  --list               the cases
  --case NAME          only this one; may be given several times
  --contestant NAME    only this one of each case; may be given several times
  --seconds N          measured seconds of each run
  --repeat N           runs of each contestant
  --smoke              everything small, one short run: does it work, is nothing lost
  --json FILE          where the results go (default: bench/results/DATE/MACHINE.json for a full run)
  --html FILE          where the page goes (default: beside the results)
  --report [FILE…]     plots against offered load: of the case load-curve, run now, or of the results in the files
  --compare A B        two results files, figure by figure`;

export interface CaseOptions {
  seconds: number | null;
  repeat: number | null;
  scale: "full" | "smoke";
  /** All of them when empty. */
  contestants: readonly string[];
}

const smokeSeconds = 1;
/** Beside the measured time: start, warm-up, waiting for the last row, stop. */
const runOverheadSeconds = 150;

/** Runs one case in a child process, which is stopped when it takes far longer than it should. */
export async function runInChild(subject: Case, options: CaseOptions): Promise<CaseResult> {
  const directory = createTemporaryDirectory("result");
  const file = join(directory, "result.json");
  const smoke = options.scale === "smoke";
  const seconds = options.seconds ?? (smoke ? Math.min(smokeSeconds, subject.seconds) : subject.seconds);
  const repeat = options.repeat ?? (smoke ? 1 : subject.repeat);
  try {
    const script = join(import.meta.dirname, "case-process.ts");
    const command = [
      process.execPath,
      script,
      subject.name,
      file,
      String(seconds),
      String(repeat),
      options.scale,
      ...options.contestants,
    ];
    const child = Bun.spawn(placed(command, "generator"), { stdin: "ignore", stdout: "inherit", stderr: "inherit" });
    const limitSeconds = subject.contestants.length * repeat * (2 * seconds + runOverheadSeconds);
    const overdue = setTimeout(() => child.kill("SIGTERM"), limitSeconds * 1000);
    const forward = () => child.kill("SIGTERM");
    process.once("SIGINT", forward).once("SIGTERM", forward);
    const code = await child.exited;
    clearTimeout(overdue);
    process.off("SIGINT", forward).off("SIGTERM", forward);
    if (code !== 0) throw new Error(`${subject.name} ended with code ${code}`);
    return readCaseResult(file);
  } finally {
    removeTemporaryDirectory(directory);
  }
}

function listCases(): string {
  const rows = cases.map((subject) => [
    subject.name,
    `${subject.repeat} × ${subject.seconds || "–"} s`,
    subject.contestants.map(({ name, missing }) => (missing() ? `${name} (missing: ${missing()})` : name)).join(" "),
  ]);
  return formatTable([["case", "runs", "contestants"], ...rows]);
}

function parsePositive(text: string | undefined, option: string): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${option} takes a number above 0, not ${text}`);
}

function writeFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  console.log(`wrote ${path}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Bun.argv.slice(2),
    allowPositionals: true,
    options: {
      list: { type: "boolean" },
      case: { type: "string", multiple: true },
      contestant: { type: "string", multiple: true },
      seconds: { type: "string" },
      repeat: { type: "string" },
      smoke: { type: "boolean" },
      json: { type: "string" },
      html: { type: "string" },
      compare: { type: "boolean" },
      report: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return say(usage);
  if (values.list) return say(listCases());
  if (values.compare) {
    const [a, b] = positionals;
    if (!a || !b) throw new Error("--compare takes two results files");
    return say(formatComparison(readReport(a), readReport(b)));
  }
  if (values.report && positionals.length > 0) {
    for (const file of positionals) writeFile(file.replace(/(\.json)?$/, ".html"), renderHtml(readReport(file)));
    return 0;
  }
  const wanted = values.case ?? (values.report ? [loadCurve.name] : undefined);
  const unknown = values.case?.find((name) => !cases.some((subject) => subject.name === name));
  if (unknown) throw new Error(`no case named ${unknown}; see --list`);

  const chosen = cases.filter(({ name }) => !wanted || wanted.includes(name));
  const options: CaseOptions = {
    seconds: parsePositive(values.seconds, "seconds"),
    repeat: parsePositive(values.repeat, "repeat"),
    scale: values.smoke ? "smoke" : "full",
    contestants: values.contestant ?? [],
  };
  const report: Report = {
    startedAt: new Date().toISOString(),
    finishedAt: "",
    command: ["bench", ...Bun.argv.slice(2)].join(" "),
    commit: describeCommit(),
    machine: describeMachine(),
    versions: describeVersions(),
    cases: [],
  };
  for (const subject of chosen) {
    const result = await runInChild(subject, options);
    report.cases.push(result);
    console.log(`\n${formatCase(result)}\n`);
  }
  report.finishedAt = new Date().toISOString();
  if (chosen.length > 1) console.log(formatReport(report));
  const whole = chosen.length === cases.length && !values.smoke && !values.contestant;
  const name = join(import.meta.dirname, "results", report.startedAt.slice(0, 10), machineName(report.machine));
  const json = values.json ?? (whole ? `${name}.json` : values.report ? `${name}-load.json` : null);
  const html = values.html ?? (json ? json.replace(/(\.json)?$/, ".html") : null);
  if (json) writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  if (html) writeFile(html, renderHtml(report));
  return report.cases.some(({ contestants }) => contestants.some(({ status }) => status === "failed")) ? 1 : 0;
}

function say(text: string): number {
  console.log(text);
  return 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  }
}
