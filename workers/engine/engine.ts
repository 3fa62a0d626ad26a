import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTokenSync, dropUncommittedTokens } from "./deduplication-log.ts";
import { CODES, createException, type Exception } from "./exception.ts";
import { createLane, type Execution, type Lane } from "./lane.ts";
import type { ConnectionHandle, Progress } from "./library.ts";
import { createMark, isKill, isMarked } from "./query-id.ts";
import { createUsersXml, escapeXml } from "./reader-access.ts";
import { createSessions, type SessionRequest } from "./sessions.ts";
import { quoteIdentifier } from "./sql.ts";
import type { Statement } from "./statement.ts";

/** What a statement is for decides whose turn it waits for: a slow outside query must not hold up an insert. */
export type LaneName = "insert" | "service" | "reader";

export interface EngineOptions {
  /** The engine's own folder, `DATA_DIR/clickhouse`. */
  folder: string;
  libraryPath: string;
  /** Created when it is missing; the one database, besides the system's, that readers may read. */
  database: string;
  /** A limit for all the engine's allocations together. */
  memoryBytes: number;
  /** Told of what a crash had left and was put right. */
  onRepair: (message: string) => void;
}

export type EngineStatement = Omit<Statement, "mark" | "session">;

export interface StartOptions {
  signal?: AbortSignal | undefined;
  /** `readOnly`: only a reading statement may run. */
  session?: (SessionRequest & { readonly readOnly: boolean }) | null;
}

/** A statement under way, whose progress can be asked for; `null`: it has ended, or not begun. */
export type WatchedExecution = Execution & { progress(): Promise<(Progress & { elapsedMs: number }) | null> };

export type EngineStart = { ok: true; execution: WatchedExecution } | { ok: false; exception: Exception };

export interface Engine {
  readonly version: string;
  readonly timezone: string;
  isSetting(name: string): boolean;
  start(lane: LaneName, statement: EngineStatement, options?: StartOptions): Promise<EngineStart>;
  /** Statements other than inserts that run or wait for their turn. */
  readonly questions: number;
  /** A path for a body on its way in. The caller removes it. */
  spoolPath(): string;
  /** Makes the tokens of all inserts that have ended durable. Throws when the disk fails. */
  syncTokens(): Promise<void>;
  /** Lets running statements end for at most `timeoutMs`, then closes. `false`: some were still running. */
  stop(timeoutMs: number): Promise<boolean>;
}

/**
 * Threads per lane. Each costs about 10 MB. Two inserts at a time, as the writer sends them under load; the service asks
 * two things at once at most (rollup and history); outside tools get two.
 */
const THREADS: Readonly<Record<LaneName, number>> = { insert: 2, service: 2, reader: 2 };
const MAX_WAITING: Readonly<Record<LaneName, number>> = { insert: 16, service: 64, reader: 32 };
const STALL_TIMEOUT_MS = 30_000;

export type OpenResult = { ok: true; engine: Engine } | { ok: false; reason: string };

export async function openEngine(options: EngineOptions): Promise<OpenResult> {
  const paths = prepareFolder(options);
  for (const { table, part } of dropUncommittedTokens(paths.data)) {
    options.onRepair(`${table}: the token of part ${part}, which the engine was killed before it wrote, is taken back`);
  }
  const args = [`--path=${paths.data}`, `--config-file=${paths.config}`];
  const lane = (name: string, threads: number, maxWaiting: number): Lane =>
    createLane(
      { kill },
      { name, threads, maxWaiting, stallTimeoutMs: STALL_TIMEOUT_MS, libraryPath: options.libraryPath, args },
    );

  // Opened first and closed last. Kills and the questions of this file go through it, so it is never held for long.
  const control = lane("control", 1, 1_000);
  const lanes: Readonly<Record<LaneName, Lane>> = {
    insert: lane("insert", THREADS.insert, MAX_WAITING.insert),
    service: lane("service", THREADS.service, MAX_WAITING.service),
    reader: lane("reader", THREADS.reader, MAX_WAITING.reader),
  };
  let nextMark = 0;
  let nextSpool = 0;

  function kill(mark: string): void {
    void ask(`KILL QUERY WHERE ${isMarked(mark)} ASYNC`, "system");
  }

  /** A statement of the engine's own; the failure is the caller's to read. */
  async function ask(sql: string, database: string): Promise<{ text: string; exception: Exception | null }> {
    const started = await control.start({
      sql,
      format: "TSVRaw",
      access: "service",
      settings: [],
      params: [],
      database,
      mark: "sluice-control",
      queryId: "",
      session: null,
    });
    if (!started.ok) return { text: "", exception: started.exception };
    let text = "";
    const decoder = new TextDecoder();
    for (;;) {
      const next = await started.execution.next();
      if (next.kind === "chunk") text += decoder.decode(next.bytes, { stream: true });
      else return { text, exception: next.kind === "failed" ? next.exception : null };
    }
  }

  const sessions = createSessions((handle) => control.drop(handle));
  const runningIds = new Set<string>();

  async function start(name: LaneName, statement: EngineStatement, options: StartOptions = {}): Promise<EngineStart> {
    const { queryId } = statement;
    if (runningIds.has(queryId)) {
      const text = `Query with id = ${queryId} is already running.`;
      return { ok: false, exception: createException(CODES.QUERY_WITH_SAME_ID, text) };
    }
    const acquired = options.session ? sessions.acquire(options.session) : null;
    if (acquired?.ok === false) return acquired;
    const session =
      acquired === null ? null : { handle: acquired.session.handle, readOnly: options.session?.readOnly === true };
    const mark = createMark(process.pid, ++nextMark);
    runningIds.add(queryId);
    const ended = (handle: ConnectionHandle | null) => {
      runningIds.delete(queryId);
      if (acquired === null) return;
      acquired.session.handle = handle;
      acquired.release();
    };
    const started = await laneOf(name, statement.sql).start({ ...statement, mark, session }, options.signal, ended);
    if (started.ok) return { ok: true, execution: { ...started.execution, progress: () => askProgress(mark) } };
    ended(session?.handle ?? null);
    return started;
  }

  /** A kill waits behind nothing that it might be meant to kill, unless it asks to wait for the end of that itself. */
  const laneOf = (name: LaneName, sql: string): Lane =>
    name === "service" && isKill(sql) && !/\bSYNC\b/i.test(sql) ? control : lanes[name];

  async function askProgress(mark: string): Promise<(Progress & { elapsedMs: number }) | null> {
    const columns = "read_rows, read_bytes, written_rows, written_bytes, total_rows_approx, elapsed * 1000";
    const { text } = await ask(`SELECT ${columns} FROM system.processes WHERE ${isMarked(mark)}`, "system");
    if (text === "") return null;
    const [readRows = 0, readBytes = 0, writtenRows = 0, writtenBytes = 0, totalRows = 0, elapsedMs = 0] = text
      .split("\t")
      .map(Number);
    return { readRows, readBytes, writtenRows, writtenBytes, resultRows: 0, totalRows, elapsedMs };
  }

  if (!(await control.open()))
    return { ok: false, reason: `the engine does not open ${paths.data}: is another one using it?` };
  const created = await ask(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(options.database)}`, "system");
  if (created.exception !== null) return { ok: false, reason: created.exception.message };
  const facts = await ask("SELECT version(), timezone()", "system");
  const [version, timezone] = facts.text.trim().split("\t");
  const settings = new Set((await ask("SELECT name FROM system.settings", "system")).text.split("\n"));
  if (version === undefined || timezone === undefined || settings.size < 100)
    return { ok: false, reason: facts.exception?.message ?? "the engine does not answer questions about itself" };
  for (const opened of await Promise.all(Object.values(lanes).map((each) => each.open())))
    if (!opened) return { ok: false, reason: "the engine gives no further connection" };

  return {
    ok: true,
    engine: {
      version,
      timezone,
      isSetting: (name) => settings.has(name),
      start,
      get questions() {
        const asking = [lanes.service, lanes.reader];
        return asking.reduce((sum, each) => sum + each.running + each.waiting, 0);
      },
      syncTokens: createTokenSync(paths.data),
      spoolPath: () => join(paths.spool, `${++nextSpool}.body`),
      async stop(timeoutMs) {
        const all = Object.values(lanes);
        const idle = Promise.all(all.map((each) => each.idle())).then(() => true);
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<false>((resolve) => {
          timer = setTimeout(() => resolve(false), timeoutMs);
        });
        const ended = await Promise.race([idle, late]);
        clearTimeout(timer);
        if (!ended) return false;
        sessions.close();
        await Promise.all(all.map((each) => each.close()));
        await control.close();
        return true;
      },
    },
  };
}

function prepareFolder(options: EngineOptions): { data: string; config: string; spool: string } {
  const data = join(options.folder, "data");
  const spool = join(options.folder, "spool");
  const config = join(options.folder, "config.xml");
  const users = join(options.folder, "users.xml");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  mkdirSync(spool, { recursive: true, mode: 0o700 });
  // What an engine that was killed left half-received.
  for (const name of readdirSync(spool)) rmSync(join(spool, name));
  writeFileSync(users, createUsersXml(options.database), { mode: 0o600 });
  writeFileSync(config, createConfigXml(users, options.memoryBytes), { mode: 0o600 });
  return { data, config, spool };
}

/**
 * Server settings. Caches are sized for one machine that does other work too; the engine's defaults assume a server.
 * Merges give way to inserts and to the service: what is merged later is no less stored.
 */
function createConfigXml(usersPath: string, memoryBytes: number): string {
  return `<clickhouse>
  <users_config>${escapeXml(usersPath)}</users_config>
  <max_server_memory_usage>${memoryBytes}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <primary_index_cache_size>67108864</primary_index_cache_size>
  <query_condition_cache_size>16777216</query_condition_cache_size>
  <os_threads_nice_value_merge_mutate>5</os_threads_nice_value_merge_mutate>
</clickhouse>
`;
}
