import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../base/free-port.ts";
import { until } from "./until.ts";

export { until } from "./until.ts";

const bun = process.execPath;
const root = join(import.meta.dir, "..");
const startTimeoutMs = 60_000;

export interface Service {
  readonly url: string;
  readonly clickHouseUrl: string;
  readonly dataDirectory: string;
  readonly pid: number;
  /** All that it has logged. */
  log(): string;
  /** Rows of a query on the engine's port, without credentials. */
  sql<T>(query: string): Promise<T[]>;
  ingest(body: unknown, init?: { headers?: Record<string, string>; query?: string }): Promise<Response>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number>;
  /** A service on the same ports and directory, after `kill` or `stop`. */
  restart(environment?: Record<string, string>): Promise<Service>;
  /** Ends it, however it is, and removes its directory. */
  dispose(): Promise<void>;
}

interface Place {
  readonly port: number;
  readonly clickHousePort: number;
  readonly dataDirectory: string;
}

/**
 * Starts the real service as a process, with the real embedded engine, on free ports and a directory of its own. `program`: the
 * root of another release.
 */
export async function startService(environment: Record<string, string> = {}, program = root): Promise<Service> {
  const place = {
    port: findFreePort(),
    clickHousePort: findFreePort(),
    dataDirectory: mkdtempSync(join(tmpdir(), "sluice-")),
  };
  return startAt(place, environment, program);
}

async function startAt(place: Place, environment: Record<string, string>, program: string): Promise<Service> {
  const child = Bun.spawn([bun, "server/main.ts"], {
    cwd: program,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "",
      PORT: String(place.port),
      EMBEDDED_CLICKHOUSE_PORT: String(place.clickHousePort),
      DATA_DIR: place.dataDirectory,
      LOG_FORMAT: "json",
      ...environment,
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  let log = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true });
  })();
  const url = `http://127.0.0.1:${place.port}`;
  const clickHouseUrl = `http://127.0.0.1:${place.clickHousePort}`;
  const ended = async (): Promise<number> => {
    const code = await child.exited;
    await reading;
    return code;
  };
  const service: Service = {
    url,
    clickHouseUrl,
    dataDirectory: place.dataDirectory,
    pid: child.pid,
    log: () => log,
    async sql<T>(query: string) {
      const response = await fetch(
        `${clickHouseUrl}/?default_format=JSONEachRow&output_format_json_quote_64bit_integers=0`,
        {
          method: "POST",
          body: query,
        },
      );
      const text = await response.text();
      if (!response.ok) throw new Error(text);
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as T);
    },
    ingest(body, init = {}) {
      return fetch(`${url}/ingest${init.query ?? ""}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...init.headers },
        body: typeof body === "string" || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body),
      });
    },
    async kill() {
      child.kill("SIGKILL");
      await ended();
    },
    async stop() {
      child.kill("SIGTERM");
      return ended();
    },
    restart: (more = {}) => startAt(place, { ...environment, ...more }, program),
    async dispose() {
      child.kill("SIGKILL");
      await ended();
      rmSync(place.dataDirectory, { recursive: true, force: true });
    },
  };
  await until(
    `the service on ${url} to be ready`,
    async () => {
      if (child.exitCode !== null) {
        await reading;
        throw new Error(`the service ended with ${child.exitCode}:\n${log}`);
      }
      const response = await fetch(`${url}/healthz`).catch(() => undefined);
      return response?.ok;
    },
    startTimeoutMs,
  );
  return service;
}

/** The newest `update` of a live stream, read until `good` says so. */
export async function updateWhere<U>(url: string, good: (update: U) => boolean, timeoutMs = 20_000): Promise<U> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new Error("no such update in time")), timeoutMs);
  try {
    const response = await fetch(url, { signal: abort.signal });
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const messages = text.split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) {
        if (!message.includes("event: update")) continue;
        const data = message.split("\n").find((line) => line.startsWith("data: "));
        const update = JSON.parse(data?.slice(6) ?? "null") as U;
        if (good(update)) return update;
      }
    }
    throw new Error("the stream ended");
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}
