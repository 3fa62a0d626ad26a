/**
 * `npm run dev`: the service restarting on change, and Vite with hot reload in front of it. The engine runs beside the
 * service and not under it, so that it stays up, with its data, across the service's restarts.
 */
import { mkdirSync } from "node:fs";
import { parseConfig } from "../server/config/config.ts";

const inherit = { stdio: ["inherit", "inherit", "inherit"] as ["inherit", "inherit", "inherit"] };

async function main(): Promise<void> {
  const { clickHouse, storage } = parseConfig(process.env);
  const children: Bun.Subprocess[] = [];
  const environment = { ...process.env };
  if (!clickHouse.urls) {
    const password = clickHouse.password || crypto.randomUUID();
    const port = clickHouse.embeddedPort || 8123;
    const { user, database } = clickHouse;
    children.push(await startEngine({ dataDir: storage.dataDirectory, port, user, password, database }));
    Object.assign(environment, { CLICKHOUSE_URL: `http://127.0.0.1:${port}`, CLICKHOUSE_PASSWORD: password });
  }
  children.push(Bun.spawn([process.execPath, "--watch", "server/main.ts"], { ...inherit, env: environment }));
  children.push(Bun.spawn([process.execPath, "x", "vite", "client"], inherit));

  const stopAll = (): void => {
    for (const child of children) child.kill("SIGTERM");
  };
  process.on("SIGINT", stopAll).on("SIGTERM", stopAll);
  await Promise.race(children.map((child) => child.exited));
  stopAll();
  await Promise.all(children.map((child) => child.exited));
}

interface EngineSettings {
  readonly dataDir: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

async function startEngine(options: EngineSettings): Promise<Bun.Subprocess> {
  mkdirSync(options.dataDir, { recursive: true });
  const engine = Bun.spawn([process.execPath, "workers/engine/main.ts"], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "inherit",
  });
  engine.stdin.write(`${JSON.stringify({ ...options, detached: true })}\n`);
  await engine.stdin.end();
  const deadlineMs = performance.now() + 30_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${options.port}/ping`).catch(() => undefined);
    if (answer?.ok) return engine;
    if (engine.exitCode !== null || performance.now() > deadlineMs) throw new Error("the engine did not start");
    await Bun.sleep(50);
  }
}

await main();
