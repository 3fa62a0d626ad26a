import type { AlertState } from "../../../contract/alerts.ts";

/** What a rule says of one series. `stale`: it fired, and nothing has been heard since that could end it. */
export type Phase = "inactive" | AlertState;

export interface Timing {
  readonly forMs: number;
  readonly keepMs: number;
}

/** Times are of the series' own clock; see `series.ts`. */
export interface PhaseState {
  phase: Phase;
  /** When `phase` began. */
  sinceMs: number;
  /** When the condition first held without a break; makes the alarm's identity. */
  startedMs: number;
  /** For how long nothing could be heard since `sinceMs`, because this service was down: waiting goes on where it was. */
  pausedMs: number;
}

export type PhaseChange = (from: Phase, to: Phase | "resolved", atMs: number) => void;

/** When the phase ends by itself; Infinity: it does not. */
export function dueAt(state: PhaseState, timing: Timing): number {
  if (state.phase === "pending") return state.startedMs + timing.forMs + state.pausedMs;
  if (state.phase === "recovering") return state.sinceMs + timing.keepMs + state.pausedMs;
  return Number.POSITIVE_INFINITY;
}

/**
 * inactive → pending (`for`) → firing → recovering (`keep_firing_for`) → resolved, which is inactive again.
 * Only a good value ends an alarm: a series of which nothing is known goes from firing to stale.
 *
 * `advance` lets time pass up to `nowMs`, and must be called before anything is said about that time, so that what was due before
 * happens before, at its own time, however late it is noticed.
 */
export function advancePhase(state: PhaseState, timing: Timing, nowMs: number, change: PhaseChange): void {
  const due = dueAt(state, timing);
  if (due > nowMs) return;
  if (state.phase === "pending") enter(state, "firing", due, change);
  else resolve(state, due, change);
}

/** The condition holds, or not, at `atMs`. */
export function applyVerdict(
  state: PhaseState,
  timing: Timing,
  isBad: boolean,
  atMs: number,
  change: PhaseChange,
): void {
  switch (state.phase) {
    case "inactive":
      if (!isBad) return;
      state.startedMs = atMs;
      enter(state, timing.forMs === 0 ? "firing" : "pending", atMs, change);
      return;
    case "pending":
      if (!isBad) enter(state, "inactive", atMs, change);
      return;
    case "firing":
    case "stale":
      if (isBad) {
        if (state.phase === "stale") enter(state, "firing", atMs, change);
      } else if (timing.keepMs > 0) enter(state, "recovering", atMs, change);
      else resolve(state, atMs, change);
      return;
    case "recovering":
      if (isBad) enter(state, "firing", atMs, change);
      return;
  }
}

/** Nothing is known of the series from `atMs` on. */
export function applyUnknown(state: PhaseState, atMs: number, change: PhaseChange): void {
  if (state.phase === "firing") enter(state, "stale", atMs, change);
  else if (state.phase === "pending") enter(state, "inactive", atMs, change);
}

/** Ends an alarm without a value: its rule was changed, switched off or removed. */
export function endPhase(state: PhaseState, atMs: number, change: PhaseChange): void {
  if (state.phase === "pending") enter(state, "inactive", atMs, change);
  else if (state.phase !== "inactive") resolve(state, atMs, change);
}

function enter(state: PhaseState, phase: Phase, atMs: number, change: PhaseChange): void {
  const from = state.phase;
  state.phase = phase;
  state.sinceMs = atMs;
  state.pausedMs = 0;
  change(from, phase, atMs);
}

function resolve(state: PhaseState, atMs: number, change: PhaseChange): void {
  const from = state.phase;
  state.phase = "inactive";
  state.sinceMs = atMs;
  state.pausedMs = 0;
  change(from, "resolved", atMs);
}
