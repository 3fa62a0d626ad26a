import type { Severity } from "../../../contract/alerts.ts";
import type { Evaluator } from "../evaluation/evaluator.ts";
import type { Notifier } from "../notify/notifier.ts";
import type { PostOffice } from "./post-office.ts";
import type { Registry } from "./registry.ts";
import type { SilenceWatch } from "./silence-watch.ts";
import type { TransitionQueue } from "./transition-queue.ts";

/** What an operator counts. */
export interface AlertFigures {
  readonly firing: Readonly<Record<Severity, number>>;
  readonly pending: number;
  readonly series: number;
  /** Series and devices left out because a limit is reached. */
  readonly skipped: number;
  /** Messages. */
  readonly waiting: number;
  readonly delivered: number;
  readonly dropped: number;
  /** Transitions left out of the history. */
  readonly unrecorded: number;
}

export interface CountedParts {
  readonly evaluator: Evaluator;
  readonly registry: Registry;
  readonly silence: SilenceWatch;
  readonly postOffice: PostOffice;
  readonly notifier: Notifier;
  readonly transitions: TransitionQueue;
}

export function countAlerts(parts: CountedParts): AlertFigures {
  const { evaluator, registry, postOffice } = parts;
  const firing = { critical: 0, warning: 0, info: 0 };
  let pending = 0;
  for (const { rule, phase } of evaluator.active()) {
    if (phase === "pending") pending++;
    else firing[rule.severity]++;
  }
  const channels = [...registry.channels.values()];
  const skipped = [...registry.rules.keys()].reduce((sum, id) => sum + evaluator.skippedOf(id), 0);
  return {
    firing,
    pending,
    series: evaluator.seriesCount,
    skipped: skipped + parts.silence.skipped,
    waiting: channels.reduce((sum, { id }) => sum + postOffice.waiting(id), 0),
    delivered: channels.reduce((sum, { health }) => sum + health.delivered, 0),
    dropped: channels.reduce((sum, { health }) => sum + health.dropped, 0) + parts.notifier.dropped,
    unrecorded: parts.transitions.unrecorded,
  };
}
