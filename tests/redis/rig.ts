import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { connectRedis, type RedisConnection } from "../../workers/redis/connection.ts";
import { keyPrefix } from "../../workers/redis/scripts.ts";

const root = join(import.meta.dir, "../..");
const password = "redis rig";

/** Where Debian puts it; null where it is not installed. */
export const redisProgram = Bun.which("redis-server");

/** A real Redis on a port and in a directory of its own, with an AOF that is flushed for each write. */
export interface Redis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /**
   * Rows of the journal, as of now: what was ever accepted, and what of it is neither stored nor a dead letter. Null when
   * Redis does not answer: on a busy disk its flush takes seconds.
   */
  counts(): Promise<{ durable: number; pending: number } | null>;
  kill(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

export async function startRedis(): Promise<Redis> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-redis-"));
  const port = findFreePort();
  const url = `redis://127.0.0.1:${port}`;
  let child = launch();
  function launch() {
    const settings = { port, bind: "127.0.0.1", dir: directory, appendonly: "yes", appendfsync: "always", save: "" };
    const command = [
      redisProgram ?? "redis-server",
      ...Object.entries(settings).flatMap(([k, v]) => [`--${k}`, String(v)]),
    ];
    return Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  }
  async function ask(command: string, args: string[]): Promise<unknown> {
    const client = new Bun.RedisClient(url, { autoReconnect: false, connectionTimeout: 500 });
    try {
      await client.connect();
      return await client.send(command, args);
    } finally {
      client.close();
    }
  }
  const answering = () =>
    until("Redis to answer", async () => {
      try {
        return (await ask("PING", [])) === "PONG";
      } catch (error) {
        if (error instanceof Error) return false;
        throw error;
      }
    });
  await answering();
  const redis: Redis = {
    url,
    port,
    get pid() {
      return child.pid;
    },
    async counts() {
      const names = ["durable", "stored", "dead_lettered"];
      const fields = await ask("HMGET", [`${keyPrefix}journal`, ...names]).catch(() => null);
      if (fields === null) return null;
      const [durable = 0, stored = 0, deadLettered = 0] = (fields as (string | null)[]).map(Number);
      return { durable, pending: durable - stored - deadLettered };
    },
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
    async start() {
      child = launch();
      await answering();
    },
    async dispose() {
      await redis.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return redis;
}

/** The embedded engine run alone: one ClickHouse for all instances. */
export interface Engine {
  readonly url: string;
  readonly pid: number;
  rows<T>(sql: string): Promise<T[]>;
  dispose(): Promise<void>;
}

export async function startEngine(): Promise<Engine> {
  const dataDir = mkdtempSync(join(tmpdir(), "sluice-engine-"));
  const port = findFreePort();
  const log = openSync(join(dataDir, "engine.log"), "a");
  const child = Bun.spawn([process.execPath, "workers/engine/main.ts"], {
    cwd: root,
    env: { PATH: process.env.PATH ?? "", HOME: dataDir },
    stdin: "pipe",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  child.stdin.write(`${JSON.stringify({ dataDir, port, password, detached: true })}\n`);
  await child.stdin.end();
  const url = `http://127.0.0.1:${port}`;
  const ask = (sql: string) =>
    fetch(`${url}/?default_format=JSONEachRow&output_format_json_quote_64bit_integers=0`, {
      method: "POST",
      headers: { "X-ClickHouse-User": "default", "X-ClickHouse-Key": password },
      body: sql,
    });
  await until(
    "the engine",
    async () => {
      if (child.exitCode !== null) throw new Error(`the engine ended with ${child.exitCode}`);
      return (await ask("SELECT 1").catch(() => undefined))?.ok;
    },
    60_000,
  );
  return {
    url,
    pid: child.pid,
    async rows<T>(sql: string) {
      const response = await ask(sql);
      const text = await response.text();
      if (!response.ok) throw new Error(text);
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as T);
    },
    async dispose() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Several instances over one Redis and one ClickHouse, in a database of their own. */
export interface Fleet {
  readonly redis: Redis;
  readonly engine: Engine;
  readonly database: string;
  readonly instances: (Service | null)[];
  start(index: number, environment?: Record<string, string>): Promise<Service>;
  kill(index: number): Promise<void>;
  dispose(): Promise<void>;
}

export async function startFleet(size: number, environment: Record<string, string> = {}): Promise<Fleet> {
  const [redis, engine] = await Promise.all([startRedis(), startEngine()]);
  return createFleet(redis, engine, "default", size, environment, true);
}

export async function createFleet(
  redis: Redis,
  engine: Engine,
  database: string,
  size: number,
  environment: Record<string, string>,
  ownsBoth: boolean,
): Promise<Fleet> {
  const instances: (Service | null)[] = new Array<Service | null>(size).fill(null);
  const dead: Service[] = [];
  const base = {
    REDIS_URL: redis.url,
    CLICKHOUSE_URL: engine.url,
    CLICKHOUSE_PASSWORD: password,
    CLICKHOUSE_DB: database,
    ...environment,
  };
  const fleet: Fleet = {
    redis,
    engine,
    database,
    instances,
    async start(index, more = {}) {
      const service = await startService({ ...base, ...more });
      instances[index] = service;
      return service;
    },
    async kill(index) {
      const service = instances[index];
      instances[index] = null;
      if (!service) return;
      await service.kill();
      dead.push(service);
    },
    async dispose() {
      await Promise.all([...instances, ...dead].map((service) => service?.dispose()));
      if (!ownsBoth) return;
      await Promise.all([redis.dispose(), engine.dispose()]);
    },
  };
  await Promise.all(instances.map((_, index) => fleet.start(index)));
  return fleet;
}

/** A connection of the service's own kind, that is up. */
export async function connectTo(redis: Redis): Promise<RedisConnection> {
  const up = Promise.withResolvers<void>();
  const connection = connectRedis({
    url: redis.url,
    commandTimeoutMs: 5_000,
    reconnectDelayMs: 50,
    onUp: up.resolve,
    onDown: () => undefined,
  });
  await up.promise;
  return connection;
}
