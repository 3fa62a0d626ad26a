import type { GoalResult, Metrics, Run } from "./result.ts";

/** A case: contestants that do the same work, and what Sluice has to reach against them. */
export interface Case {
  name: string;
  title: string;
  /** Measured seconds of a run when `--seconds` is not given. */
  seconds: number;
  repeat: number;
  headline: readonly string[];
  contestants: readonly Contestant[];
  goals: readonly Goal[];
}

/** One system under one workload. A run starts it from nothing and leaves nothing behind. */
export interface Contestant {
  name: string;
  /** What has to be installed and is not, or null. */
  missing(): string | null;
  run(context: RunContext): Promise<Run>;
}

export interface RunContext {
  seconds: number;
  /** `smoke`: everything small, to see that it works. */
  scale: "full" | "smoke";
  /** A line of what is going on, overwritten by the next. */
  progress(text: string): void;
}

/** A figure of one contestant, alone or as a ratio to another contestant's, and its bound; without one it is shown only. */
export interface Goal {
  metric: string;
  of: string;
  against?: string;
  atLeast?: number;
  atMost?: number;
}

export function judge(goal: Goal, medians: ReadonlyMap<string, Metrics>): GoalResult {
  const own = medians.get(goal.of)?.[goal.metric];
  const other = goal.against === undefined ? 1 : medians.get(goal.against)?.[goal.metric];
  const value = own === undefined || other === undefined || other === 0 ? null : own / other;
  const figure = `${goal.of} ${goal.metric}`;
  const unit = goal.against === undefined ? "" : ` × ${goal.against}`;
  if (goal.atLeast !== undefined)
    return {
      text: `${figure} ≥ ${goal.atLeast}${unit}`,
      value,
      reached: value === null ? null : value >= goal.atLeast,
    };
  if (goal.atMost !== undefined)
    return { text: `${figure} ≤ ${goal.atMost}${unit}`, value, reached: value === null ? null : value <= goal.atMost };
  return { text: `${figure}${unit}`, value, reached: null };
}
