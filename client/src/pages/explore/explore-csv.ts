import type { History } from "../../../../contract/read.ts";
import { csvCell } from "../../ui/csv.ts";

/** One line for each step of each type, with every figure, whichever is drawn. */
export function historyCsv(history: History): string {
  const lines = ["time,event_type,count,avg,min,max,p50,p95,p99"];
  for (const { event_type, points } of history.series) {
    for (const { time, count, avg, min, max, p50, p95, p99 } of points) {
      lines.push(
        [time, csvCell(event_type), count, avg ?? "", min ?? "", max ?? "", p50 ?? "", p95 ?? "", p99 ?? ""].join(","),
      );
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}
