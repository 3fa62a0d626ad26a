import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import type { Config } from "../../server/config/groups.ts";
import { withoutCredentials } from "../../server/config/secrets.ts";
import { connectClickHouse } from "../../workers/clickhouse-client.ts";
import { createEmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import { urlOf } from "../service-client.ts";
import { bad, type Finding, note, ok, reasonOf } from "./finding.ts";

const answerTimeoutMs = 3_000;
const engineTimeoutMs = 60_000;
/** Events from further ahead than five minutes are refused. */
const clockDifferenceMs = 2_000;

/** What the service's own port says: a service that runs, nobody, or somebody else. */
export async function examineService(config: Config): Promise<{ running: boolean; findings: Finding[] }> {
  const { port } = config.listen;
  const url = urlOf(config);
  const at = new URL(url).hostname.replace(/^\[|\]$/g, "");
  const ready = await ask(`${url}/readyz`);
  if (ready !== null && isReadiness(ready.body)) {
    const { status, degraded = [], reasons = [] } = ready.body;
    const why = [...reasons, ...degraded].join("; ");
    if (!ready.ok)
      return { running: true, findings: [bad("service", `${url} is ${status}: ${why}`, "its log says more")] };
    const finding =
      degraded.length > 0
        ? note("service", `${url} accepts events; ${why}`, "docs/operations.md says what each of these means")
        : ok("service", `${url} accepts events`);
    return { running: true, findings: [finding] };
  }
  const free = port === 0 || isFree(at, port);
  if (free && ready === null)
    return { running: false, findings: [ok("port", `${port} is free; no service is running`)] };
  return { running: false, findings: [bad("port", `${port} is another program's`, "set PORT, or end that program")] };
}

interface Readiness {
  readonly status: string;
  readonly degraded?: readonly string[];
  readonly reasons?: readonly string[];
}

function isReadiness(body: unknown): body is Readiness {
  return typeof body === "object" && body !== null && "status" in body && typeof body.status === "string";
}

async function ask(url: string): Promise<{ ok: boolean; body: unknown } | null> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(answerTimeoutMs),
      // A certificate of one's own making is no finding here.
      tls: { rejectUnauthorized: false },
    });
    return { ok: response.ok, body: await response.json() };
  } catch (error) {
    // It answered, and not in JSON: somebody else.
    if (error instanceof SyntaxError) return { ok: false, body: null };
    return null;
  }
}

function isFree(hostname: string, port: number): boolean {
  try {
    Bun.listen({ hostname, port, socket: { data: () => undefined } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

/** ClickHouse: the one that is named, or whether the embedded one starts here. */
export async function examineClickHouse(config: Config, serviceRuns: boolean): Promise<Finding[]> {
  const { urls, embeddedPort } = config.clickHouse;
  if (urls !== null) return Promise.all(urls.map((url) => examineServer(url, config)));
  // Its engine is the proof; a second one beside it would compete for memory.
  if (serviceRuns) return [ok("engine", `of the running service, on port ${embeddedPort}`)];
  const port =
    embeddedPort === 0 || isFree("127.0.0.1", embeddedPort)
      ? ok("engine port", embeddedPort === 0 ? "any free one" : `${embeddedPort} is free`)
      : bad("engine port", `${embeddedPort} is another program's`, "set EMBEDDED_CLICKHOUSE_PORT, or end that program");
  return [port, await startEngine()];
}

async function examineServer(url: string, config: Config): Promise<Finding> {
  const what = "ClickHouse";
  const { user, password, database } = config.clickHouse;
  const shown = withoutCredentials(url);
  const client = connectClickHouse(
    { urls: [url], user, password, database },
    { url, database: "default", requestTimeoutMs: answerTimeoutMs },
  );
  try {
    const result = await client.query({
      query: "SELECT version() AS version, toUnixTimestamp64Milli(now64(3)) AS time",
      format: "JSONEachRow",
    });
    const [row] = await result.json<{ version: string; time: string }>();
    const awayMs = Math.abs(Number(row?.time) - Date.now());
    const detail = `${shown} answers, version ${row?.version}`;
    return awayMs > clockDifferenceMs
      ? note(
          what,
          `${detail}; its clock differs by ${(awayMs / 1000).toFixed(1)} s`,
          "let a time service keep both clocks",
        )
      : ok(what, detail);
  } catch (error) {
    return bad(what, `${shown}: ${reasonOf(error)}`, "look at CLICKHOUSE_URL, CLICKHOUSE_USER and CLICKHOUSE_PASSWORD");
  } finally {
    await client.close();
  }
}

async function startEngine(): Promise<Finding> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-doctor-"));
  const port = findFreePort();
  const startMs = performance.now();
  let lastError = "";
  const engine = createEmbeddedClickHouse(
    {
      log(level, message) {
        if (level === "error") lastError = message;
      },
    },
    { dataDir: directory, port, user: "default", password: crypto.randomUUID(), database: "default" },
  );
  try {
    const late = { ok: false, reason: `no answer within ${engineTimeoutMs / 1000} s` } as const;
    const started = await Promise.race([engine.started, Bun.sleep(engineTimeoutMs).then(() => late)]);
    if (!started.ok) {
      const advice = "it needs glibc 2.31 or later and 2 GiB; or set CLICKHOUSE_URL to a ClickHouse of your own";
      return bad("engine", lastError || started.reason, advice);
    }
    const answer = await fetch(`http://127.0.0.1:${port}/?query=SELECT+version()`);
    const version = (await answer.text()).trim();
    return ok("engine", `starts in ${((performance.now() - startMs) / 1000).toFixed(1)} s, ClickHouse ${version}`);
  } catch (error) {
    return bad("engine", reasonOf(error), "its log says more: sluice serve");
  } finally {
    await engine.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

export async function examineRedis(url: string | null): Promise<Finding[]> {
  if (url === null) return [];
  const what = "Redis";
  const shown = String(withoutCredentials(url));
  const client = new Bun.RedisClient(url, { connectionTimeout: answerTimeoutMs, autoReconnect: false });
  try {
    await client.connect();
    const info = String(await client.send("INFO", []));
    const field = (name: string): string => new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim() ?? "";
    const detail = `${shown} answers, version ${field("redis_version")}`;
    if (field("maxmemory_policy") !== "noeviction") {
      return [bad(what, `${detail}; it may evict keys`, "set maxmemory-policy noeviction: the journal is in there")];
    }
    if (field("aof_enabled") !== "1") {
      return [note(what, `${detail}; it has no append-only file`, "set appendonly yes and appendfsync always")];
    }
    return [ok(what, detail)];
  } catch (error) {
    return [bad(what, `${shown}: ${reasonOf(error)}`, "look at REDIS_URL, and whether Redis is running")];
  } finally {
    client.close();
  }
}
