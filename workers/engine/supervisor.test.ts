import { afterEach, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  ask,
  createTestFolder,
  credentials,
  isRunning,
  PASSWORD,
  startTestEngine,
  type TestEngine,
} from "../../testing/test-engine.ts";
import { until } from "../../testing/until.ts";
import { createEmbeddedClickHouse, type EmbeddedClickHouseOptions } from "./supervisor.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Partial<EmbeddedClickHouseOptions> = {}): Promise<TestEngine> {
  const engine = await startTestEngine(options);
  cleanups.push(() => engine.stop());
  return engine;
}

function createFolder(): string {
  const folder = createTestFolder();
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const pidOf = (engine: TestEngine): number => {
  const { pid } = engine.clickhouse.status();
  if (pid === null) throw new Error("no engine process");
  return pid;
};

const OPTIONS = { port: 0, user: "default", password: PASSWORD, database: "default" };

/** A process that supervises an engine and does nothing else; prints what it has started. */
async function startParent(dataDir: string): Promise<{ parent: Bun.Subprocess; enginePid: number; port: number }> {
  const script = join(createFolder(), "parent.ts");
  writeFileSync(
    script,
    `import { createEmbeddedClickHouse } from ${JSON.stringify(join(import.meta.dir, "supervisor.ts"))};
     const clickhouse = createEmbeddedClickHouse({ log: console.error }, ${JSON.stringify({ ...OPTIONS, dataDir })});
     const started = await clickhouse.started;
     console.log(JSON.stringify({ ...started, pid: clickhouse.status().pid }));
     setInterval(() => {}, 1_000_000);`,
  );
  const parent = Bun.spawn([process.execPath, script], { stdout: "pipe", stderr: "inherit" });
  cleanups.push(() => parent.kill("SIGKILL"));
  let text = "";
  for await (const bytes of parent.stdout) {
    text += new TextDecoder().decode(bytes);
    if (text.includes("\n")) break;
  }
  const started = JSON.parse(text) as { ok: boolean; port: number; pid: number };
  expect(started.ok).toBe(true);
  cleanups.push(() => {
    if (isRunning(started.pid)) process.kill(started.pid, "SIGKILL");
  });
  return { parent, enginePid: started.pid, port: started.port };
}

test("an engine that is killed is started again, on the same port, with its data", async () => {
  const engine = await start();
  await engine.service("CREATE TABLE kept (id UInt32) ENGINE = MergeTree ORDER BY id");
  await engine.service("INSERT INTO kept SELECT number FROM numbers(1000)");
  const { port } = engine.clickhouse.status();
  for (let kill = 1; kill <= 2; kill++) {
    const pid = pidOf(engine);
    process.kill(pid, "SIGKILL");
    await until("it is noticed", () => engine.clickhouse.status().state === "restarting");
    await until("it runs again", () => engine.clickhouse.status().state === "running");
    expect(engine.clickhouse.status()).toMatchObject({ port, restarts: kill, lastExit: "signal SIGKILL" });
    expect(pidOf(engine)).not.toBe(pid);
    expect((await engine.reader("SELECT count(), sum(id) FROM kept")).text).toBe("1000\t499500\n");
  }
}, 20_000);

test("what runs and what waits when the engine is told to stop gets its answer; then the port is free", async () => {
  const engine = await start();
  // More than a lane has threads.
  const slow = Array.from({ length: 6 }, () => engine.reader("SELECT sleep(0.3)"));
  await until("two run", async () => {
    const count = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleep(0.3)%'";
    return (await engine.service(count)).text === "2\n";
  });
  const pid = pidOf(engine);
  const stopped = engine.clickhouse.stop();
  expect((await Promise.all(slow)).map((answer) => answer.text)).toEqual(Array(6).fill("0\n"));
  await stopped;
  expect(engine.clickhouse.status()).toMatchObject({ state: "stopped", pid: null, restarts: 0 });
  expect(isRunning(pid)).toBe(false);
  await expect(fetch(`${engine.url}ping`)).rejects.toThrow();
}, 20_000);

test("a stop is bounded, however long a statement runs or whether the engine reacts at all", async () => {
  const engine = await start({ shutdownTimeoutMs: 200 });
  const endless = engine.service("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)").catch(() => "cut");
  await until(
    "it runs",
    async () =>
      (await engine.service("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'")).text === "2\n",
  );
  const startedMs = performance.now();
  await engine.clickhouse.stop();
  expect(performance.now() - startedMs).toBeLessThan(3_000);
  expect(await endless).toBe("cut");

  const frozen = await start({ shutdownTimeoutMs: 100 });
  const pid = pidOf(frozen);
  process.kill(pid, "SIGSTOP");
  await frozen.clickhouse.stop();
  expect(isRunning(pid)).toBe(false);
}, 20_000);

test("a stop during the start, and a second stop, leave nothing behind", async () => {
  const dataDir = createFolder();
  const clickhouse = createEmbeddedClickHouse({ log: () => undefined }, { ...OPTIONS, dataDir });
  await until("the process is there", () => clickhouse.status().pid !== null);
  const pid = clickhouse.status().pid ?? 0;
  await Promise.all([clickhouse.stop(), clickhouse.stop()]);
  await clickhouse.stop();
  expect(isRunning(pid)).toBe(false);
  expect((await clickhouse.started).ok).toBe(false);
  expect(clickhouse.status().state).toBe("stopped");
}, 20_000);

test("kill -9 of the service leaves no engine, no port and no lock", async () => {
  const dataDir = createFolder();
  const { parent, enginePid, port } = await startParent(dataDir);
  await ask(`http://127.0.0.1:${port}/`, "CREATE TABLE kept (id UInt32) ENGINE = MergeTree ORDER BY id", {
    headers: credentials(PASSWORD),
  });
  // A statement under way must not hold the process.
  const endless = ask(`http://127.0.0.1:${port}/`, "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)").catch(
    () => "cut",
  );
  parent.kill("SIGKILL");
  await parent.exited;
  await until("the engine has gone", () => !isRunning(enginePid), 3_000);
  expect(await endless).toBe("cut");
  const engine = await start({ dataDir, port });
  expect((await engine.reader("SHOW TABLES")).text).toBe("kept\n");
}, 20_000);

test("an engine that was stopped when its service died is replaced by the next service's", async () => {
  const dataDir = createFolder();
  const { parent, enginePid, port } = await startParent(dataDir);
  process.kill(enginePid, "SIGSTOP");
  parent.kill("SIGKILL");
  await parent.exited;
  // It cannot notice, and it holds both the folder and the port.
  expect(isRunning(enginePid)).toBe(true);
  const engine = await start({ dataDir, port });
  expect(isRunning(enginePid)).toBe(false);
  expect(pidOf(engine)).not.toBe(enginePid);
  expect(engine.logged.some((line) => line.includes(`killed the stale engine ${enginePid}`))).toBe(true);
  expect((await engine.reader("SELECT 1")).text).toBe("1\n");
}, 20_000);

test("a second service on the same folder is refused, and the first goes on", async () => {
  const first = await start();
  const second = createEmbeddedClickHouse({ log: () => undefined }, { ...OPTIONS, dataDir: first.dataDir });
  const started = await second.started;
  expect(started).toMatchObject({ ok: false, reason: expect.stringContaining(`process id ${pidOf(first)}`) });
  expect(second.status().state).toBe("stopped");
  expect((await first.reader("SELECT 1")).text).toBe("1\n");
  expect(first.clickhouse.status().restarts).toBe(0);
}, 20_000);

test("a process that merely has the number in the file of a dead engine is left alone", async () => {
  const dataDir = createFolder();
  const bystander = Bun.spawn(["sleep", "1000"]);
  cleanups.push(() => bystander.kill("SIGKILL"));
  mkdirSync(join(dataDir, "clickhouse"));
  const id = { pid: bystander.pid, startTicks: 1 };
  writeFileSync(join(dataDir, "clickhouse", "engine.pid"), JSON.stringify({ engine: id, parent: null }));
  await start({ dataDir });
  expect(isRunning(bystander.pid)).toBe(true);
}, 20_000);

test("a port that another program has is one clear error, not a loop", async () => {
  // Willing to share its port, as a second engine was: Sluice's own must not be.
  const other = Bun.serve({ port: 0, hostname: "127.0.0.1", reusePort: true, fetch: () => new Response("another") });
  cleanups.push(() => other.stop(true));
  const logged: string[] = [];
  const clickhouse = createEmbeddedClickHouse(
    { log: (level, message) => logged.push(`${level} ${message}`) },
    { ...OPTIONS, dataDir: createFolder(), port: other.port ?? 0 },
  );
  const reason = `port ${other.port} of 127.0.0.1 is taken by another program`;
  expect(await clickhouse.started).toEqual({ ok: false, reason });
  expect(clickhouse.status().state).toBe("stopped");
  expect(logged).toEqual([`error embedded ClickHouse: ${reason}`]);
}, 20_000);

test("the password is neither in the arguments nor in the environment of the engine", async () => {
  const engine = await start();
  const proc = `/proc/${pidOf(engine)}`;
  for (const file of ["cmdline", "environ"]) expect(await Bun.file(`${proc}/${file}`).text()).not.toContain(PASSWORD);
});

test("times are UTC wherever the service runs", async () => {
  const engine = await start();
  expect((await engine.reader("SELECT timezone(), toDateTime(0)")).text).toBe("UTC\t1970-01-01 00:00:00\n");
});

test("a database of another name is created, is current, and is the one that readers may read", async () => {
  const database = "odd `name` <&>";
  const engine = await start({ database });
  await engine.service("CREATE TABLE t (id UInt32) ENGINE = MergeTree ORDER BY id");
  expect((await engine.reader("SELECT currentDatabase(), count() FROM t")).text).toBe(`${database}\t0\n`);
  await engine.service("CREATE TABLE default.t (id UInt32) ENGINE = MergeTree ORDER BY id");
  expect((await engine.reader("SELECT count() FROM default.t")).headers.get("x-clickhouse-exception-code")).toBe("497");
});

test("an engine on its own outlives its input and ends on SIGTERM", async () => {
  const dataDir = createFolder();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "main.ts")], {
    stdin: "pipe",
    stdout: "pipe",
    env: { TZ: "Asia/Tokyo" },
  });
  cleanups.push(() => child.kill("SIGKILL"));
  child.stdin.write(`${JSON.stringify({ dataDir, port: 0, password: PASSWORD, detached: true })}\n`);
  await child.stdin.end();
  let text = "";
  for await (const bytes of child.stdout) {
    text += new TextDecoder().decode(bytes);
    if (text.includes("\n")) break;
  }
  const ready = JSON.parse(text) as { port: number };
  const answer = await ask(`http://127.0.0.1:${ready.port}/`, "SELECT timezone()", { headers: credentials(PASSWORD) });
  expect(answer.text).toBe("UTC\n");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}, 20_000);

test("options that are wrong are named, and their values are not shown", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "main.ts")], { stdin: "pipe", stdout: "pipe" });
  child.stdin.write(`${JSON.stringify({ dataDir: createFolder(), port: "8123", password: PASSWORD })}\n`);
  await child.stdin.end();
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(1);
  expect(text).toContain("/port");
  expect(text).not.toContain(PASSWORD);
});

test("an engine that hangs in its start is started again", async () => {
  const dataDir = createFolder();
  const clickhouse = createEmbeddedClickHouse({ log: () => undefined }, { ...OPTIONS, dataDir, startTimeoutMs: 3_000 });
  cleanups.push(() => clickhouse.stop());
  const { pid } = clickhouse.status();
  if (pid === null) throw new Error("no engine process");
  process.kill(pid, "SIGSTOP");
  expect((await clickhouse.started).ok).toBe(true);
  expect(clickhouse.status()).toMatchObject({ state: "running", restarts: 1 });
  expect(isRunning(pid)).toBe(false);
}, 40_000);
