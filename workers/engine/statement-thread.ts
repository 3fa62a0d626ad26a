import { parentPort } from "node:worker_threads";
import { CODES, createException } from "./exception.ts";
import { type Chunk, type Connection, createLibrary, type Library, NO_PROGRESS, type Progress } from "./library.ts";
import { isMarked, MARK_SETTING, markValue, withClientQueryIds } from "./query-id.ts";
import { findForbidden, READER_SESSION } from "./reader-access.ts";
import { createResultFormat, isProgressFormat } from "./result-format.ts";
import { formatClauseOf, quoteIdentifier, quoteString } from "./sql.ts";
import type { Statement, StatementSession, ThreadReply, ThreadRequest } from "./statement.ts";

/**
 * A statement thread: it runs one statement at a time, each on a session of its own (opening one takes 0.3 ms), so
 * that nothing one statement sets is there for the next. Its engine calls block it, never the thread that serves HTTP.
 */
const port = parentPort;
if (port !== null) {
  const send = (reply: ThreadReply): void =>
    port.postMessage(reply, reply.kind === "chunk" ? [reply.bytes.buffer] : []);
  let library: Library | null = null;
  let args: readonly string[] = [];
  let keeper: Connection | null = null;
  /** Wakes the statement that waits for its consumer. */
  let wake: ((go: boolean) => void) | null = null;
  let credits = 0;
  let cancelled = false;

  const connect = (session: StatementSession | null): Connection | null => {
    if (library === null) return null;
    return session === null || session.handle === null ? library.connect(args) : library.attach(session.handle);
  };

  /** Asked on a connection of this thread's own, in the middle of the statement. */
  const totalRows = (mark: string): number => {
    const found = keeper?.run(`SELECT total_rows_approx FROM system.processes WHERE ${isMarked(mark)}`, "TSV");
    return found?.ok ? Number(new TextDecoder().decode(found.bytes)) : 0;
  };

  const nextPull = (): Promise<boolean> => {
    if (cancelled) return Promise.resolve(false);
    if (credits > 0) {
      credits--;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      wake = resolve;
    });
  };

  port.on("message", (request: ThreadRequest) => {
    switch (request.kind) {
      case "open":
        library = createLibrary(request.libraryPath);
        args = request.args;
        // Held for as long as the thread lives: the engine shuts down when its last connection closes.
        keeper = library.connect(args);
        send({ kind: keeper === null ? "refused" : "opened" });
        return;
      case "run": {
        credits = 0;
        cancelled = false;
        const { session } = request.statement;
        const connection = connect(session);
        const kept = session === null ? null : (connection?.handle ?? null);
        runStatement(connection, request.statement, { nextPull, send, totalRows }).then(
          (outcome) => send({ kind: "ended", ...outcome, session: kept }),
          (error: unknown) =>
            send({
              kind: "ended",
              progress: NO_PROGRESS,
              failure: createException(CODES.UNKNOWN_EXCEPTION, String(error)).message,
              session: kept,
            }),
        );
        return;
      }
      case "pull":
        if (wake === null) credits++;
        else {
          wake(true);
          wake = null;
        }
        return;
      case "cancel":
        cancelled = true;
        wake?.(false);
        wake = null;
        return;
      case "drop":
        library?.attach(request.handle).close();
        return;
      case "close":
        keeper?.close();
        keeper = null;
        send({ kind: "closed" });
        port.close();
        return;
    }
  });
}

type Outcome = { progress: Progress; failure: string | null };

/** What a statement needs of its thread. */
interface Surroundings {
  nextPull: () => Promise<boolean>;
  send: (reply: ThreadReply) => void;
  /** How many rows the engine expects to read for a statement that runs; 0: it does not know. */
  totalRows: (mark: string) => number;
}

async function runStatement(
  connection: Connection | null,
  statement: Statement,
  surroundings: Surroundings,
): Promise<Outcome> {
  if (connection === null) return fail(CODES.UNKNOWN_EXCEPTION, "The engine gave no connection.");
  if (statement.session !== null) return runInSession(connection, statement, statement.session, surroundings);
  try {
    return await runOn(connection, statement, surroundings);
  } finally {
    connection.close();
  }
}

/** What the request has set is put back; what its statement has set stays. */
async function runInSession(
  connection: Connection,
  statement: Statement,
  { readOnly }: StatementSession,
  surroundings: Surroundings,
): Promise<Outcome> {
  if (readOnly && connection.analyse(statement.sql).class !== "read")
    return fail(CODES.READONLY, "Cannot execute query in readonly mode.");
  const before = readSessionState(connection, statement);
  if (!before.ok) return { progress: NO_PROGRESS, failure: before.message };
  try {
    return await runOn(connection, statement, surroundings);
  } finally {
    connection.run(before.restore, "Null");
  }
}

/** The statements that give a session back the settings and the database that this request is going to replace. */
function readSessionState(
  connection: Connection,
  { settings, database }: Statement,
): { ok: true; restore: string } | { ok: false; message: string } {
  const names = settings.map(([name]) => quoteString(name)).join(", ");
  const of = settings.length === 0 ? "false" : `name IN (${names})`;
  const sql = `SELECT '', currentDatabase(), true UNION ALL SELECT name, value, changed FROM system.settings WHERE ${of}`;
  const state = connection.run(sql, "JSONCompactEachRow");
  if (!state.ok) return state;
  const rows = new TextDecoder().decode(state.bytes).trim().split("\n");
  const restore = rows.flatMap((row) => {
    const [name, value, changed]: [string, string, number | boolean] = JSON.parse(row);
    if (name !== "") return [`SET ${name} = ${changed ? quoteString(value) : "DEFAULT"}`];
    return database === null ? [] : [`USE ${quoteIdentifier(value)}`];
  });
  return { ok: true, restore: restore.length === 0 ? "SELECT 1" : restore.join("; ") };
}

async function runOn(connection: Connection, statement: Statement, surroundings: Surroundings): Promise<Outcome> {
  let { sql } = statement;
  if (statement.access === "reader") {
    const checked = checkReaderStatement(connection, sql);
    if (!checked.ok) return { progress: NO_PROGRESS, failure: checked.failure };
    sql = checked.sql;
  }
  const prelude = connection.run(preludeOf(statement), "Null");
  if (!prelude.ok) return { progress: NO_PROGRESS, failure: prelude.message };
  return await runPrepared(connection, withClientQueryIds(sql), statement, surroundings);
}

/**
 * Lets a reader's text through only as one reading statement, by the engine's own parser: that refuses several
 * statements, INTO OUTFILE, SET, USE, KILL and the like, which `readonly` does not. What then runs is the engine's
 * normal form of the text, so that what was checked and what runs cannot differ.
 */
function checkReaderStatement(
  connection: Connection,
  sql: string,
): { ok: true; sql: string } | { ok: false; failure: string } {
  const refuse = (code: number, text: string) => ({ ok: false, failure: createException(code, text).message }) as const;
  const analysis = connection.analyse(sql);
  if (analysis.class !== "unparsed") {
    if (analysis.count !== 1) return refuse(CODES.READONLY, "Without credentials a request is one statement.");
    if (analysis.class !== "read") return refuse(CODES.READONLY, "Cannot execute query in readonly mode.");
  }
  // Unparsed text goes through here too: this is what words the syntax error.
  const normal = connection.run(`SELECT formatQuerySingleLine(${quoteString(sql)})`, "RawBLOB");
  if (!normal.ok) return { ok: false, failure: withoutProbe(normal.message) };
  const normalSql = new TextDecoder().decode(normal.bytes);
  const forbidden = findForbidden(normalSql);
  if (forbidden?.kind === "function")
    return refuse(CODES.ACCESS_DENIED, `Not enough privileges: function ${forbidden.name} needs credentials.`);
  if (forbidden?.kind === "settings") return refuse(CODES.READONLY, "Cannot modify settings in readonly mode.");
  if (analysis.class === "unparsed") return refuse(CODES.READONLY, "Cannot execute query in readonly mode.");
  return { ok: true, sql: normalSql };
}

/** Cuts our own probe out of the engine's syntax error. */
function withoutProbe(message: string): string {
  return message.replace(/: In scope SELECT formatQuerySingleLine\(.*\)(?=\. \([A-Z_]+\)$)/s, "");
}

/** Everything in here is quoted or checked to be an identifier; nothing of the request is spliced. */
function preludeOf(statement: Statement): string {
  const lines = statement.database === null ? [] : [`USE ${quoteIdentifier(statement.database)}`];
  lines.push(`SET ${MARK_SETTING} = ${quoteString(markValue(statement.mark, statement.queryId))}`);
  for (const [name, value] of statement.params) lines.push(`SET param_${name} = ${quoteString(value)}`);
  // Last, as `readonly` may be among them, itself the last: after it nothing can be set.
  for (const [name, value] of statement.settings) lines.push(`SET ${name} = ${quoteString(value)}`);
  if (statement.access === "reader") lines.push(READER_SESSION);
  return lines.join("; ");
}

async function runPrepared(
  connection: Connection,
  sql: string,
  { format: defaultFormat, mark }: Statement,
  surroundings: Surroundings,
): Promise<Outcome> {
  const format = formatClauseOf(sql) ?? defaultFormat;
  const resultFormat = createResultFormat(format);
  const stream = resultFormat === null ? null : connection.stream(sql, defaultFormat);
  if (stream === null || (!stream.ok && isNotStreamable(stream.message))) {
    const whole = connection.run(sql, defaultFormat);
    return deliver(whole, NO_PROGRESS, surroundings);
  }
  if (!stream.ok) return { progress: NO_PROGRESS, failure: stream.message };
  let progress: Progress = NO_PROGRESS;
  try {
    for (let first = true; ; first = false) {
      const chunk = stream.fetch();
      if (first && isProgressFormat(format)) progress = { ...progress, totalRows: surroundings.totalRows(mark) };
      if (chunk.ok && chunk.bytes.length === 0) return { progress, failure: null };
      if (chunk.ok && resultFormat !== null) chunk.bytes = resultFormat.join(chunk.bytes);
      const outcome = await deliver(chunk, progress, surroundings);
      if (outcome.failure !== null) return outcome;
      progress = outcome.progress;
    }
  } finally {
    stream.close();
  }
}

/** Hands a chunk over once its consumer wants it. */
async function deliver(chunk: Chunk, before: Progress, { nextPull, send }: Surroundings): Promise<Outcome> {
  if (!chunk.ok) return { progress: before, failure: chunk.message };
  const progress = addProgress(before, chunk.progress);
  if (chunk.bytes.length === 0) return { progress, failure: null };
  if (!(await nextPull())) return { ...fail(CODES.QUERY_WAS_CANCELLED, "The client went away."), progress };
  send({ kind: "chunk", bytes: chunk.bytes, progress });
  return { progress, failure: null };
}

function fail(code: number, text: string): Outcome {
  return { progress: NO_PROGRESS, failure: createException(code, text).message };
}

const isNotStreamable = (message: string): boolean => message.includes("Streaming query is not supported");

function addProgress(a: Progress, b: Progress): Progress {
  return {
    readRows: a.readRows + b.readRows,
    readBytes: a.readBytes + b.readBytes,
    writtenRows: a.writtenRows + b.writtenRows,
    writtenBytes: a.writtenBytes + b.writtenBytes,
    resultRows: a.resultRows + b.resultRows,
    totalRows: Math.max(a.totalRows, b.totalRows),
  };
}
