import type { History } from "../../../contract/read.ts";

/** A chart is never shorter than this. */
const spanMinMs = 60_000;

/** Where a chart begins: what is ten minutes old is not drawn as the end of an empty hour, until someone asks for that hour. */
export function fittedFromMs(fromMs: number, toMs: number, firstMs: number, own: boolean): number {
  return own && firstMs > fromMs ? Math.max(fromMs, Math.min(firstMs, toMs - spanMinMs)) : fromMs;
}

/** The same in seconds, of the series of a history; `own`: nobody has chosen the range. */
export function fittedRange(history: History, own: boolean): { fromSecond: number; toSecond: number } {
  const [fromMs, toMs] = [Date.parse(history.from), Date.parse(history.to)];
  const first = history.series.flatMap(({ points }) => points.slice(0, 1)).map(({ time }) => Date.parse(time));
  // Without a point there is nothing to fit to.
  const firstMs = first.length === 0 ? fromMs : Math.min(...first);
  return { fromSecond: fittedFromMs(fromMs, toMs, firstMs, own) / 1000, toSecond: toMs / 1000 };
}
