import type { History } from "../../../../contract/read.ts";

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** The query behind a chart, to be taken further: what `/api/history` asks, for the steps and types that are drawn. */
export function historySql(history: History, options: { types: readonly string[]; device: string }): string {
  const range = (column: string): string =>
    `${column} >= parseDateTime64BestEffort(${quoted(history.from)}) AND ${column} < parseDateTime64BestEffort(${quoted(history.to)})`;
  const types = options.types.length === 0 ? "" : `\n  AND event_type IN (${options.types.map(quoted).join(", ")})`;
  if (options.device !== "") {
    return `SELECT toStartOfInterval(timestamp, INTERVAL ${history.step_seconds} SECOND) AS step, event_type,
  count() AS events, avg(value_float) AS average, min(value_float) AS lowest, max(value_float) AS highest,
  quantilesDD(0.01, 0.5, 0.95, 0.99)(value_float) AS quantiles
FROM telemetry_events
WHERE ${range("timestamp")}
  AND device_id = ${quoted(options.device)}${types}
GROUP BY step, event_type ORDER BY step, event_type`;
  }
  return `SELECT toStartOfInterval(time, INTERVAL ${history.step_seconds} SECOND) AS step, event_type,
  sum(event_count) AS events, sum(value_sum) / sum(value_count) AS average,
  min(value_min) AS lowest, max(value_max) AS highest,
  quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(value_quantiles) AS quantiles
FROM ${history.source.startsWith("telemetry_1") ? history.source : "telemetry_1m"}
WHERE ${range("time")}${types}
GROUP BY step, event_type ORDER BY step, event_type`;
}
