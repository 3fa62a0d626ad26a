import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { startTestEngine, type TestEngine } from "../../testing/test-engine.ts";
import { until } from "../../testing/until.ts";
import { createProcessorShare, createProcessorSystem, type ProcessorSystem } from "./processor-share.ts";

const pid = 4711;

/** A /proc of our own, and a clock that only moves when it is told to. */
function createFakeMachine(files: Readonly<Record<string, string>> = {}) {
  const present = new Map<string, string>(
    Object.entries({
      "/proc/sys/kernel/sched_autogroup_enabled": "1\n",
      [`/proc/${pid}/autogroup`]: "/autogroup-8 nice 0\n",
      [`/proc/${pid}/cgroup`]: "1:cpu,cpuacct:/\n0::/\n",
      [`/proc/${pid}/task`]: "",
      ...files,
    }),
  );
  const writes: string[] = [];
  const nices = new Map<number, number>();
  const refusals: string[] = [];
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  const machine = {
    writes,
    nices,
    /** Codes that the next writes fail with. */
    refusals,
    maySetNice: (_nice: number, _before: number): boolean => true,
    advance(ms: number): void {
      nowMs += ms;
      const due = timers.filter(({ atMs }) => atMs <= nowMs);
      timers = timers.filter(({ atMs }) => atMs > nowMs);
      for (const { callback } of due) callback();
    },
  };
  const missing = (path: string): Error => Object.assign(new Error(`ENOENT ${path}`), { code: "ENOENT" });
  const system: ProcessorSystem = {
    read(path) {
      const thread = /\/task\/(\d+)\/stat$/.exec(path)?.[1];
      if (thread !== undefined) return `1 (a ) b) S ${"0 ".repeat(15)}${nices.get(Number(thread))} 0`;
      const text = present.get(path);
      if (text === undefined) throw missing(path);
      return text;
    },
    write(path, text) {
      if (!present.has(path)) throw missing(path);
      const code = refusals.shift();
      if (code !== undefined) throw Object.assign(new Error(code), { code });
      writes.push(`${nowMs} ${path} ${text}`);
    },
    exists: (path) => present.has(path) || /\/task\/\d+\/stat$/.test(path),
    list: () => [...nices.keys()].map(String),
    setNice(threadId, nice) {
      const before = nices.get(threadId);
      if (before === undefined || !machine.maySetNice(nice, before)) return false;
      nices.set(threadId, nice);
      return true;
    },
  };
  const share = createProcessorShare(
    {
      system,
      monotonicNow: () => nowMs,
      setTimer(callback, ms) {
        const timer = { atMs: nowMs + ms, callback };
        timers.push(timer);
        return timer;
      },
      clearTimer(timer) {
        timers = timers.filter((each) => each !== timer);
      },
      log: () => undefined,
    },
    pid,
  );
  return { ...machine, machine, share };
}

describe("by autogroup", () => {
  const path = `/proc/${pid}/autogroup`;

  test("the engine yields while at most one batch is sealed, and not with more", () => {
    const { share, advance, writes } = createFakeMachine();
    share.follow(0);
    advance(1000);
    share.follow(1);
    advance(200);
    share.follow(2);
    advance(1000);
    share.follow(3);
    advance(1000);
    share.follow(1);
    expect(writes).toEqual([`0 ${path} 19`, `1200 ${path} 0`, `3200 ${path} 19`]);
  });

  test("one batch that takes long is a backlog, too, and the engine does not yield for a while", () => {
    const { share, advance, writes } = createFakeMachine();
    share.follow(1);
    advance(1_999);
    share.follow(0);
    share.follow(1);
    advance(1_999);
    expect(writes).toEqual([`0 ${path} 19`]);
    advance(1);
    expect(writes).toEqual([`0 ${path} 19`, `3999 ${path} 0`]);
    share.follow(0);
    advance(9_999);
    share.follow(1);
    expect(writes.length).toBe(2);
    advance(1);
    share.follow(0);
    expect(writes.at(-1)).toBe(`13999 ${path} 19`);
  });

  test("a question that waits for its answer is not made to wait longer", () => {
    const { share, advance, writes } = createFakeMachine();
    share.follow(0);
    advance(500);
    share.answer(true);
    advance(500);
    share.follow(1);
    share.follow(0);
    advance(500);
    share.answer(false);
    expect(writes).toEqual([`0 ${path} 19`, `500 ${path} 0`, `1500 ${path} 19`]);
  });

  test("changes at most once in a tenth of a second, to what is true then", () => {
    const { share, advance, writes } = createFakeMachine();
    share.follow(0);
    share.follow(5);
    advance(30);
    share.follow(0);
    advance(30);
    share.follow(4);
    advance(39);
    expect(writes).toEqual([`0 ${path} 19`]);
    advance(1);
    advance(1000);
    expect(writes).toEqual([`0 ${path} 19`, `100 ${path} 0`]);
  });

  test("tries again what the kernel refuses for the moment, and leaves alone what it refuses for good", () => {
    const busy = createFakeMachine();
    busy.refusals.push("EAGAIN");
    busy.share.follow(0);
    expect(busy.writes).toEqual([]);
    busy.advance(200);
    expect(busy.writes).toEqual([`200 ${path} 19`]);

    const refused = createFakeMachine();
    refused.refusals.push("EPERM");
    refused.share.follow(0);
    refused.advance(1000);
    refused.share.follow(5);
    refused.share.follow(0);
    refused.advance(1000);
    expect(refused.writes).toEqual([]);
  });

  test("does nothing after it was stopped", () => {
    const { share, advance, writes } = createFakeMachine();
    share.follow(0);
    share.follow(2);
    share.stop();
    advance(1000);
    expect(writes).toEqual([`0 ${path} 19`]);
  });
});

describe("by the threads' nice values", () => {
  const places: Record<string, Record<string, string>> = {
    "without autogroups": { "/proc/sys/kernel/sched_autogroup_enabled": "0\n" },
    "in a CPU cgroup, version 1": { [`/proc/${pid}/cgroup`]: "3:memory:/\n2:cpu,cpuacct:/docker/1\n" },
    "in a CPU cgroup, version 2": { [`/proc/${pid}/cgroup`]: "0::/a\n", "/sys/fs/cgroup/a/cpu.weight": "100" },
    "in the root of a container, version 2": { [`/proc/${pid}/cgroup`]: "0::/\n", "/sys/fs/cgroup/cpu.weight": "100" },
  };
  for (const [where, files] of Object.entries(places)) {
    test(`${where}: all yield, and get back what they had`, () => {
      const { share, advance, writes, nices } = createFakeMachine(files);
      nices
        .set(pid, 0)
        .set(pid + 1, 0)
        .set(pid + 2, 5);
      share.follow(0);
      expect([...nices.values()]).toEqual([19, 19, 19]);
      // Made meanwhile by one that yields.
      nices.set(pid + 3, 19);
      advance(100);
      share.follow(2);
      expect([...nices.values()]).toEqual([0, 0, 5, 0]);
      expect(writes).toEqual([]);
    });
  }

  test("a group of version 2 without the CPU controller divides nothing: its autogroup counts", () => {
    const { share, writes } = createFakeMachine({ [`/proc/${pid}/cgroup`]: "0::/user.slice\n" });
    share.follow(0);
    expect(writes).toHaveLength(1);
  });

  test("are left alone where they could not be raised again", () => {
    const { share, machine, nices, advance } = createFakeMachine({ "/proc/sys/kernel/sched_autogroup_enabled": "0\n" });
    machine.maySetNice = (nice, before) => nice >= before;
    nices.set(pid, 0).set(pid + 1, 0);
    share.follow(0);
    advance(1000);
    share.follow(3);
    share.follow(0);
    advance(1000);
    // The trial itself cannot be taken back; one step of one thread is nothing.
    expect([...nices.values()]).toEqual([1, 0]);
  });
});

describe("on this machine", () => {
  let engine: TestEngine | undefined;
  afterEach(() => engine?.stop());

  const autogroupNice = (of: number): number =>
    Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${of}/autogroup`, "utf8"))?.[1]);
  const hasAutogroups = ((): boolean => {
    try {
      return (
        readFileSync("/proc/sys/kernel/sched_autogroup_enabled", "utf8").trim() === "1" &&
        createProcessorSystem().exists("/proc/self/autogroup")
      );
    } catch {
      return false;
    }
  })();

  test.skipIf(!hasAutogroups)(
    "a real engine yields, catches up, yields, and our own group stays as it is",
    async () => {
      engine = await startTestEngine();
      const enginePid = engine.clickhouse.status().pid as number;
      const before = autogroupNice(process.pid);
      for (const [batches, nice] of [
        [0, 19],
        [2, 0],
        [1, 19],
      ] as const) {
        engine.clickhouse.setBacklog(batches);
        await until(`nice ${nice} with ${batches} batches`, () => autogroupNice(enginePid) === nice);
      }
      expect(autogroupNice(process.pid)).toBe(before);
    },
  );

  test.skipIf(!hasAutogroups)("a real engine stops yielding while a reader waits", async () => {
    engine = await startTestEngine();
    const enginePid = engine.clickhouse.status().pid as number;
    engine.clickhouse.setBacklog(0);
    await until("it yields", () => autogroupNice(enginePid) === 19);
    const answer = engine.reader("SELECT sum(sleepEachRow(0.1)) FROM numbers(20)");
    await until("it does not", () => autogroupNice(enginePid) === 0);
    await answer;
    await until("it yields again", () => autogroupNice(enginePid) === 19);
  });

  test.skipIf(process.platform !== "linux")("a thread's nice value can be set", () => {
    const system = createProcessorSystem();
    expect(system.setNice(2 ** 22 + 1, 5)).toBe(false);
  });
});
