import { type EngineProcessMessage, type EngineProcessOptions, parseEngineProcessMessage } from "./options.ts";
import { createProcessorShare, createProcessorSystem, type ProcessorShare } from "./processor-share.ts";

export type EngineLogLevel = "debug" | "info" | "warn" | "error";

export interface EmbeddedClickHouseDeps {
  log: (level: EngineLogLevel, message: string) => void;
}

export interface EmbeddedClickHouseOptions {
  /** The engine takes `dataDir/clickhouse`. */
  dataDir: string;
  /** 0: any free one, kept across restarts. */
  port: number;
  user: string;
  /** Must not be empty: an empty password would be everybody's. */
  password: string;
  /** Default database, created when missing, and the one that readers without credentials may read. */
  database: string;
  /** Limit on the engine's allocations. Default 2 GiB. */
  memoryBytes?: number;
  /** For the first attempt to start; each further one in a row gets twice the time. Default 60 s. */
  startTimeoutMs?: number;
  /** How long a stop waits for running statements. Default 10 s. */
  shutdownTimeoutMs?: number;
}

export type EngineState = "starting" | "running" | "restarting" | "stopped";

export interface EngineStatus {
  state: EngineState;
  /** How often it has been started again. */
  restarts: number;
  /** Why it last ended when it should not have; `null` when it never did. */
  lastExit: string | null;
  /** `null` until it has first answered. */
  port: number | null;
  pid: number | null;
}

export type StartResult = { ok: true; port: number } | { ok: false; reason: string };

export interface EmbeddedClickHouse {
  /**
   * Settles when the engine first answers, or can never (the port or the folder is somebody else's): then `state` is
   * `stopped` and nothing is left behind. An engine that merely fails is tried again for as long as it takes.
   */
  readonly started: Promise<StartResult>;
  status(): EngineStatus;
  /** How many sealed batches wait for it, the one under way included: decides its share of the processor. */
  setBacklog(sealedBatches: number): void;
  /** Graceful, then bounded, then SIGKILL. Idempotent. */
  stop(): Promise<void>;
}

const DEFAULT_MEMORY_BYTES = 2 * 1024 * 1024 * 1024;
const DEFAULT_SHUTDOWN_TIMEOUT_MS = 10_000;
/** Loading many parts after a crash takes a while; a hang must end all the same. */
const DEFAULT_START_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MAX_MS = 600_000;
const KILL_MARGIN_MS = 1_000;
const RESTART_DELAY_MIN_MS = 100;
const RESTART_DELAY_MAX_MS = 10_000;
/** A run this long was a good one: the next delay starts from the minimum again. */
const GOOD_RUN_MS = 30_000;
const PING_POLL_MS = 10;

type Child = Bun.Subprocess<"pipe", "pipe", "inherit">;
type ReadyResult = { ok: true; port: number } | { ok: false; reason: string; final: boolean };

/**
 * Runs the embedded ClickHouse as a child process and keeps it running. This module does not load the engine, so the
 * process that calls it stays small.
 *
 * @example
 * const clickhouse = createEmbeddedClickHouse({ log }, { dataDir, port: 8123, user: "default", password, database });
 * const started = await clickhouse.started;
 */
export function createEmbeddedClickHouse(
  deps: EmbeddedClickHouseDeps,
  options: EmbeddedClickHouseOptions,
): EmbeddedClickHouse {
  const firstStartTimeoutMs = options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
  const shutdownTimeoutMs = options.shutdownTimeoutMs ?? DEFAULT_SHUTDOWN_TIMEOUT_MS;
  const status: EngineStatus = { state: "starting", restarts: 0, lastExit: null, port: null, pid: null };
  const stopRequested = Promise.withResolvers<void>();
  let stopping = false;
  let child: Child | null = null;
  const system = createProcessorSystem();
  let share: ProcessorShare | null = null;
  /** Null: nobody inserts batches, so nobody's acknowledgements wait for the engine either. */
  let sealedBatches: number | null = null;

  const { promise: started, resolve: settleStarted } = Promise.withResolvers<StartResult>();
  const finished = supervise();

  async function supervise(): Promise<void> {
    let delayMs = RESTART_DELAY_MIN_MS;
    let startTimeoutMs = firstStartTimeoutMs;
    let refusal = "stopped before it had started";
    while (!stopping) {
      const startedAtMs = performance.now();
      const running = spawnEngine({
        dataDir: options.dataDir,
        port: status.port ?? options.port,
        user: options.user,
        password: options.password,
        database: options.database,
        memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
        shutdownTimeoutMs,
        detached: false,
      });
      child = running;
      status.pid = running.pid;
      const ready = await waitUntilReady(
        running,
        { log: deps.log, onAsked: (waiting) => share?.answer(waiting) },
        startTimeoutMs,
      );
      startTimeoutMs = ready.ok ? firstStartTimeoutMs : Math.min(startTimeoutMs * 2, START_TIMEOUT_MAX_MS);
      if (ready.ok && !stopping) {
        status.state = "running";
        status.port = ready.port;
        share = createProcessorShare(
          {
            system,
            monotonicNow: () => performance.now(),
            setTimer: setTimeout,
            clearTimer: (timer) => clearTimeout(timer as Timer),
            log: deps.log,
          },
          running.pid,
        );
        // Only now: nothing waits for a start to get out of the way.
        if (sealedBatches !== null) share.follow(sealedBatches);
        settleStarted({ ok: true, port: ready.port });
      } else if (!ready.ok) {
        running.kill("SIGKILL");
        // A wrong start is the caller's to report; after a good one the cause may pass, so it tries again.
        if (ready.final && status.port === null) {
          stopping = true;
          refusal = ready.reason;
        }
        if (!stopping || ready.final) deps.log("error", `embedded ClickHouse: ${ready.reason}`);
      }
      await running.exited;
      share?.stop();
      share = null;
      child = null;
      status.pid = null;
      if (stopping) break;
      if (performance.now() - startedAtMs > GOOD_RUN_MS) delayMs = RESTART_DELAY_MIN_MS;
      status.state = status.port === null ? "starting" : "restarting";
      status.restarts++;
      status.lastExit = ready.ok ? exitReason(running) : ready.reason;
      deps.log("warn", `embedded ClickHouse ended (${status.lastExit}); starting it again in ${delayMs} ms`);
      await Promise.race([Bun.sleep(delayMs), stopRequested.promise]);
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MAX_MS);
    }
    status.state = "stopped";
    settleStarted({ ok: false, reason: refusal });
  }

  return {
    started,
    status: () => ({ ...status }),
    setBacklog(batches) {
      sealedBatches = batches;
      share?.follow(batches);
    },
    async stop() {
      stopping = true;
      stopRequested.resolve();
      const running = child;
      if (running !== null) {
        // Whoever stops waits for it.
        share?.follow(Number.POSITIVE_INFINITY);
        running.kill("SIGTERM");
        const timer = setTimeout(() => running.kill("SIGKILL"), shutdownTimeoutMs + KILL_MARGIN_MS);
        await running.exited;
        clearTimeout(timer);
      }
      await finished;
    },
  };
}

function spawnEngine(options: EngineProcessOptions): Child {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/main.ts`], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    // Nothing of ours: neither secrets in the service's environment nor a locale or zone that would change results.
    env: { TZ: "UTC" },
    // A terminal's Ctrl-C goes to the whole group; the engine ends when its parent says so.
    detached: true,
  });
  // The pipe stays open: its end is how the engine learns that this process is gone.
  child.stdin.write(`${JSON.stringify(options)}\n`);
  child.stdin.flush();
  return child;
}

/** Follows what the child says for as long as it lives, and resolves once it answers requests or never will. */
function waitUntilReady(
  child: Child,
  { log, onAsked }: EmbeddedClickHouseDeps & { readonly onAsked: (waiting: boolean) => void },
  timeoutMs: number,
): Promise<ReadyResult> {
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => resolve({ ok: false, reason: `no answer within ${timeoutMs} ms`, final: false }),
      timeoutMs,
    );
    const settle = (result: ReadyResult) => {
      clearTimeout(timer);
      resolve(result);
    };
    const onMessage = (message: EngineProcessMessage) => {
      if (message.kind === "ready") void waitForPing(message.port).then(() => settle({ ok: true, port: message.port }));
      else if (message.kind === "refused")
        settle({ ok: false, reason: message.reason, final: message.cause !== "engine" });
      else if (message.kind === "asked") onAsked(message.waiting);
      else log(message.level, `embedded ClickHouse: ${message.message}`);
    };
    void readLines(child.stdout, (line) => {
      const message = parseEngineProcessMessage(line);
      if (message === null) log("debug", `embedded ClickHouse: ${line}`);
      else onMessage(message);
    });
    void child.exited.then(() => settle({ ok: false, reason: exitReason(child), final: false }));

    async function waitForPing(port: number): Promise<void> {
      while (child.exitCode === null && child.signalCode === null) {
        try {
          if ((await fetch(`http://127.0.0.1:${port}/ping`)).ok) return;
        } catch (error) {
          log("debug", `embedded ClickHouse does not answer yet: ${error}`);
        }
        await Bun.sleep(PING_POLL_MS);
      }
    }
  });
}

/** A line longer than any message is somebody else's output; it is cut. */
const MAX_LINE_LENGTH = 64 * 1024;

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    const lines = text.split("\n");
    text = (lines.pop() ?? "").slice(0, MAX_LINE_LENGTH);
    for (const line of lines) onLine(line);
  }
}

function exitReason(child: Child): string {
  return child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
}
