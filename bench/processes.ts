/** Processes that a case starts: found, started, measured through /proc, and stopped by their id. Linux only. */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";

/** The Bun that runs this runs the servers too. */
export const bunPath = process.execPath;

const clockTicksPerSecond = 100;
const stopTimeoutMs = 30_000;

/** CPU and memory of one process over a measured stretch. */
export interface ProcessUsage {
  name: string;
  cpuSeconds: number;
  peakRssBytes: number;
}

export interface StartedProcess {
  name: string;
  pid: number;
  /** True from the moment it ended. */
  ended(): boolean;
  /** Last lines that it printed. */
  output(): string;
  /** SIGTERM, then SIGKILL after half a minute. False when it had to be killed. */
  stop(): Promise<boolean>;
  /** SIGKILL, at once: a crash. Its own children end by themselves or are killed too. */
  kill(): Promise<void>;
}

/**
 * Which CPUs a process may use. The generator keeps to the last one, so that the kernel does not put client and server
 * on one core and halve both. What runs on one thread anyway is kept off that core, which only helps it.
 */
export type Placement = "everywhere" | "beside-generator";

const started = new Map<number, { name: string; kill: () => void }>();
const temporary = new Set<string>();
let placementWorks: boolean | null = null;

/** The path of a program, or null where it is not installed. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/usr/local/sbin` });
}

/** The command with its CPU placement in front; unchanged on one CPU or where `taskset` is missing. */
export function placed(command: readonly string[], placement: Placement | "generator"): string[] {
  const last = availableCpus() - 1;
  placementWorks ??= last > 0 && findProgram("taskset") !== null;
  if (!placementWorks) return [...command];
  const cpus = placement === "everywhere" ? `0-${last}` : placement === "generator" ? `${last}` : `0-${last - 1}`;
  return [findProgram("taskset")!, "-c", cpus, ...command];
}

/** CPUs of the machine, also when this process itself is kept to one of them. */
export function availableCpus(): number {
  try {
    return [...readFileSync("/proc/cpuinfo", "utf8").matchAll(/^processor/gm)].length || 1;
  } catch (error) {
    if (existsSync("/proc/cpuinfo")) throw error;
    return availableParallelism();
  }
}

export function createTemporaryDirectory(purpose: string): string {
  const path = mkdtempSync(join(tmpdir(), `sluice-bench-${purpose}-`));
  temporary.add(path);
  return path;
}

export function removeTemporaryDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
  temporary.delete(path);
}

export function startProcess(options: {
  name: string;
  command: readonly string[];
  /** The whole environment besides PATH and HOME: nothing stray gets in. */
  env?: Record<string, string>;
  directory: string;
  workingDirectory?: string;
  placement?: Placement;
  /** One line for its standard input, which then ends. */
  input?: string;
}): StartedProcess {
  const logFile = join(options.directory, `${options.name}.log`);
  const log = openSync(logFile, "a");
  const child = Bun.spawn(placed(options.command, options.placement ?? "everywhere"), {
    cwd: options.workingDirectory ?? options.directory,
    env: { PATH: process.env.PATH ?? "", HOME: options.directory, ...options.env },
    stdin: options.input === undefined ? "ignore" : "pipe",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  if (options.input !== undefined && child.stdin) {
    child.stdin.write(`${options.input}\n`);
    child.stdin.end();
  }
  let ended = false;
  void child.exited.then(() => {
    ended = true;
    started.delete(child.pid);
  });
  started.set(child.pid, { name: options.name, kill: () => child.kill("SIGKILL") });
  return {
    name: options.name,
    pid: child.pid,
    ended: () => ended,
    output: () => readFileSync(logFile, "utf8").split("\n").slice(-15).join("\n").trim(),
    async stop() {
      const family = descendants(child.pid);
      child.kill("SIGTERM");
      const inTime = await Promise.race([child.exited.then(() => true), Bun.sleep(stopTimeoutMs).then(() => false)]);
      if (!inTime) child.kill("SIGKILL");
      await child.exited;
      killLeftovers(family);
      return inTime;
    },
    async kill() {
      const family = descendants(child.pid);
      child.kill("SIGKILL");
      await child.exited;
      killLeftovers(family);
    },
  };
}

/** Ends whatever is still running and removes every temporary directory: for the way out of a case, however it ends. */
export function cleanUp(): void {
  for (const [pid, { kill }] of started) {
    const family = descendants(pid);
    kill();
    killLeftovers(family);
  }
  for (const path of temporary) rmSync(path, { recursive: true, force: true });
}

/** Waits until `ready` gives true, asking every 10 ms. Throws with the process's last lines if it ends or is too slow. */
export async function waitUntil(
  what: string,
  process: StartedProcess,
  ready: () => Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await ready())) {
    if (process.ended()) throw new Error(`${process.name} ended before ${what}: ${process.output()}`);
    if (Date.now() > deadline) throw new Error(`${process.name}: no ${what} in ${timeoutMs} ms: ${process.output()}`);
    await Bun.sleep(10);
  }
}

/** Whether a GET is answered 2xx; a refused connection is a no. */
export async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Starts counting CPU and peak memory of these processes and all their descendants; call the result to read. */
export function startUsage(roots: readonly StartedProcess[]): () => ProcessUsage[] {
  const before = new Map<number, number>();
  for (const { pid } of family(roots)) {
    before.set(pid, cpuSeconds(pid) ?? 0);
    resetPeakRss(pid);
  }
  return () =>
    family(roots).flatMap(({ pid, name }) => {
      const cpu = cpuSeconds(pid);
      const peak = statusBytes(pid, "VmHWM");
      if (cpu === null || peak === null) return [];
      return [{ name, cpuSeconds: cpu - (before.get(pid) ?? 0), peakRssBytes: peak }];
    });
}

/**
 * Starts counting what other programs take of the machine; call the result, after all of ours have been stopped, to read
 * it in cores. Time that the hypervisor gave to other machines counts too.
 */
export function startOthersCpu(): () => number {
  const read = () => ({ ns: Bun.nanoseconds(), busy: machineCpuSeconds(), own: ownCpuSeconds() });
  const before = read();
  return () => {
    const after = read();
    const others = after.busy - before.busy - (after.own - before.own);
    return Math.max(0, others / ((after.ns - before.ns) / 1e9));
  };
}

/** User, nice, system and stolen time; what the kernel does in interrupts belongs to nobody. */
function machineCpuSeconds(): number {
  const fields = (readProc("/proc/stat") ?? "").split("\n")[0]?.split(/\s+/).map(Number) ?? [];
  return [1, 2, 3, 8].reduce((total, index) => total + (fields[index] ?? 0), 0) / clockTicksPerSecond;
}

/** This process and all its children that have ended, theirs included. */
function ownCpuSeconds(): number {
  const fields = statFields(process.pid) ?? [];
  return [11, 12, 13, 14].reduce((total, index) => total + Number(fields[index]), 0) / clockTicksPerSecond;
}

/** Memory that these processes and their descendants hold now, by name. */
export function residentBytes(roots: readonly StartedProcess[]): Record<string, number> {
  return Object.fromEntries(family(roots).map(({ pid, name }) => [name, statusBytes(pid, "VmRSS") ?? 0]));
}

function family(roots: readonly StartedProcess[]): { pid: number; name: string }[] {
  const named: { pid: number; name: string }[] = [];
  for (const root of roots) {
    named.push({ pid: root.pid, name: root.name });
    for (const pid of descendants(root.pid)) named.push({ pid, name: `${root.name}/${programName(pid)}` });
  }
  const seen = new Map<string, number>();
  return named.map(({ pid, name }) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return { pid, name: times === 1 ? name : `${name}#${times}` };
  });
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)?.[1] ?? Number.NaN);
    if (Number.isInteger(parent)) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found: number[] = [];
  const open = [root];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    const below = children.get(pid) ?? [];
    found.push(...below);
    open.push(...below);
  }
  return found.sort((a, b) => a - b);
}

/** Processes that outlived the parent which this harness started and stopped. */
function killLeftovers(pids: readonly number[]): void {
  for (const pid of pids) {
    const parent = statFields(pid)?.[1];
    if (parent !== "1") continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Fields of /proc/PID/stat from the state on (the name before it may hold spaces), or null when it is gone. */
function statFields(pid: number): string[] | null {
  const text = readProc(`/proc/${pid}/stat`);
  return text === null ? null : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function cpuSeconds(pid: number): number | null {
  const fields = statFields(pid);
  return fields === null ? null : (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond;
}

function statusBytes(pid: number, field: "VmHWM" | "VmRSS"): number | null {
  const text = readProc(`/proc/${pid}/status`);
  const kibibytes = text === null ? null : new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1];
  return kibibytes == null ? null : Number(kibibytes) * 1024;
}

/** Makes VmHWM start again from the present size. Where that is not allowed the peak is that of the whole life. */
function resetPeakRss(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** The script that an interpreter runs, else the program's own name. */
function programName(pid: number): string {
  const words = (readProc(`/proc/${pid}/cmdline`) ?? "").split("\0").filter(Boolean);
  const script = words.find((word) => /\.(ts|js|py)$/.test(word));
  if (!script) return basename(words[0] ?? "gone").replace(/:$/, "");
  return script
    .split("/")
    .slice(-2)
    .join("/")
    .replace(/\.\w+$/, "");
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}
