import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import {
  answersOk,
  bunPath,
  createTemporaryDirectory,
  findProgram,
  removeTemporaryDirectory,
  type StartedProcess,
  startProcess,
  waitUntil,
} from "../processes.ts";
import { projectRoot, query } from "../scratch-clickhouse.ts";
import { createJsonRequest, type RunningTarget, type Target } from "../target.ts";
import { readStored } from "./sluice.ts";

const instances = 3;

/** Three instances over one Redis (its log flushed for every write, as the disk journal's is) and one embedded ClickHouse, run alone. */
export function createSluiceWithRedis(): Target {
  return {
    name: "sluice-redis",
    missing: () => (findProgram("redis-server") === null ? "redis-server" : null),
    async start() {
      const directory = createTemporaryDirectory("sluice-redis");
      const redis = await startRedis(directory);
      const clickHouse = { port: findFreePort(), user: "default", password: crypto.randomUUID() };
      const engine = await startEngine(directory, clickHouse);
      const started = await Promise.all(
        Array.from({ length: instances }, (_, index) =>
          startInstance(`sluice-${index + 1}`, directory, {
            REDIS_URL: `redis://127.0.0.1:${redis.port}`,
            CLICKHOUSE_URL: `http://127.0.0.1:${clickHouse.port}`,
            CLICKHOUSE_PASSWORD: clickHouse.password,
          }),
        ),
      );
      const processes = [...started.map((each) => each.process), redis.process, engine];
      const ports = started.map((each) => each.port);
      const stored = (expectedEvents?: number) => readStored(clickHouse, expectedEvents);
      await waitUntil(
        "the schema",
        engine,
        async () => (await Promise.allSettled([stored()]))[0].status === "fulfilled",
      );
      return {
        port: ports[0] as number,
        ports,
        processes,
        encode: (batch) => createJsonRequest(ports[0] as number, batch),
        stored,
        queryableOnAnswer: false,
        async stop() {
          const stopped = await Promise.all(started.map((each) => each.process.stop()));
          await Promise.all([redis.process.stop(), engine.stop()]);
          removeTemporaryDirectory(directory);
          return stopped.every((inTime) => inTime);
        },
      } satisfies RunningTarget;
    },
  };
}

async function startRedis(directory: string): Promise<{ port: number; process: StartedProcess }> {
  const port = findFreePort();
  const dir = join(directory, "redis");
  mkdirSync(dir);
  const settings = { port, bind: "127.0.0.1", dir, appendonly: "yes", appendfsync: "always", save: "" };
  const process = startProcess({
    name: "redis",
    command: [
      findProgram("redis-server") ?? "redis-server",
      ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ],
    directory,
  });
  const client = (): Promise<boolean> =>
    Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }).then(
      (socket) => {
        socket.end();
        return true;
      },
      () => false,
    );
  await waitUntil("an open port", process, client);
  return { port, process };
}

async function startEngine(
  directory: string,
  clickHouse: { port: number; user: string; password: string },
): Promise<StartedProcess> {
  const { port, password } = clickHouse;
  const process = startProcess({
    name: "clickhouse",
    command: [bunPath, "workers/engine/main.ts"],
    directory,
    workingDirectory: projectRoot,
    input: JSON.stringify({ dataDir: join(directory, "engine"), port, password, detached: true }),
  });
  const answers = async (): Promise<boolean> =>
    (await Promise.allSettled([query(clickHouse, "SELECT 1")]))[0].status === "fulfilled";
  await waitUntil("answer from ClickHouse", process, answers, 60_000);
  return process;
}

async function startInstance(
  name: string,
  directory: string,
  settings: Record<string, string>,
): Promise<{ port: number; process: StartedProcess }> {
  const port = findFreePort();
  const process = startProcess({
    name,
    command: [bunPath, "server/main.ts"],
    directory,
    workingDirectory: projectRoot,
    env: {
      HOST: "127.0.0.1",
      PORT: String(port),
      DATA_DIR: join(directory, name),
      LOG_FORMAT: "json",
      ...settings,
    },
  });
  await waitUntil("/readyz", process, () => answersOk(`http://127.0.0.1:${port}/readyz`), 60_000);
  return { port, process };
}
