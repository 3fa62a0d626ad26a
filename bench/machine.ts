import { readFileSync } from "node:fs";
import { arch, tmpdir, totalmem } from "node:os";
import { isInMemory } from "./disk.ts";
import { availableCpus, findProgram, placed } from "./processes.ts";
import { projectRoot } from "./scratch-clickhouse.ts";

/** What a figure depends on besides the code. */
export function describeMachine(): Record<string, string> {
  const cpuInfo = readFileSync("/proc/cpuinfo", "utf8");
  return {
    cpu: /^model name\s*:\s*(.+)$/m.exec(cpuInfo)?.[1] ?? "unknown",
    cpus: String(availableCpus()),
    architecture: arch(),
    memory: `${(totalmem() / 1024 ** 3).toFixed(1)} GiB`,
    kernel: readFileSync("/proc/sys/kernel/osrelease", "utf8").trim(),
    load_before: readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" "),
    data: isInMemory(tmpdir()) ? `${tmpdir()} IS IN MEMORY: flushing is free, figures say nothing` : "on disk",
    generator_placement: placed(["x"], "generator").length > 1 ? "kept to the last CPU" : "not kept to a CPU",
  };
}

/** A name for the results file: the kind of machine, not whose it is. */
export function machineName(machine: Record<string, string>): string {
  const cpu = (machine.cpu ?? "unknown").toLowerCase().replaceAll(/\(.*?\)|processor|cpu/g, "");
  return `${cpu.trim()} ${machine.cpus} cpus`.replaceAll(/[^a-z0-9]+/g, "-");
}

export function describeVersions(): Record<string, string> {
  const versions: Record<string, string> = { bun: Bun.version };
  for (const [name, command] of Object.entries(versionCommands)) versions[name] = firstLine(command);
  for (const name of ["elysia", "chdb", "@clickhouse/client"]) versions[name] = packageVersion(name);
  return versions;
}

const python = "import fastapi, uvicorn, aiohttp; print(fastapi.__version__, uvicorn.__version__, aiohttp.__version__)";
const versionCommands = {
  "victoria-metrics": ["victoria-metrics", "--version"],
  influxdb: ["influxd", "version"],
  nginx: ["nginx", "-v"],
  "fastapi, uvicorn, aiohttp": ["/usr/bin/python3", "-c", python],
};

/** The commit that is measured, marked when the work tree differs from it. */
export function describeCommit(): string {
  const git = (...words: string[]) =>
    Bun.spawnSync(["git", "-C", projectRoot, ...words], { stderr: "ignore" })
      .stdout.toString()
      .trim();
  const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
  return `${git("rev-parse", "--short=12", "HEAD") || "unknown"}${changed ? " with local changes" : ""}`;
}

function firstLine(command: readonly string[]): string {
  const program = findProgram(command[0]!);
  if (!program) return "missing";
  const ran = Bun.spawnSync([program, ...command.slice(1)]);
  if (!ran.success) return "missing";
  return (ran.stdout.toString().trim() || ran.stderr.toString().trim()).split("\n")[0] ?? "unknown";
}

function packageVersion(name: string): string {
  const path = `${projectRoot}/node_modules/${name}/package.json`;
  const content: { version?: string } = JSON.parse(readFileSync(path, "utf8"));
  return content.version ?? "unknown";
}
