/** A piece of SQL text, as ClickHouse's lexer cuts it. Comments and white space are left out. */
export interface Token {
  kind: "word" | "identifier" | "string" | "number" | "symbol";
  /** Lower case for a word; decoded for a quoted identifier; the raw text for the rest. */
  text: string;
  start: number;
  end: number;
  /** How many brackets are open around it. */
  depth: number;
}

const WORD_START = /[A-Za-z_]/;
const WORD_PART = /[A-Za-z0-9_$]/;
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "0": "\0",
  b: "\b",
  f: "\f",
  a: "\x07",
  v: "\v",
};

/**
 * Cuts SQL into tokens. It never throws: text that does not lex becomes symbols, and the engine refuses it later.
 * Stops after `maxTokens`, because the head of an INSERT may have megabytes of data behind it.
 */
export function* tokens(sql: string, maxTokens = Number.POSITIVE_INFINITY): Generator<Token> {
  let at = 0;
  let depth = 0;
  let count = 0;
  while (at < sql.length && count < maxTokens) {
    const char = sql[at] as string;
    const start = at;
    if (/\s/.test(char)) {
      at++;
      continue;
    }
    if (sql.startsWith("--", at) || sql.startsWith("#!", at) || sql.startsWith("# ", at)) {
      const end = sql.indexOf("\n", at);
      at = end === -1 ? sql.length : end + 1;
      continue;
    }
    if (sql.startsWith("/*", at)) {
      at = afterBlockComment(sql, at);
      continue;
    }
    count++;
    if (char === "'" || char === "`" || char === '"') {
      const { end, text } = readQuoted(sql, at, char);
      at = end;
      yield char === "'"
        ? { kind: "string", text: sql.slice(start, end), start, end, depth }
        : { kind: "identifier", text, start, end, depth };
      continue;
    }
    if (WORD_START.test(char)) {
      while (at < sql.length && WORD_PART.test(sql[at] as string)) at++;
      yield { kind: "word", text: sql.slice(start, at).toLowerCase(), start, end: at, depth };
      continue;
    }
    if (/[0-9]/.test(char)) {
      while (at < sql.length && /[0-9A-Za-z_.]/.test(sql[at] as string)) at++;
      yield { kind: "number", text: sql.slice(start, at), start, end: at, depth };
      continue;
    }
    if (char === "$") {
      const end = afterHeredoc(sql, at);
      if (end !== null) {
        at = end;
        yield { kind: "string", text: sql.slice(start, end), start, end, depth };
        continue;
      }
    }
    at++;
    if (char === ")" || char === "]" || char === "}") depth = Math.max(0, depth - 1);
    yield { kind: "symbol", text: char, start, end: at, depth };
    if (char === "(" || char === "[" || char === "{") depth++;
  }
}

/** ClickHouse nests block comments, as the SQL standard has it. */
function afterBlockComment(sql: string, from: number): number {
  let at = from + 2;
  let level = 1;
  while (at < sql.length && level > 0) {
    if (sql.startsWith("/*", at)) {
      level++;
      at += 2;
    } else if (sql.startsWith("*/", at)) {
      level--;
      at += 2;
    } else at++;
  }
  return at;
}

function afterHeredoc(sql: string, from: number): number | null {
  const tag = /^\$[A-Za-z0-9_]*\$/.exec(sql.slice(from, from + 128))?.[0];
  if (tag === undefined) return null;
  const end = sql.indexOf(tag, from + tag.length);
  return end === -1 ? null : end + tag.length;
}

function readQuoted(sql: string, from: number, quote: string): { end: number; text: string } {
  let text = "";
  let at = from + 1;
  while (at < sql.length) {
    const char = sql[at] as string;
    if (char === "\\" && at + 1 < sql.length) {
      const next = sql[at + 1] as string;
      const hex = next === "x" ? /^[0-9A-Fa-f]{2}/.exec(sql.slice(at + 2, at + 4))?.[0] : undefined;
      text += hex === undefined ? (ESCAPES[next] ?? next) : String.fromCharCode(Number.parseInt(hex, 16));
      at += hex === undefined ? 2 : 4;
    } else if (char === quote) {
      if (sql[at + 1] !== quote) return { end: at + 1, text };
      text += quote;
      at += 2;
    } else {
      text += char;
      at++;
    }
  }
  return { end: at, text };
}

/** A string literal. The control characters are escaped so that a value can never end up looking like a line of SQL. */
export function quoteString(value: string): string {
  const escaped = value.replace(/['\\\0\b\f\n\r\t]/g, (char) => {
    const index = "'\\\0\b\f\n\r\t".indexOf(char);
    return ["\\'", "\\\\", "\\0", "\\b", "\\f", "\\n", "\\r", "\\t"][index] as string;
  });
  return `'${escaped}'`;
}

export function quoteIdentifier(name: string): string {
  return `\`${name.replace(/[`\\]/g, (char) => `\\${char}`)}\``;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
export const isIdentifier = (name: string): boolean => IDENTIFIER.test(name);

/** An INSERT whose rows come after its text. */
export interface InsertHead {
  /** `INSERT INTO t (a, b)`: where `FROM INFILE` goes. */
  target: string;
  /** `SETTINGS a = 1`, or empty. */
  settings: string;
  format: string;
  /** Where the rows begin in the text given. */
  dataStart: number;
}

/**
 * Reads the head of `INSERT INTO … [SETTINGS …] FORMAT x` or `INSERT INTO … VALUES`. `null` for anything else, such
 * as INSERT … SELECT, which runs as it stands.
 */
export function parseInsertHead(sql: string): InsertHead | null {
  let settingsStart: number | null = null;
  let previous: Token | null = null;
  let formatStart: number | null = null;
  let first = true;
  for (const token of tokens(sql, INSERT_HEAD_MAX_TOKENS)) {
    if (first) {
      if (token.text !== "insert" || token.kind !== "word") return null;
      first = false;
    } else if (formatStart !== null) {
      if (token.kind !== "word") return null;
      const clause = { settingsStart, formatStart };
      return insertHead(sql, clause, sql.slice(token.start, token.end), afterFormatName(sql, token.end));
    } else if (token.kind === "word" && token.depth === 0 && previous?.text !== "." && previous?.text !== "into") {
      // `previous` keeps a table or a database that bears one of these names from ending the head.
      if (token.text === "values")
        return insertHead(sql, { settingsStart, formatStart: token.start }, "Values", token.end);
      if (token.text === "format") formatStart = token.start;
      else if (token.text === "settings") settingsStart = token.start;
      else if (token.text === "select" || token.text === "with" || token.text === "watch" || token.text === "infile")
        return null;
    }
    previous = token;
  }
  return null;
}

/** `INSERT INTO … FROM INFILE …`: its rows are in a file that the engine reads. */
export function isInsertFromFile(sql: string): boolean {
  let first = true;
  for (const { kind, text, depth } of tokens(sql, INSERT_HEAD_MAX_TOKENS)) {
    if (first && (kind !== "word" || text !== "insert")) return false;
    first = false;
    if (kind === "word" && depth === 0 && text === "infile") return true;
  }
  return false;
}

/** Longer than any head a person or a tool writes, shorter than what would cost time. */
const INSERT_HEAD_MAX_TOKENS = 10_000;

function insertHead(
  sql: string,
  clause: { settingsStart: number | null; formatStart: number },
  format: string,
  dataStart: number,
): InsertHead {
  const targetEnd = clause.settingsStart ?? clause.formatStart;
  return {
    target: sql.slice(0, targetEnd).trimEnd(),
    settings: clause.settingsStart === null ? "" : sql.slice(clause.settingsStart, clause.formatStart).trim(),
    format,
    dataStart,
  };
}

/** As ClickHouse does: blanks after the format's name, then at most one line end, are not data. */
function afterFormatName(sql: string, from: number): number {
  let at = from;
  while (at < sql.length && " \t\f".includes(sql[at] as string)) at++;
  if (sql[at] === ";") at++;
  if (sql[at] === "\r") at++;
  if (sql[at] === "\n") at++;
  return at;
}

/** The format a query asks for by its own FORMAT clause, which only `;` and SETTINGS may follow. */
export function formatClauseOf(sql: string): string | null {
  let candidate: string | null = null;
  let state: "before" | "name" | "after" = "before";
  for (const token of tokens(sql)) {
    if (state === "name" && (token.kind === "word" || token.kind === "identifier")) {
      candidate = token.kind === "word" ? sql.slice(token.start, token.end) : token.text;
      state = "after";
    } else if (state === "after" && (token.text === ";" || (token.kind === "word" && token.text === "settings"))) {
      return candidate;
    } else state = token.kind === "word" && token.depth === 0 && token.text === "format" ? "name" : "before";
  }
  return state === "after" ? candidate : null;
}
