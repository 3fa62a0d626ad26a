import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createLibc } from "./libc.ts";

/**
 * The engine's share of the processor follows the backlog. While at most one batch is sealed, everything that ClickHouse
 * does can wait a moment and an acknowledgement cannot: the engine yields. With more, inserting is what has to catch up, and
 * the engine gets a full share again. So it does for a question that is not answered at once, and for a while after a batch that
 * took long: other programs have the processor then, and against them the engine would get next to nothing. (To let it yield
 * for good costs 6 to 10 % of what can be stored.)
 *
 * The engine runs in a session of its own, so Linux keeps it in an autogroup of its own, and a nice value counts only among
 * the threads of one autogroup. What counts between groups is the nice value of the group: `/proc/PID/autogroup`, which
 * its owner may change in both directions. There is no such group inside a CPU cgroup, nor where the kernel is told not to
 * make any; there, the threads themselves are niced, provided that this may be undone.
 *
 * docs/decisions/101-processor-share-follows-the-backlog.md has the measurements.
 */
export interface ProcessorShare {
  /** `sealedBatches`: how many wait for ClickHouse, the one under way included. */
  follow(sealedBatches: number): void;
  /** Somebody has been waiting for an answer for a while; false: nobody does any more. */
  answer(waiting: boolean): void;
  stop(): void;
}

/** The part of the operating system that this needs. Reading and writing throw as `node:fs` does. */
export interface ProcessorSystem {
  read(path: string): string;
  write(path: string, text: string): void;
  exists(path: string): boolean;
  list(path: string): string[];
  /** False: not allowed, or no such thread. */
  setNice(threadId: number, nice: number): boolean;
}

export interface ProcessorShareDeps {
  readonly system: ProcessorSystem;
  readonly monotonicNow: () => number;
  readonly setTimer: (callback: () => void, ms: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
  readonly log: (level: "debug", message: string) => void;
}

const yieldingNice = 19;
const fullNice = 0;
/** As many sealed batches are everyday: one is on its way into ClickHouse. */
const everydayBatches = 1;
/** A batch that is not stored after this long is a backlog, too, and the engine does not yield for a while. */
const patienceMs = 2_000;
const impatientMs = 10_000;
/** The kernel takes one change of an autogroup in a tenth of a second from whoever is not root. */
const changeIntervalMs = 100;

type Mechanism = "autogroup" | "threads" | "none";

/** `pid` must be of a process that runs in a session of its own. */
export function createProcessorShare(deps: ProcessorShareDeps, pid: number): ProcessorShare {
  const { system } = deps;
  /** As the backlog wants it. */
  let backlogNice = fullNice;
  let asked = false;
  let impatientUntilMs = Number.NEGATIVE_INFINITY;
  let wanted = fullNice;
  let current = fullNice;
  let mechanism: Mechanism | undefined;
  let changedMs = Number.NEGATIVE_INFINITY;
  let timer: unknown;
  let patience: unknown;
  let stopped = false;
  const threads = createThreadNice(system, pid);

  function giveUp(why: string): void {
    mechanism = "none";
    deps.log("debug", `the engine keeps its share of the processor: ${why}`);
  }

  function apply(nice: number): void {
    mechanism ??= chooseMechanism(system, pid);
    if (mechanism === "threads" && !threads.canUndo()) giveUp("a lower priority could not be raised again");
    if (mechanism === "none") return;
    changedMs = deps.monotonicNow();
    try {
      if (mechanism === "autogroup") system.write(`/proc/${pid}/autogroup`, String(nice));
      else threads.set(nice);
      current = nice;
    } catch (error) {
      // EAGAIN: somebody else has just changed one. It is tried again in its time.
      if (codeOf(error) !== "EAGAIN") giveUp(String(error));
    }
  }

  /** At once, or when the kernel takes a change again. */
  function settle(): void {
    if (stopped || timer !== undefined || wanted === current || mechanism === "none") return;
    const waitMs = changedMs + changeIntervalMs - deps.monotonicNow();
    if (waitMs <= 0) apply(wanted);
    if (wanted === current) return;
    timer = deps.setTimer(
      () => {
        timer = undefined;
        settle();
      },
      Math.max(waitMs, changeIntervalMs / 10),
    );
  }

  function reconsider(): void {
    wanted = asked ? fullNice : backlogNice;
    settle();
  }

  function setBacklogNice(nice: number): void {
    backlogNice = nice;
    reconsider();
  }

  return {
    follow(sealedBatches) {
      deps.clearTimer(patience);
      const now = deps.monotonicNow();
      const catchesUp = sealedBatches > everydayBatches || now < impatientUntilMs;
      setBacklogNice(catchesUp ? fullNice : yieldingNice);
      // Whenever a batch is sealed or stored this is called again.
      if (sealedBatches === 0 || catchesUp) return;
      patience = deps.setTimer(() => {
        impatientUntilMs = deps.monotonicNow() + impatientMs;
        setBacklogNice(fullNice);
      }, patienceMs);
    },
    answer(waiting) {
      asked = waiting;
      reconsider();
    },
    stop() {
      stopped = true;
      deps.clearTimer(timer);
      deps.clearTimer(patience);
    },
  };
}

function chooseMechanism(system: ProcessorSystem, pid: number): Mechanism {
  try {
    if (isInProcessorGroup(system, pid)) return "threads";
    const enabled = system.read("/proc/sys/kernel/sched_autogroup_enabled").trim() === "1";
    return enabled && system.exists(`/proc/${pid}/autogroup`) ? "autogroup" : "threads";
  } catch {
    // No /proc, or a kernel without autogroups.
    return system.exists(`/proc/${pid}/task`) ? "threads" : "none";
  }
}

/** Whether the scheduler divides time by cgroup here: it then passes over autogroups. */
function isInProcessorGroup(system: ProcessorSystem, pid: number): boolean {
  return system
    .read(`/proc/${pid}/cgroup`)
    .split("\n")
    .some((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === undefined || path === undefined) return false;
      if (controllers !== "") return controllers.split(",").includes("cpu") && path !== "/";
      // Version 2: every group but the root has this file where the controller is switched on.
      return system.exists(`/sys/fs/cgroup${path === "/" ? "" : path}/cpu.weight`);
    });
}

/** Nices all threads of a process, and gives them back what they had: its merges are lower than the rest anyway. */
function createThreadNice(system: ProcessorSystem, pid: number) {
  const before = new Map<number, number>();
  let undoable: boolean | undefined;

  const niceOf = (threadId: number): number => {
    const stat = system.read(`/proc/${pid}/task/${threadId}/stat`);
    // The name, in brackets, may hold anything. Behind it the nice value is the 17th field.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  };

  return {
    canUndo(): boolean {
      undoable ??= system.setNice(pid, fullNice + 1) && system.setNice(pid, fullNice);
      return undoable;
    },
    set(nice: number): void {
      const threadIds = system.list(`/proc/${pid}/task`).map(Number);
      for (const threadId of threadIds) {
        // A thread may end at any moment.
        if (nice === fullNice) system.setNice(threadId, before.get(threadId) ?? fullNice);
        else if (system.exists(`/proc/${pid}/task/${threadId}/stat`)) {
          before.set(threadId, niceOf(threadId));
          system.setNice(threadId, nice);
        }
      }
      if (nice === fullNice) before.clear();
    },
  };
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

export function createProcessorSystem(): ProcessorSystem {
  let libc: ReturnType<typeof createLibc> | undefined;
  return {
    read: (path) => readFileSync(path, "utf8"),
    write: (path, text) => writeFileSync(path, text),
    exists: existsSync,
    list: (path) => readdirSync(path),
    setNice(threadId, nice) {
      libc ??= createLibc();
      return libc.setNice(threadId, nice);
    },
  };
}
