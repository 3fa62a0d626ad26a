import type { Channel } from "../../../contract/alerts.ts";
import { parseDuration } from "../evaluation/duration.ts";

export interface GroupTiming {
  /** After the first alert of a message nothing more may come for so long, or `waitMaxMs` have passed. */
  readonly waitMs: number;
  readonly waitMaxMs: number;
  /** Between two messages of a group; grows to the maximum while the group goes on changing. */
  readonly intervalMs: number;
  readonly intervalMaxMs: number;
  /** A reminder of what still fires. */
  readonly repeatMs: number;
}

const waitDefaultMs = 2_000;
const waitStretch = 10;
const intervalDefaultMs = 10_000;
const intervalDefaultMaxMs = 300_000;
const repeatDefaultMs = 4 * 3_600_000;
/** An Alertmanager groups by itself, and forgets what it is not told again. */
const alertmanager: GroupTiming = {
  waitMs: 200,
  waitMaxMs: 2_000,
  intervalMs: 1_000,
  intervalMaxMs: 1_000,
  repeatMs: 3_600_000,
};

export function groupTimingOf({ kind, grouping }: Channel): GroupTiming {
  if (kind === "alertmanager") return alertmanager;
  const waitMs = parseDuration(grouping?.wait ?? "") ?? waitDefaultMs;
  const intervalMs = parseDuration(grouping?.interval ?? "");
  return {
    waitMs,
    waitMaxMs: waitMs * waitStretch,
    intervalMs: intervalMs ?? intervalDefaultMs,
    intervalMaxMs: intervalMs ?? intervalDefaultMaxMs,
    repeatMs: parseDuration(grouping?.repeat ?? "") ?? repeatDefaultMs,
  };
}

export const groupFieldsOf = ({ grouping }: Channel): readonly string[] => grouping?.by ?? ["rule"];
