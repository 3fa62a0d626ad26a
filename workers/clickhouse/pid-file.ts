import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A process, told apart from a later one with the same number by when it started. */
interface ProcessId {
  pid: number;
  /** Clock ticks after boot, from `/proc/PID/stat`; `null` where there is no `/proc`. */
  startTicks: number | null;
}

interface PidFile {
  engine: ProcessId;
  /** `null` for an engine that serves on its own. */
  parent: ProcessId | null;
}

export type ClaimResult = { ok: true; replacedPid: number | null } | { ok: false; reason: string };

const GONE_TIMEOUT_MS = 5_000;
const GONE_POLL_MS = 5;

/**
 * Takes the folder for this process. An engine whose parent is gone and that is still there has been stopped or hangs,
 * since its pipe would have ended it: it is killed. An engine whose parent lives, or that needs none, keeps its folder.
 */
export async function claimFolder(folder: string, parentPid: number | null): Promise<ClaimResult> {
  const path = join(folder, "engine.pid");
  const previous = readPidFile(path);
  let replacedPid: number | null = null;
  if (previous !== null && previous.engine.pid !== process.pid && isOurEngine(previous.engine)) {
    const { pid } = previous.engine;
    if (previous.parent === null || isAlive(previous.parent))
      return { ok: false, reason: `${folder} is in use by the engine with process id ${pid}` };
    process.kill(pid, "SIGKILL");
    if (!(await isGone(previous.engine))) return { ok: false, reason: `the stale engine ${pid} does not go away` };
    replacedPid = pid;
  }
  const mine: PidFile = {
    engine: identify(process.pid),
    parent: parentPid === null ? null : identify(parentPid),
  };
  writeFileSync(path, `${JSON.stringify(mine)}\n`, { mode: 0o600 });
  return { ok: true, replacedPid };
}

export function releaseFolder(folder: string): void {
  const path = join(folder, "engine.pid");
  if (readPidFile(path)?.engine.pid === process.pid) rmSync(path, { force: true });
}

function identify(pid: number): ProcessId {
  return { pid, startTicks: startTicksOf(pid) };
}

function readPidFile(path: string): PidFile | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null || !("engine" in value) || !("parent" in value)) return null;
    const { engine, parent } = value;
    if (!isProcessId(engine) || (parent !== null && !isProcessId(parent))) return null;
    return { engine, parent };
  } catch {
    // None, or torn by a crash; the engine's own lock still keeps two from opening the folder.
    return null;
  }
}

function isProcessId(value: unknown): value is ProcessId {
  if (typeof value !== "object" || value === null || !("pid" in value) || !("startTicks" in value)) return false;
  return (
    Number.isInteger(value.pid) &&
    Number(value.pid) > 1 &&
    (value.startTicks === null || Number.isInteger(value.startTicks))
  );
}

/** Field 22; the name in field 2 may hold blanks and brackets, so count from its last bracket. */
function startTicksOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return null;
  }
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false;
  }
}

/** A process that cannot be identified counts as gone: killing a stranger is worse than refusing to start. */
function isAlive(id: ProcessId): boolean {
  return id.startTicks !== null && startTicksOf(id.pid) === id.startTicks && !isZombie(id.pid);
}

function isOurEngine(id: ProcessId): boolean {
  if (!isAlive(id)) return false;
  try {
    const args = readFileSync(`/proc/${id.pid}/cmdline`, "utf8").split("\0");
    return args.some((arg) => arg.endsWith("workers/clickhouse/main.ts"));
  } catch {
    return false;
  }
}

async function isGone(id: ProcessId): Promise<boolean> {
  const deadline = performance.now() + GONE_TIMEOUT_MS;
  while (isAlive(id)) {
    if (performance.now() > deadline) return false;
    await Bun.sleep(GONE_POLL_MS);
  }
  return true;
}
