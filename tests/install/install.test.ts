/**
 * What a user does on a machine with Node alone: pack, install globally, start in an empty directory, post an event and see it,
 * ask the doctor, uninstall. The packages come from npm, as in `npm test` itself.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { until } from "../../testing/until.ts";

const root = join(import.meta.dir, "../..");
const node = Bun.which("node");
const npm = Bun.which("npm");
const place = mkdtempSync(join(tmpdir(), "sluice-install-"));
const prefix = join(place, "prefix");
const work = join(place, "empty");
const program = join(prefix, "bin/sluice");
const port = findFreePort();
const url = `http://127.0.0.1:${port}`;
const patience = 60_000;
const children: Bun.Subprocess[] = [];
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    await child.exited;
  }
  rmSync(place, { recursive: true, force: true });
});

/** Node and the system's programs, and no Bun but the one that the package brings. */
function environment(): Record<string, string> {
  const [cache = "", userconfig = ""] = ["cache", "userconfig"].map((name) =>
    Bun.spawnSync([npm ?? "npm", "config", "get", name])
      .stdout.toString()
      .trim(),
  );
  // How this machine reaches npm.
  const network = Object.entries(process.env).filter(([name]) =>
    /^(npm_config_|https?_proxy|no_proxy|node_)/i.test(name),
  );
  return {
    ...Object.fromEntries(network.map(([name, value]) => [name, value ?? ""])),
    PATH: [join(prefix, "bin"), dirname(node ?? ""), "/usr/bin", "/bin"].join(":"),
    HOME: place,
    npm_config_cache: cache,
    npm_config_userconfig: userconfig,
    npm_config_update_notifier: "false",
    PORT: String(port),
    EMBEDDED_CLICKHOUSE_PORT: String(findFreePort()),
  };
}

async function run(words: readonly string[], cwd: string, env: Record<string, string>) {
  const child = Bun.spawn([...words], { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  children.push(child);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

test.skipIf(node === null || npm === null || process.platform === "win32")(
  "packed, installed, started in an empty directory, used, and uninstalled",
  async () => {
    const env = environment();
    mkdirSync(work);
    const startMs = performance.now();
    // `npm test` has built the dashboard.
    const packing = existsSync(join(root, "client/dist/index.html")) ? ["--ignore-scripts"] : [];
    const packed = await run(["npm", "pack", "--silent", ...packing, "--pack-destination", place], root, env);
    expect(packed).toMatchObject({ code: 0 });
    const archive = join(place, packed.out.trim());
    const flags = ["--allow-scripts=bun,chdb", "--prefer-offline", "--no-audit", "--no-fund", "--prefix", prefix];
    const installed = await run(["npm", "install", "-g", ...flags, archive], work, env);
    expect(installed).toMatchObject({ code: 0, err: "" });

    const service = Bun.spawn([program], { cwd: work, env, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    children.push(service);
    let log = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of service.stderr) log += decoder.decode(chunk, { stream: true });
    })();
    await until(
      "it says how to post an event",
      () => log.includes("first start"),
      patience,
      () => log,
    );
    const { page, post, data } = JSON.parse(log.split("\n").find((line) => line.includes("first start")) ?? "");
    expect({ page, data }).toEqual({ page: url, data: join(work, "data") });
    const posted = await run(["sh", "-c", post], work, env);
    expect(posted.out).toBe('{"status":"queued","event_count":1}');
    // A reader that asks earlier is told to come back, and that is worth a line in the log.
    await until(
      "the engine has started",
      () => log.includes("ClickHouse is ok"),
      patience,
      () => log,
    );
    await until(
      "the event is seen",
      async () => (await (await fetch(`${url}/api/events?device_id=greenhouse-7`)).text()).includes("21.5"),
      patience,
      () => log,
    );
    expect((await fetch(url)).headers.get("content-type")).toContain("text/html");
    const elapsedSeconds = (performance.now() - startMs) / 1000;
    console.log(`from npm pack to the first event seen: ${elapsedSeconds.toFixed(1)} s`);

    const doctor = await run([program, "doctor"], work, env);
    expect(doctor).toMatchObject({ code: 0, err: "" });
    // A machine that is busy with other tests may well have a note.
    expect(doctor.out).toMatch(/[✓!] service .* accepts events/);
    expect(doctor.out).toContain("nothing to mend");
    const [starting = ""] = log.split("ClickHouse is ok");
    expect(starting.split("\n").filter((line) => /"level":"(warn|error)"/.test(line))).toEqual([]);

    service.kill("SIGTERM");
    expect(await service.exited).toBe(0);
    await reading;
    const removed = await run(["npm", "uninstall", "-g", "--prefix", prefix, "sluice"], work, env);
    expect(removed.code).toBe(0);
    expect(existsSync(program)).toBe(false);
    expect(readdirSync(join(work, "data"))).toContain("journal");
  },
  600_000,
);
