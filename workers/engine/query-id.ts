import { quoteString, type Token, tokens } from "./sql.ts";

/**
 * libchdb names every statement by itself, so a client's `query_id` travels in a setting that shows in `system.processes` and does
 * nothing here: it names a queue for tables over Redis and NATS. The mark before it is ours, and tells statements apart even when
 * clients do not.
 */
export const MARK_SETTING = "stream_like_engine_insert_queue";

/** Begins every mark. */
const MARK_START = "sluice-";

export const createMark = (process: number, statement: number): string => `${MARK_START}${process}-${statement}`;

export const markValue = (mark: string, queryId: string): string => `${mark} ${queryId}`;

/** A condition on `system.processes` that one statement fulfils. */
export const isMarked = (mark: string): string =>
  `startsWith(Settings['${MARK_SETTING}'], ${quoteString(markValue(mark, ""))})`;

const SETTING = `Settings['${MARK_SETTING}']`;
const QUERY_ID = `if(startsWith(${SETTING}, '${MARK_START}'), substring(${SETTING}, position(${SETTING}, ' ') + 1), initial_query_id)`;
const PROCESSES = `(SELECT * REPLACE (${QUERY_ID} AS query_id) FROM system.processes)`;

export function isKill(sql: string): boolean {
  const [first, second] = tokens(sql, 2);
  return first?.text === "kill" && second?.text === "query";
}

/** The same statement, in which `query_id` means what the client said. */
export function withClientQueryIds(sql: string): string {
  // Only such a text can name either.
  if (!/processes|query_id/i.test(sql)) return sql;
  return isKill(sql) ? replaceQueryId(sql) : replaceProcesses(sql);
}

interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function replaceQueryId(sql: string): string {
  const replacements: Replacement[] = [];
  for (const { kind, text, start, end } of tokens(sql))
    if ((kind === "word" || kind === "identifier") && text === "query_id")
      replacements.push({ start, end, text: `(${QUERY_ID})` });
  return replaceAll(sql, replacements);
}

/** `FROM system.processes` and `JOIN system.processes`. */
function replaceProcesses(sql: string): string {
  const replacements: Replacement[] = [];
  const all = [...tokens(sql)];
  for (const [at, { text: from }] of all.entries()) {
    if (from !== "from" && from !== "join") continue;
    const [database, dot, table, next] = all.slice(at + 1, at + 5);
    if (database?.text !== "system" || dot?.text !== "." || table?.text !== "processes") continue;
    const alias = isAlias(next) ? "" : " AS processes";
    replacements.push({ start: database.start, end: table.end, text: PROCESSES + alias });
  }
  return replaceAll(sql, replacements);
}

/** Words that may follow a table, and that are not its alias. */
const AFTER_TABLE: ReadonlySet<string> = new Set(
  (
    "where prewhere group order limit offset format settings join inner left right full cross global any all asof semi " +
    "anti array union intersect except having window qualify sample final fetch into on using paste"
  ).split(" "),
);

function isAlias(token: Token | undefined): boolean {
  if (token?.kind === "identifier") return true;
  return token?.kind === "word" && !AFTER_TABLE.has(token.text);
}

function replaceAll(sql: string, replacements: readonly Replacement[]): string {
  let result = sql;
  for (const { start, end, text } of replacements.toReversed())
    result = result.slice(0, start) + text + result.slice(end);
  return result;
}
