import type { History } from "../../../../contract/read.ts";

/** RFC 4180, and no cell that a spreadsheet would run as a formula. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One line for each step of each type, with every figure, whichever is drawn. */
export function historyCsv(history: History): string {
  const lines = ["time,event_type,count,avg,min,max,p50,p95,p99"];
  for (const { event_type, points } of history.series) {
    for (const { time, count, avg, min, max, p50, p95, p99 } of points) {
      lines.push(
        [time, cell(event_type), count, avg ?? "", min ?? "", max ?? "", p50 ?? "", p95 ?? "", p99 ?? ""].join(","),
      );
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}
