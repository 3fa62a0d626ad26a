import type { SqlAnswer } from "../../../../contract/sql.ts";
import { csvLine } from "../../ui/csv.ts";

/** A cell as text: what ClickHouse says, arrays and maps as JSON. */
export function sqlText(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

export function sqlCsv(answer: SqlAnswer): string {
  const lines = [answer.meta.map(({ name }) => name), ...answer.data.map((row) => row.map(sqlText))];
  return `${lines.map((line) => csvLine(line)).join("\r\n")}\r\n`;
}

export interface SqlSeries {
  /** Epoch seconds, ascending. */
  seconds: number[];
  lines: { name: string; values: (number | null)[] }[];
}

const linesMax = 8;
const inner = (type: string): string => type.replace(/^(?:LowCardinality|Nullable)\((.*)\)$/, "$1");
const isTime = (type: string): boolean => /^Date(Time)?/.test(inner(type));
const isNumber = (type: string): boolean => /^(U?Int|Float|Decimal)/.test(inner(type));

/** ClickHouse writes times without a zone; Sluice's columns are UTC. */
function secondsOf(cell: unknown): number {
  return typeof cell === "string"
    ? Date.parse(`${cell.replace(" ", "T")}${cell.length > 10 ? "Z" : ""}`) / 1000
    : Number.NaN;
}

/** A result with a time and numbers can be drawn: undefined for any other, or when a time comes twice. */
export function sqlSeries(answer: SqlAnswer): SqlSeries | undefined {
  const time = answer.meta.findIndex(({ type }) => isTime(type));
  const columns = answer.meta.flatMap(({ name, type }, index) => (isNumber(type) ? [{ name, index }] : []));
  if (time < 0 || columns.length === 0 || answer.data.length < 2) return undefined;
  const rows = answer.data.map((row) => ({ second: secondsOf(row[time]), row })).sort((a, b) => a.second - b.second);
  const seconds = rows.map(({ second }) => second);
  if (seconds.some((second, at) => !Number.isFinite(second) || second === seconds[at - 1])) return undefined;
  const numberOf = (cell: unknown): number | null =>
    cell === null || cell === undefined || !Number.isFinite(Number(cell)) ? null : Number(cell);
  return {
    seconds,
    lines: columns
      .slice(0, linesMax)
      .map(({ name, index }) => ({ name, values: rows.map(({ row }) => numberOf(row[index])) })),
  };
}
