import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { parseConfig } from "../../server/config/config.ts";
import { examineDisk } from "./disk.ts";
import type { Finding } from "./finding.ts";
import { examineKeys } from "./keys.ts";
import { examineClickHouse, examineRedis, examineService } from "./services.ts";

const directory = mkdtempSync(join(tmpdir(), "sluice-doctor-test-"));
afterAll(() => rmSync(directory, { recursive: true }));

const states = (findings: readonly Finding[]) => findings.map(({ what, state }) => `${what}: ${state}`);

/** The command as a user runs it, with nothing in its environment but what is given. */
async function doctor(environment: Record<string, string>): Promise<{ code: number; findings: Finding[] }> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../sluice.ts"), "doctor", "--json"], {
    env: { PATH: process.env.PATH ?? "", ...environment },
    cwd: directory,
    stdout: "pipe",
    stderr: "inherit",
  });
  const out = await new Response(child.stdout).text();
  return { code: await child.exited, findings: JSON.parse(out).findings };
}

test("a sound machine has nothing to mend, an engine that starts, and is left as it was", async () => {
  const ports = { PORT: String(findFreePort()), EMBEDDED_CLICKHOUSE_PORT: String(findFreePort()) };
  const { code, findings } = await doctor({ ...ports, DATA_DIR: join(directory, "fresh") });
  expect(findings.filter(({ state }) => state === "bad")).toEqual([]);
  expect(code).toBe(0);
  expect(findings.find(({ what }) => what === "engine")?.detail).toMatch(/starts in .* ClickHouse \d/);
  for (const { state, advice } of findings) expect(advice !== undefined).toBe(state !== "ok");
  expect(existsSync(join(directory, "fresh"))).toBe(false);
}, 90_000);

test("a directory that cannot be one, and a disk that is too small, are to be mended", () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  expect(states(examineDisk(join(file, "data"), 1))).toEqual(["data directory: bad"]);
  const data = join(directory, "data");
  mkdirSync(data);
  expect(states(examineDisk(data, 2 ** 60))).toContain("disk space: note");
  // Memory is a file system, too.
  if (existsSync("/dev/shm")) {
    const shared = mkdtempSync("/dev/shm/sluice-doctor-");
    expect(states(examineDisk(shared, 1))).toContain("data directory: bad");
    rmSync(shared, { recursive: true });
  }
});

test("a port that another program has is told from one where the service runs", async () => {
  const silent = createServer((socket) => void socket.end("220 mail.example.org\r\n", () => socket.destroy()));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const port = (silent.address() as { port: number }).port;
  expect((await examineService(parseConfig({ PORT: String(port) }))).findings).toMatchObject([{ state: "bad" }]);
  await new Promise((resolve) => silent.close(resolve));
  const ready = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json({ status: "ready", degraded: [] }),
  });
  const running = await examineService(parseConfig({ PORT: String(ready.port) }));
  expect(running).toMatchObject({ running: true, findings: [{ what: "service", state: "ok" }] });
  await ready.stop(true);
});

test("a ClickHouse and a Redis that are not there are told with their address, and without its password", async () => {
  const dead = findFreePort();
  const config = parseConfig({ CLICKHOUSE_URL: `http://u:hunter2@127.0.0.1:${dead}`, CLICKHOUSE_PASSWORD: "hunter2" });
  const findings = [
    ...(await examineClickHouse(config, false)),
    ...(await examineRedis(`redis://:hunter2@127.0.0.1:${dead}`)),
  ];
  expect(states(findings)).toEqual(["ClickHouse: bad", "Redis: bad"]);
  for (const { detail } of findings) expect(detail).toContain(`127.0.0.1:${dead}`);
  expect(JSON.stringify(findings)).not.toContain("hunter2");
}, 20_000);

test.skipIf(Bun.which("redis-server") === null)(
  "a Redis that may evict the journal is to be mended",
  async () => {
    const port = findFreePort();
    const options = ["--port", String(port), "--save", "", "--dir", directory];
    const redis = Bun.spawn(["redis-server", ...options, "--maxmemory-policy", "allkeys-lru"], { stdout: "ignore" });
    const url = `redis://127.0.0.1:${port}`;
    let findings = await examineRedis(url);
    while (findings[0]?.detail.includes("Connection")) findings = await examineRedis(url);
    expect(findings).toMatchObject([{ state: "bad", advice: expect.stringContaining("noeviction") }]);
    redis.kill();
    await redis.exited;
  },
  20_000,
);

test("keys that can be guessed, and a network without TLS, are notes", () => {
  const config = parseConfig({ HOST: "0.0.0.0", INGEST_KEYS: "fleet:short", VIEWER_KEYS: "v:0123456789abcdef0123" });
  expect(states(examineKeys(config))).toEqual(["ingest keys: note", "viewer keys: ok", "encryption: note"]);
});

test("settings that cannot be used are one line and exit code 2", async () => {
  const child = Bun.spawnSync([process.execPath, join(import.meta.dir, "../sluice.ts"), "doctor"], {
    env: { PATH: process.env.PATH ?? "", PORT: "eighty" },
  });
  expect(child.exitCode).toBe(2);
  expect(child.stderr.toString()).toStartWith("PORT=eighty: ");
});
