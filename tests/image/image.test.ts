import { afterAll, expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { until } from "../../testing/test-service.ts";

/**
 * The image, built by deploy/build-image.sh without a registry, and run: not as root, on a root that cannot be written, without
 * any capability. `crun` runs it as podman would; podman itself wants cgroups and limits that sandboxes do not give.
 */
const root = join(import.meta.dir, "../..");
const image = `localhost/sluice-test-${process.pid}`;
const user = 65_532;
const folder = mkdtempSync(join(tmpdir(), "sluice-image-"));
const missing = ["buildah", "crun", "unshare", "dpkg-deb"].filter((program) => Bun.which(program) === null);
const why = whyNot();
/** Why it cannot be built here; null when it can. */
function whyNot(): string | null {
  if (process.getuid?.() !== 0) return "root is needed to build it";
  if (missing.length > 0) return `${missing.join(", ")} missing`;
  const probe = Bun.spawnSync(["apt-get", "download", "-qq", "base-files"], { cwd: folder, stderr: "ignore" });
  if (probe.exitCode !== 0) return "Debian's packages cannot be downloaded";
  const script =
    'unshare -m true && c=$(buildah from scratch) && { buildah mount "$c"; r=$?; buildah rm "$c"; exit $r; }';
  const mounted = Bun.spawnSync(["bash", "-c", script], { stdout: "ignore", stderr: "ignore" });
  return mounted.exitCode === 0 ? null : "this sandbox lets nothing be mounted";
}
if (why !== null) process.stderr.write(`image: not run here: ${why}\n`);

let container = "";
function run(...words: string[]): string {
  const done = Bun.spawnSync(words, { cwd: root, stderr: "pipe" });
  if (done.exitCode !== 0) throw new Error(`${words.join(" ")}: ${done.stderr}`);
  return done.stdout.toString().trim();
}

afterAll(() => {
  if (container !== "") {
    run("buildah", "rm", container);
    run("buildah", "rmi", image);
  }
  rmSync(folder, { recursive: true, force: true });
});

interface Config {
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
  readonly User: string;
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

/** What podman would give to the runtime for `--read-only --cap-drop all --tmpfs /tmp -v data:/data --network host`. */
function bundle(rootfs: string, data: string, config: Config, environment: readonly string[]): string {
  const directory = join(folder, "bundle");
  mkdirSync(directory, { recursive: true });
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  const mount = (destination: string, type: string, source: string, options: string[]) => ({
    destination,
    type,
    source,
    options,
  });
  const spec = {
    ociVersion: "1.0.0",
    process: {
      user: { uid: user, gid: user },
      args: config.Cmd,
      env: [...config.Env, ...environment],
      cwd: config.WorkingDir,
      noNewPrivileges: true,
      capabilities: none,
    },
    root: { path: rootfs, readonly: true },
    mounts: [
      mount("/proc", "proc", "proc", []),
      mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755"]),
      mount("/tmp", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777"]),
      mount("/data", "bind", data, ["rbind", "rw"]),
    ],
    linux: { namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })) },
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(spec));
  return directory;
}

/** In a mount namespace with cgroup v2 alone: crun refuses a hybrid of both. */
function start(directory: string, name: string): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  const script = `umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
    exec crun --root ${folder}/crun --cgroup-manager=disabled run --bundle ${directory} ${name}`;
  return Bun.spawn(["unshare", "-m", "bash", "-c", script], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

test.skipIf(why !== null)(
  "the image runs as a user on a read-only root: takes an event, is killed, and has it; SIGTERM ends it",
  async () => {
    run("deploy/build-image.sh", image);
    container = run("buildah", "from", image);
    const rootfs = run("buildah", "mount", container);
    const { Docker } = JSON.parse(run("buildah", "inspect", "--type", "image", image)) as {
      Docker: { config: Config };
    };
    const { config } = Docker;
    expect(config).toMatchObject({ User: "65532:65532", WorkingDir: "/app", StopSignal: "SIGTERM" });
    expect(existsSync(join(rootfs, "bin/sh"))).toBe(false);
    for (const name of ["tests", "testing", "bench"]) expect(readdirSync(join(rootfs, "app"))).not.toContain(name);

    const data = join(folder, "data");
    mkdirSync(data, { mode: 0o700 });
    chownSync(data, user, user);
    const [port, enginePort] = [findFreePort(), findFreePort()];
    const url = `http://127.0.0.1:${port}`;
    const settings = [`PORT=${port}`, `EMBEDDED_CLICKHOUSE_PORT=${enginePort}`, "HOST=127.0.0.1"];
    const directory = bundle(rootfs, data, config, settings);
    const ready = (child: Bun.Subprocess): Promise<unknown> =>
      until(
        "the image to serve",
        async () => {
          if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
          return (await fetch(`${url}/healthz`).catch(() => undefined))?.ok;
        },
        60_000,
      );
    const post = (value: number): Promise<Response> =>
      fetch(`${url}/ingest`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ device_id: "d", event_type: "t", value_float: value }),
      });

    let child = start(directory, "first");
    await ready(child);
    expect((await post(1)).status).toBe(202);
    run("crun", "--root", `${folder}/crun`, "kill", "first", "KILL");
    await child.exited;

    child = start(directory, "second");
    await ready(child);
    // As the health check does, with the program of the image.
    expect(config.Healthcheck.Test).toEqual(["CMD", "/usr/local/bin/bun", "/app/cli/health-check.ts"]);
    run("crun", "--root", `${folder}/crun`, "exec", "second", ...config.Healthcheck.Test.slice(1));
    const count = async (): Promise<string> => {
      const query = encodeURIComponent("SELECT count() FROM telemetry_events");
      return (await (await fetch(`http://127.0.0.1:${enginePort}/?query=${query}`)).text()).trim();
    };
    await until("the event to be stored", async () => (await count().catch(() => "")) === "1", 60_000);
    run("crun", "--root", `${folder}/crun`, "kill", "second", "TERM");
    expect(await child.exited).toBe(0);
  },
  300_000,
);
