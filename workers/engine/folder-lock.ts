import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Libc } from "./libc.ts";

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

/** A process that ends gives back its memory before its lock; on a busy machine, and as one that yields, it takes its time. */
const GONE_TIMEOUT_MS = 15_000;
const GONE_POLL_MS = 5;

/**
 * Takes the folder for this process, until it ends. When another has it, the file beside the lock says which: an
 * engine whose parent is gone and that is still there has been stopped or hangs, since its pipe would have ended it,
 * and is killed. An engine whose parent lives, or that needs none, keeps its folder.
 */
export async function claimFolder(libc: Libc, folder: string, parentPid: number | null): Promise<ClaimResult> {
  const lockPath = join(folder, "engine.lock");
  const pidPath = join(folder, "engine.pid");
  let replacedPid: number | null = null;
  if (!libc.tryLock(lockPath)) {
    const holder = readPidFile(pidPath);
    if (holder === null || !isPresent(holder.engine))
      return { ok: false, reason: `${folder} is in use by another process` };
    if (isOurEngine(holder.engine)) {
      if (holder.parent === null || isAlive(holder.parent))
        return { ok: false, reason: `${folder} is in use by the engine with process id ${holder.engine.pid}` };
      replacedPid = holder.engine.pid;
      process.kill(replacedPid, "SIGKILL");
    }
    // Otherwise it is on its way out: what it was started as is gone already, and its lock is not.
    const deadline = performance.now() + GONE_TIMEOUT_MS;
    while (!libc.tryLock(lockPath)) {
      if (performance.now() > deadline)
        return { ok: false, reason: `${folder} is in use by process ${holder.engine.pid}, which does not go away` };
      await Bun.sleep(GONE_POLL_MS);
    }
  }
  const mine: PidFile = {
    engine: identify(process.pid),
    parent: parentPid === null ? null : identify(parentPid),
  };
  writeFileSync(pidPath, `${JSON.stringify(mine)}\n`, { mode: 0o600 });
  return { ok: true, replacedPid };
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
    // None, or torn by a crash: then nobody can be told to be stale.
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

/** The process of that number is still the same one, alive or ending. */
const isPresent = (id: ProcessId): boolean => id.startTicks !== null && startTicksOf(id.pid) === id.startTicks;

/** A process that cannot be identified counts as gone: killing a stranger is worse than refusing to start. */
function isAlive(id: ProcessId): boolean {
  return isPresent(id) && !isZombie(id.pid);
}

function isOurEngine(id: ProcessId): boolean {
  if (!isAlive(id)) return false;
  try {
    const args = readFileSync(`/proc/${id.pid}/cmdline`, "utf8").split("\0");
    return args.some((arg) => arg.endsWith("workers/engine/main.ts"));
  } catch {
    return false;
  }
}
