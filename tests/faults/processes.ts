import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../testing/until.ts";

const repository = join(import.meta.dir, "../..");
const startTimeoutMs = 60_000;

/** A process that can be killed, stopped, and started again on the same port and directory. */
export interface RestartableProcess {
  readonly pid: number | null;
  /** Spawns; does not wait until it answers. */
  spawn(): void;
  /** Resolves when it answers requests. Throws when it ends instead. */
  ready(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Waits for its end; its exit code, or null when a signal ended it. */
  exited(): Promise<number | null>;
  /** SIGKILL, and its end. No-op when it is not running. */
  kill(): Promise<void>;
}

interface ProcessOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly logFile: string;
  readonly answers: () => Promise<boolean>;
}

function createProcess(options: ProcessOptions): RestartableProcess {
  let child: Bun.Subprocess | undefined;
  const running = (): Bun.Subprocess | undefined =>
    child && child.exitCode === null && child.signalCode === null ? child : undefined;
  return {
    get pid() {
      return running()?.pid ?? null;
    },
    spawn() {
      if (running()) throw new Error(`${options.name} is running`);
      const log = openSync(options.logFile, "a");
      child = Bun.spawn([...options.command], {
        cwd: repository,
        env: options.env,
        // A pipe: given a file, libchdb takes it for rows of the first insert.
        stdin: options.input === undefined ? "ignore" : "pipe",
        stdout: log,
        stderr: log,
        // A Ctrl-C of the campaign must not reach it: the campaign ends what it started.
        detached: true,
      });
      closeSync(log);
      const { stdin } = child;
      if (options.input !== undefined && typeof stdin === "object") {
        stdin.write(options.input);
        void stdin.end();
      }
    },
    async ready() {
      await until(
        `${options.name} answers`,
        async () => {
          if (!running()) throw new Error(`${options.name} ended with ${child?.exitCode ?? child?.signalCode}`);
          return options.answers();
        },
        startTimeoutMs,
      );
    },
    signal(signal) {
      running()?.kill(signal);
    },
    async exited() {
      if (!child) return null;
      await child.exited;
      return child.exitCode;
    },
    async kill() {
      running()?.kill("SIGKILL");
      await child?.exited;
    },
  };
}

export interface ServiceOptions {
  readonly port: number;
  readonly dataDir: string;
  readonly logFile: string;
  readonly env: Readonly<Record<string, string>>;
  /** Modules loaded before the service, in its writer thread too. */
  readonly preload: string;
}

/** The real service, `server/main.ts`, with the harness's preload. */
export function createService(options: ServiceOptions): RestartableProcess {
  return createProcess({
    name: "the service",
    command: [process.execPath, "--preload", options.preload, join(repository, "server/main.ts")],
    env: {
      TZ: "UTC",
      HOST: "127.0.0.1",
      PORT: String(options.port),
      DATA_DIR: options.dataDir,
      LOG_FORMAT: "json",
      ...options.env,
    },
    logFile: options.logFile,
    answers: () => answersOk(`http://127.0.0.1:${options.port}/healthz`),
  });
}

export interface EngineOptions {
  readonly port: number;
  readonly dataDir: string;
  readonly password: string;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The real engine on its own, as an external ClickHouse. */
export function createEngine(options: EngineOptions): RestartableProcess {
  const { port, dataDir, password } = options;
  return createProcess({
    name: "the engine",
    command: [process.execPath, join(repository, "workers/engine/main.ts")],
    env: { TZ: "UTC", ...options.env },
    input: `${JSON.stringify({ dataDir, port, password, detached: true })}\n`,
    logFile: options.logFile,
    answers: () => answersOk(`http://127.0.0.1:${port}/ping`),
  });
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000), keepalive: false });
    await response.arrayBuffer();
    return response.ok;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** The process id of the engine that the service runs as its child; null while there is none. */
export function embeddedEnginePid(dataDir: string): number | null {
  try {
    const text = readFileSync(join(dataDir, "clickhouse/engine.pid"), "utf8");
    const pid = Number(/"engine":\{"pid":(\d+)/.exec(text)?.[1]);
    // The file may be an earlier one's: only a process that still runs our engine may be signalled.
    const args = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return args.includes("workers/engine/main.ts") ? pid : null;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
}
