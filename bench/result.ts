import { readFileSync } from "node:fs";
import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";

/** Figures by name; the unit is the end of the name (`_ms`, `_per_second`, `_bytes`, `_seconds`, `_cores`). */
export const Metrics = Type.Record(Type.String(), Type.Number());
export type Metrics = Static<typeof Metrics>;

const Usage = Type.Object({
  name: Type.String(),
  cpuSeconds: Type.Number(),
  peakRssBytes: Type.Number(),
});

/** One measured run of one contestant. */
export const Run = Type.Object({
  metrics: Metrics,
  processes: Type.Array(Usage),
  /** What was lost, doubled, refused or broken. Anything here makes the run FAILED. */
  problems: Type.Array(Type.String()),
});
export type Run = Static<typeof Run>;

export const ContestantResult = Type.Object({
  name: Type.String(),
  status: Type.Union([Type.Literal("ok"), Type.Literal("failed"), Type.Literal("missing")]),
  /** Which program is missing, or the first problem. */
  why: Type.String(),
  runs: Type.Array(Run),
  /** Median of each metric over the runs without a problem. */
  medians: Metrics,
});
export type ContestantResult = Static<typeof ContestantResult>;

export const GoalResult = Type.Object({
  text: Type.String(),
  /** Null when a side of it is missing or failed. */
  value: Type.Union([Type.Number(), Type.Null()]),
  /** Null too for a ratio that is only shown. */
  reached: Type.Union([Type.Boolean(), Type.Null()]),
});
export type GoalResult = Static<typeof GoalResult>;

export const CaseResult = Type.Object({
  name: Type.String(),
  title: Type.String(),
  seconds: Type.Number(),
  repeat: Type.Integer(),
  /** The figures that the table shows, most important first. */
  headline: Type.Array(Type.String()),
  contestants: Type.Array(ContestantResult),
  goals: Type.Array(GoalResult),
});
export type CaseResult = Static<typeof CaseResult>;

export const Report = Type.Object({
  startedAt: Type.String(),
  finishedAt: Type.String(),
  command: Type.String(),
  commit: Type.String(),
  machine: Type.Record(Type.String(), Type.String()),
  versions: Type.Record(Type.String(), Type.String()),
  cases: Type.Array(CaseResult),
});
export type Report = Static<typeof Report>;

const reportCheck = Compile(Report);
const caseCheck = Compile(CaseResult);

/** Reads a results file. Throws with the place of the first fault when it is not one. */
export function readReport(path: string): Report {
  const value: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (reportCheck.Check(value)) return value;
  throw new Error(`${path} is not a bench report: ${reportCheck.Errors(value)[0]?.instancePath ?? "/"}`);
}

export function readCaseResult(path: string): CaseResult {
  const value: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (caseCheck.Check(value)) return value;
  throw new Error(`${path} is not a case result: ${caseCheck.Errors(value)[0]?.instancePath ?? "/"}`);
}
