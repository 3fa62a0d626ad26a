import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import type { Unacceptable } from "../../base/http/handler.ts";
import { createSocketListener, type SocketListener } from "../../base/http/socket-listener.ts";
import { type Engine, openEngine } from "./engine.ts";
import { claimFolder } from "./folder-lock.ts";
import { createHttpHandler, type HttpHandler } from "./http.ts";
import { createLibc } from "./libc.ts";
import { type EngineProcessMessage, type EngineProcessOptions, parseEngineProcessOptions } from "./options.ts";

/**
 * The embedded engine's process: `bun workers/engine/main.ts`, options as one JSON line on standard input.
 *
 * While standard input is open its parent lives; when it ends, so does the process, at once, whatever the parent died
 * of. The engine's files are made to survive that. With `"detached": true` it serves until SIGTERM:
 *
 *   echo '{"dataDir":"/tmp/ch","port":8123,"password":"secret","detached":true}' | bun workers/engine/main.ts
 */

const say = (message: EngineProcessMessage): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

/** Not `process.exit`: libchdb's exit hooks wait for threads that the runtime has already stopped, and hang. */
const exitNow = (code: number): never => createLibc().exit(code);

async function main(): Promise<void> {
  // Before the engine loads: it takes the zone of the process for the server's.
  const libc = createLibc();
  libc.setEnvironment("TZ", "UTC");
  // A bug ends the process at once, and the supervisor starts a clean one.
  process.on("uncaughtException", (error) => {
    process.stderr.write(`embedded ClickHouse: ${error instanceof Error ? error.stack : String(error)}\n`);
    exitNow(1);
  });
  const input = Bun.stdin.stream().getReader();
  const line = await readLine(input);
  const parsed = parseEngineProcessOptions(line);
  if (!parsed.ok) return refuse("options", parsed.reason);
  const { options } = parsed;
  if (!options.detached) void exitWhenEnded(input);

  const folder = join(resolve(options.dataDir), "clickhouse");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const claim = await claimFolder(libc, folder, options.detached ? null : process.ppid);
  if (!claim.ok) return refuse("folder_in_use", claim.reason);
  if (claim.replacedPid !== null)
    say({ kind: "log", level: "warn", message: `killed the stale engine ${claim.replacedPid}` });

  // The port first: opening the engine takes longer, and a port that is taken is the likelier failure.
  let handle: HttpHandler = async () => new Response("The engine is starting.\n", { status: 503 });
  const server = serve(options.port, (request, exchange) => handle(request, exchange));
  if (!server.ok) return refuse("port_in_use", server.reason);

  const opened = await openEngine({
    folder,
    libraryPath: libraryPath(),
    database: options.database,
    memoryBytes: options.memoryBytes,
    onRepair: (message) => say({ kind: "log", level: "warn", message }),
  });
  if (!opened.ok) return refuse("engine", opened.reason);
  handle = createHttpHandler(opened.engine, {
    service: { user: options.user, password: options.password },
    database: options.database,
    readerLimits: {
      max_execution_time: 60,
      max_result_rows: 10_000_000,
      max_result_bytes: 1024 * 1024 * 1024,
      max_memory_usage: Math.floor(options.memoryBytes / 4),
      max_temporary_data_on_disk_size_for_query: 1024 * 1024 * 1024,
      max_threads: Math.max(1, Math.floor(availableParallelism() / 2)),
    },
  });
  stopOnSignal(opened.engine, options, () => {
    handle = async () => new Response("The engine is stopping.\n", { status: 503 });
  });
  // One that serves on its own has nobody to tell.
  if (!options.detached) tellOfQuestions(opened.engine);
  say({ kind: "ready", port: Number(server.server.url.port), version: opened.engine.version });
}

const questionPollMs = 100;

/** People wait for an answer: the supervisor does not let the engine yield meanwhile. Questions that are answered at once are not told of. */
function tellOfQuestions(engine: Engine): void {
  let asked = false;
  let told = false;
  setInterval(() => {
    const before = asked;
    asked = engine.questions > 0;
    const waiting = asked && (before || told);
    if (waiting !== told) say({ kind: "asked", waiting });
    told = waiting;
  }, questionPollMs).unref();
}

function refuse(cause: Extract<EngineProcessMessage, { kind: "refused" }>["cause"], reason: string): void {
  say({ kind: "refused", cause, reason });
  exitNow(1);
}

type Input = { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };

const MAX_LINE_BYTES = 64 * 1024;

async function readLine(input: Input): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (text.length < MAX_LINE_BYTES) {
    const { done, value } = await input.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    const end = text.indexOf("\n");
    if (end !== -1) return text.slice(0, end);
  }
  return text;
}

async function exitWhenEnded(input: Input): Promise<void> {
  for (;;) {
    const { done } = await input.read();
    if (done) exitNow(0);
  }
}

/** For a body on its way in; a statement may then say nothing for as long as it runs. */
const BODY_IDLE_TIMEOUT_MS = 60_000;
const HEAD_TIMEOUT_MS = 10_000;
const LINGER_MS = 2_000;
const MAX_CONNECTIONS = 1_000;
/** A query may be in the URL, as long as it may be in a body. */
const HEAD_MAX_BYTES = 1024 * 1024;
const HEADERS_MAX = 100;

const REFUSALS: Readonly<Record<Unacceptable, { readonly status: number; readonly text: string }>> = {
  syntax: { status: 400, text: "The request is not HTTP/1.1." },
  head_too_large: { status: 431, text: "The request's target and headers are too large." },
  version: { status: 505, text: "The HTTP version must be 1.1 or 1.0." },
  host: { status: 400, text: "A request has one Host header, and a target that is a path." },
  late: { status: 408, text: "The request's headers did not arrive in time." },
  early: { status: 400, text: "The request ended early." },
  too_many_connections: { status: 503, text: `More than ${MAX_CONNECTIONS} connections are open.` },
};

type ServeResult = { ok: true; server: SocketListener } | { ok: false; reason: string };

function serve(port: number, handle: HttpHandler): ServeResult {
  try {
    const server: SocketListener = createSocketListener(
      {
        fetch: (request) =>
          handle(request, {
            received: () => server.timeout(request, 0),
            beginHead: (lines) => server.beginHead(request, lines),
          }),
        error: () => new Response("Internal error.\n", { status: 500 }),
        refuse: (why) => new Response(`${REFUSALS[why].text}\n`, { status: REFUSALS[why].status }),
        onBug: (bug) =>
          say({ kind: "log", level: "warn", message: `a connection was closed because of a bug: ${bug}` }),
        // As in ClickHouse: the client has gone, and a read is of no use to anybody.
        isGoneWithItsEnd: () => true,
        monotonicNow: () => performance.now(),
      },
      {
        hostname: "127.0.0.1",
        port,
        connectionsMax: MAX_CONNECTIONS,
        headMaxBytes: HEAD_MAX_BYTES,
        headersMax: HEADERS_MAX,
        headTimeoutMs: HEAD_TIMEOUT_MS,
        idleTimeoutMs: BODY_IDLE_TIMEOUT_MS,
        lingerMs: LINGER_MS,
      },
    );
    return { ok: true, server };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE")
      return { ok: false, reason: `port ${port} of 127.0.0.1 is taken by another program` };
    return { ok: false, reason: `cannot listen on 127.0.0.1:${port}: ${error}` };
  }
}

function stopOnSignal(engine: Engine, options: EngineProcessOptions, refuseRequests: () => void): void {
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    // What is under way goes on; whoever asks now is told.
    refuseRequests();
    await engine.stop(options.shutdownTimeoutMs);
    exitNow(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

/** Only the path: `chdb` itself would load a second copy of the engine. */
function libraryPath(): string {
  const { libchdbPath }: { libchdbPath: () => string } = createRequire(import.meta.url)("chdb/libchdb");
  return libchdbPath();
}

if (import.meta.main) await main();
