/** What `rollupFigures` and `rawFigures` select. */
export interface FigureRow {
  count: number;
  values: number;
  total: number | null;
  lowest: number | null;
  highest: number | null;
  /** The median, the 95th and the 99th percentile. */
  quantiles: (number | null)[];
}

/** The same figures from a rollup's states or from raw events; what goes into the sketch is as in ddl/002_rollups.sql. */
export const rollupFigures = `
  sum(event_count) AS count, sum(value_count) AS values, sum(value_sum) AS total,
  min(value_min) AS lowest, max(value_max) AS highest,
  quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(value_quantiles) AS quantiles`;
export const rawFigures = `
  count() AS count, count(value_float) AS values, ifNull(sum(value_float), 0) AS total,
  min(value_float) AS lowest, max(value_float) AS highest,
  quantilesDD(0.01, 0.5, 0.95, 0.99)(multiIf(
    abs(value_float) < 1e-18, 0, abs(value_float) < 1, value_float * (99 / 101), clamp(value_float, -1e21, 1e21)
  )) AS quantiles`;

export const meanOf = ({ values, total }: FigureRow): number | null =>
  values > 0 && total !== null ? total / values : null;

/** A sketch gives the middle of a bin, which may lie just outside of what was measured. */
export function quantileOf({ quantiles, lowest, highest }: FigureRow, index: number): number | null {
  const value = quantiles[index] ?? null;
  return value === null || lowest === null || highest === null ? null : Math.min(Math.max(value, lowest), highest);
}
