import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createEmbeddedClickHouse,
  type EmbeddedClickHouse,
  type EmbeddedClickHouseOptions,
} from "../workers/engine/supervisor.ts";

/** A real engine process on a folder of its own, for tests. */
export interface TestEngine {
  url: string;
  dataDir: string;
  clickhouse: EmbeddedClickHouse;
  /** Everything the supervisor has logged. */
  logged: string[];
  /** With the password. */
  service(sql: string, request?: AskOptions): Promise<Answer>;
  /** Without. */
  reader(sql: string, request?: AskOptions): Promise<Answer>;
  stop(): Promise<void>;
}

export interface AskOptions {
  params?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
  method?: "GET" | "POST";
}

export interface Answer {
  status: number;
  text: string;
  headers: Headers;
}

export const PASSWORD = "correct horse";

export async function startTestEngine(options: Partial<EmbeddedClickHouseOptions> = {}): Promise<TestEngine> {
  const dataDir = options.dataDir ?? createTestFolder();
  const logged: string[] = [];
  const clickhouse = createEmbeddedClickHouse(
    { log: (level, message) => logged.push(`${level} ${message}`) },
    { dataDir, port: 0, user: "default", password: PASSWORD, database: "default", ...options },
  );
  const started = await clickhouse.started;
  if (!started.ok) throw new Error(`${started.reason}\n${logged.join("\n")}`);
  const url = `http://127.0.0.1:${started.port}/`;
  return {
    url,
    dataDir,
    clickhouse,
    logged,
    service: (sql, request) =>
      ask(url, sql, { ...request, headers: { ...credentials(PASSWORD), ...request?.headers } }),
    reader: (sql, request) => ask(url, sql, request),
    async stop() {
      await clickhouse.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export const createTestFolder = (): string => mkdtempSync(join(tmpdir(), "sluice-clickhouse-"));

export const credentials = (password: string): Record<string, string> => ({
  "X-ClickHouse-User": "default",
  "X-ClickHouse-Key": password,
});

/** POST: the SQL is the body. GET: it is in the URL. */
export async function ask(url: string, sql: string, options: AskOptions = {}): Promise<Answer> {
  const query = new URLSearchParams(options.params);
  const method = options.method ?? "POST";
  if (method === "GET") query.set("query", sql);
  const response = await fetch(`${url}?${query}`, {
    method,
    headers: { ...options.headers },
    ...(method === "POST" ? { body: sql } : {}),
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error(`no resident size for process ${pid}`);
  return Number(kilobytes) * 1024;
}

export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false;
  }
}
