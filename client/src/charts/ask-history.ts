import type { History } from "../../../contract/read.ts";
import type { Api, ApiResult, Query } from "../api/api.ts";
import type { TimeRange } from "../app/time-expression.ts";

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/** The finest step that people read easily and that gives no more than so many points. */
export function stepSeconds({ fromMs, toMs }: TimeRange, pointsMax: number): number {
  const seconds = (toMs - fromMs) / 1000 / pointsMax;
  return steps.find((step) => step >= seconds) ?? Math.ceil(seconds / 86_400) * 86_400;
}

/** More than one in three pixels are not told apart, and a phone pays for each: with its download, and when it draws. */
export function chartPoints(widthPx: number): number {
  return Math.min(500, Math.max(100, Math.round(widthPx / 3)));
}

/** A range that ends at now moves with the clock: asked again fast enough to see it, not faster than a step. */
export function refreshMs(spanMs: number): number {
  return Math.min(60_000, Math.max(5_000, spanMs / 200));
}

/** The history of a range in steps that suit a chart of the window's width, of so many seconds at least. */
export function askHistory(
  api: Api,
  range: TimeRange,
  query: Query,
  signal: AbortSignal,
  stepMinSeconds = 1,
): Promise<ApiResult<History>> {
  return api.get(
    "/api/history",
    {
      ...query,
      from: new Date(range.fromMs).toISOString(),
      to: new Date(range.toMs).toISOString(),
      step: String(Math.max(stepMinSeconds, stepSeconds(range, chartPoints(innerWidth)))),
    },
    signal,
  );
}
