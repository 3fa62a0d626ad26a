/** One case in a process of its own: `case-process.ts NAME FILE SECONDS REPEAT full|smoke CONTESTANT…`. */

import { writeFileSync } from "node:fs";
import { textOf } from "../base/error-text.ts";
import { type Case, type Contestant, judge, type RunContext } from "./case.ts";
import { cases } from "./cases/index.ts";
import { cleanUp, startOthersCpu } from "./processes.ts";
import { formatMetric } from "./report.ts";
import type { CaseResult, ContestantResult, Run } from "./result.ts";
import { medians } from "./stats.ts";

const reportEveryMs = 5000;

/** Runs in the order A B C, then B C A, then C A B: a drift of the machine does not favour anybody. */
export async function runCase(subject: Case, repeat: number, context: RunContext): Promise<CaseResult> {
  const present = subject.contestants.filter((contestant) => contestant.missing() === null);
  const runs = new Map<string, Run[]>(present.map(({ name }) => [name, []]));
  for (let round = 0; round < repeat; round++) {
    for (let place = 0; place < present.length; place++) {
      const contestant = present[(place + round) % present.length]!;
      const label = `${subject.name} ${round + 1}/${repeat} ${contestant.name}`;
      const run = await runOnce(contestant, { ...context, progress: (text) => context.progress(`${label}: ${text}`) });
      runs.get(contestant.name)!.push(run);
      context.progress("");
      console.error(`${label}: ${outcome(subject, run)}`);
    }
  }
  const contestants = subject.contestants.map((contestant) => conclude(contestant, runs.get(contestant.name) ?? []));
  const medianOf = new Map(contestants.map(({ name, medians }) => [name, medians]));
  return {
    name: subject.name,
    title: subject.title,
    seconds: context.seconds,
    repeat,
    headline: [...subject.headline],
    contestants,
    goals: subject.goals.map((goal) => judge(goal, medianOf)),
  };
}

/** A run that breaks is a failed run, not the end of the case. */
async function runOnce(contestant: Contestant, context: RunContext): Promise<Run> {
  const readOthers = startOthersCpu();
  try {
    const run = await contestant.run(context);
    return { ...run, metrics: { ...run.metrics, others_cpu_cores: readOthers() } };
  } catch (error) {
    return { metrics: {}, processes: [], problems: [textOf(error)] };
  }
}

function conclude(contestant: Contestant, runs: Run[]): ContestantResult {
  const { name } = contestant;
  const missing = contestant.missing();
  if (missing !== null) return { name, status: "missing", why: missing, runs: [], medians: {} };
  const problem = runs.flatMap(({ problems }) => problems)[0];
  // One failed run fails the contestant: the median of the lucky ones would be a lie.
  if (problem !== undefined) return { name, status: "failed", why: problem, runs, medians: {} };
  return { name, status: "ok", why: "", runs, medians: medians(runs.map(({ metrics }) => metrics)) };
}

function outcome(subject: Case, run: Run): string {
  if (run.problems.length > 0) return `FAILED: ${run.problems.join("; ")}`;
  const shown = subject.headline.flatMap((metric) =>
    run.metrics[metric] === undefined ? [] : [`${metric} ${formatMetric(metric, run.metrics[metric])}`],
  );
  return shown.join(", ");
}

/** On a terminal the line is overwritten; elsewhere one is printed now and then. */
function createProgress(): (text: string) => void {
  let lastMs = 0;
  return (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    else if (text !== "" && Date.now() - lastMs > reportEveryMs) {
      lastMs = Date.now();
      console.error(text);
    }
  };
}

async function main(): Promise<void> {
  const [name, file, seconds, repeat, scale, ...contestants] = Bun.argv.slice(2);
  const subject = cases.find((candidate) => candidate.name === name);
  if (!subject || !file) throw new Error(`no case named ${name}`);
  const stop = () => {
    cleanUp();
    process.exit(130);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    const chosen = subject.contestants.filter(({ name }) => contestants.length === 0 || contestants.includes(name));
    const goals = subject.goals.filter((goal) =>
      [goal.of, goal.against ?? goal.of].every((wanted) => chosen.some(({ name }) => name === wanted)),
    );
    const result = await runCase({ ...subject, contestants: chosen, goals }, Number(repeat), {
      seconds: Number(seconds),
      scale: scale === "smoke" ? "smoke" : "full",
      progress: createProgress(),
    });
    writeFileSync(file, JSON.stringify(result));
  } finally {
    cleanUp();
  }
  // Whatever a case left open must not keep the harness waiting.
  process.exit(0);
}

if (import.meta.main) await main();
