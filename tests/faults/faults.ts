import { closeSync, fsyncSync, openSync, readdirSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../testing/until.ts";
import type { InsertFault } from "./fault-proxy.ts";
import type { Random } from "./random.ts";
import { insertTimeoutMs, type Mode, type Rig, setImmutable, shutdownTimeoutMs } from "./rig.ts";

export interface Fault {
  readonly name: string;
  /** Faults of one group take turns within a round; those of different groups overlap. */
  readonly group: "process" | "network" | "store" | "disk" | "clock";
  readonly modes: readonly Mode[];
  /** Why it cannot be done here; undefined when it can. */
  unavailable?(rig: Rig): string | undefined;
  /** Breaks something, and mends it before it resolves. */
  run(rig: Rig, random: Random): Promise<void>;
}

const both: readonly Mode[] = ["embedded", "external"];
const shutdownMarginMs = 8_000;

const restartService = async (rig: Rig): Promise<void> => {
  rig.service.spawn();
  await rig.service.ready();
};

const killEngine = async (rig: Rig): Promise<void> => {
  const pid = rig.enginePid();
  if (rig.engine) await rig.engine.kill();
  else if (pid !== null) process.kill(pid, "SIGKILL");
};

const restartEngine = async (rig: Rig): Promise<void> => {
  rig.engine?.spawn();
  await rig.engine?.ready();
};

const processFaults: readonly Fault[] = [
  {
    name: "kill-service",
    group: "process",
    modes: both,
    async run(rig, random) {
      await rig.service.kill();
      await Bun.sleep(random.integer(0, 150));
      await restartService(rig);
    },
  },
  {
    name: "kill-engine",
    group: "process",
    modes: both,
    async run(rig, random) {
      await killEngine(rig);
      await Bun.sleep(random.integer(0, 300));
      await restartEngine(rig);
    },
  },
  {
    name: "kill-both",
    group: "process",
    modes: both,
    async run(rig, random) {
      const killing = [() => killEngine(rig), () => rig.service.kill()];
      if (random.chance(0.5)) killing.reverse();
      for (const kill of killing) await kill();
      if (random.chance(0.5)) {
        await restartEngine(rig);
        await restartService(rig);
      } else {
        // The service first: it takes events while ClickHouse is away.
        await restartService(rig);
        await restartEngine(rig);
      }
    },
  },
  {
    name: "stop-engine",
    group: "process",
    modes: both,
    async run(rig, random) {
      const pid = rig.enginePid();
      if (pid === null) return;
      process.kill(pid, "SIGSTOP");
      await Bun.sleep(insertTimeoutMs + random.integer(100, 500));
      process.kill(pid, "SIGCONT");
    },
  },
  {
    name: "stop-service",
    group: "process",
    modes: both,
    async run(rig, random) {
      rig.service.signal("SIGSTOP");
      await Bun.sleep(random.integer(100, 1_500));
      rig.service.signal("SIGCONT");
    },
  },
  {
    name: "term-service",
    group: "process",
    modes: both,
    async run(rig) {
      const startedMs = performance.now();
      rig.service.signal("SIGTERM");
      const code = await rig.service.exited();
      const tookMs = performance.now() - startedMs;
      if (code !== 0) throw new Error(`SIGTERM: exit code ${code}, not 0`);
      if (tookMs > shutdownTimeoutMs + shutdownMarginMs) throw new Error(`SIGTERM: took ${Math.round(tookMs)} ms`);
      await restartService(rig);
    },
  },
  {
    name: "term-service-engine-hangs",
    group: "process",
    modes: ["external"],
    async run(rig) {
      const pid = rig.enginePid();
      if (pid === null) return;
      process.kill(pid, "SIGSTOP");
      const startedMs = performance.now();
      rig.service.signal("SIGTERM");
      const code = await rig.service.exited();
      const tookMs = performance.now() - startedMs;
      process.kill(pid, "SIGCONT");
      if (code !== 0) throw new Error(`SIGTERM: exit code ${code}, not 0`);
      if (tookMs > shutdownTimeoutMs + 1_500) {
        throw new Error(`SIGTERM with a hanging ClickHouse: took ${Math.round(tookMs)} ms`);
      }
      await restartService(rig);
    },
  },
  {
    name: "restart-storm",
    group: "process",
    modes: both,
    async run(rig, random) {
      for (let left = random.integer(2, 4); left > 0; left--) {
        await rig.service.kill();
        rig.service.spawn();
        await Bun.sleep(random.integer(50, 700));
      }
      await rig.service.ready();
    },
  },
];

/** One or a few inserts in a row meet it. */
const insertFault = (name: string, create: (random: Random) => InsertFault, most = 3): Fault => ({
  name,
  group: "network",
  modes: ["external"],
  async run(rig, random) {
    const { proxy } = rig;
    if (!proxy) return;
    proxy.plan(...Array.from({ length: random.integer(1, most) }, () => create(random)));
    // It is over when it was met; a round without further inserts leaves it to be cleared.
    const deadline = performance.now() + insertTimeoutMs * 4;
    while (proxy.planned > 0 && performance.now() < deadline) await Bun.sleep(10);
    proxy.clear();
  },
});

const networkFaults: readonly Fault[] = [
  {
    name: "refuse",
    group: "network",
    modes: ["external"],
    async run(rig, random) {
      rig.proxy?.refuse(true);
      await Bun.sleep(random.integer(200, 1_200));
      rig.proxy?.refuse(false);
    },
  },
  insertFault("reset-before-body", () => ({ kind: "reset_before_body" })),
  insertFault("reset-mid-body", () => ({ kind: "reset_mid_body" })),
  insertFault("reset-before-reply", () => ({ kind: "reset_before_reply" })),
  insertFault("reply-never", () => ({ kind: "reply_never" }), 1),
  insertFault("sent-twice", () => ({ kind: "sent_twice" })),
  insertFault("empty-success", () => ({ kind: "empty_success" })),
  insertFault("success-cut-short", () => ({ kind: "success_cut_short" })),
  // MEMORY_LIMIT_EXCEEDED, TOO_MANY_PARTS, NOT_ENOUGH_SPACE
  insertFault("500-unavailable", (random) => ({ kind: "exception", status: 500, code: random.pick([241, 252, 243]) })),
  // AUTHENTICATION_FAILED, ACCESS_DENIED, READONLY
  insertFault("500-denied", (random) => ({ kind: "exception", status: 500, code: random.pick([516, 497, 164]) })),
  insertFault("500-unknown", (random) => ({ kind: "exception", status: 500, code: random.pick([49, 1001, 987_654]) })),
  // VIOLATED_CONSTRAINT, once: of a whole batch, whose halves then go in.
  insertFault("500-rejected-once", () => ({ kind: "exception", status: 500, code: 469, rejectsRows: true }), 1),
  insertFault("exception-in-200", (random) => ({ kind: "exception", status: 200, code: random.pick([241, 999]) })),
  {
    name: "throttle",
    group: "network",
    modes: ["external"],
    async run(rig, random) {
      rig.proxy?.throttle(random.integer(20_000, 200_000));
      await Bun.sleep(random.integer(300, 1_200));
      rig.proxy?.throttle(null);
    },
  },
];

/** What a cluster says when Keeper or too many replicas are away, in its own codes. */
const clusterFaults: readonly Fault[] = [
  // TOO_FEW_LIVE_REPLICAS, UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE: nothing was written.
  insertFault("quorum-lost", (random) => ({ kind: "exception", status: 500, code: random.pick([285, 286]) })),
  // UNKNOWN_STATUS_OF_INSERT: it may be there, or not.
  insertFault("unknown-status", (random) =>
    random.chance(0.6) ? { kind: "commits_with_exception", code: 319 } : { kind: "exception", status: 500, code: 319 },
  ),
  {
    name: "keeper-away",
    group: "network",
    modes: ["external"],
    /** TABLE_IS_READ_ONLY and NO_ZOOKEEPER: not written. KEEPER_EXCEPTION: the commit may have gone through before. */
    async run(rig, random) {
      rig.proxy?.eachInsert(() => {
        if (random.chance(0.5)) return { kind: "exception", status: 500, code: random.pick([242, 225]) };
        return random.chance(0.5)
          ? { kind: "commits_with_exception", code: 999 }
          : { kind: "exception", status: 500, code: 999 };
      });
      await Bun.sleep(random.integer(300, 1_500));
      rig.proxy?.clear();
    },
  },
  {
    name: "replica-fails-over",
    group: "network",
    modes: ["external"],
    unavailable: (rig) => (rig.replica === null ? "needs a rig with two replicas" : undefined),
    /** One replica goes in the middle of an insert, committed or not; the other one has it, or never heard of it. */
    async run(rig, random) {
      for (const going of random.chance(0.5) ? [rig.proxy, rig.replica] : [rig.replica, rig.proxy]) {
        if (!going) continue;
        const before = going.inserts;
        going.plan({ kind: random.pick(["reset_before_reply", "reset_mid_body", "reply_never"] as const) });
        const deadline = performance.now() + 800;
        while (going.inserts === before && performance.now() < deadline) await Bun.sleep(5);
        going.refuse(true);
        await Bun.sleep(random.integer(100, 700));
        going.refuse(false);
        going.clear();
      }
    },
  },
  {
    name: "replica-lags",
    group: "network",
    modes: ["external"],
    unavailable: (rig) => (rig.replica === null ? "needs a rig with two replicas" : undefined),
    /** Rollup queries are answered without what is newest; the view is short meanwhile, and whole again within a minute. */
    async run(rig, random) {
      const lagging = random.pick([[rig.proxy], [rig.replica], [rig.proxy, rig.replica]]);
      for (const each of lagging) each?.lag(random.integer(1, 3));
      await Bun.sleep(random.integer(300, 1_200));
      for (const each of lagging) each?.lag(null);
    },
  },
];

const storeFaults: readonly Fault[] = [
  {
    name: "view-fails",
    group: "store",
    modes: both,
    /** The raw rows and the first rollup are written when the next one fails: the insert stops half-way. */
    async run(rig, random) {
      await rig.command("ALTER TABLE telemetry_1m ADD CONSTRAINT IF NOT EXISTS broken CHECK event_count < 0");
      await Bun.sleep(random.integer(100, 300));
      // Until an insert has met it, if there is one to come.
      const deadline = performance.now() + 1_500;
      while (!(await lastError(rig)).includes("`broken`") && performance.now() < deadline) await Bun.sleep(20);
      await rig.command("ALTER TABLE telemetry_1m DROP CONSTRAINT IF EXISTS broken");
    },
  },
];

/** A campaign of its own: `--only start-with-no-room`. */
export const startWithNoRoom = "start-with-no-room";

const noRoom: Fault = {
  name: startWithNoRoom,
  group: "process",
  modes: both,
  unavailable: (rig) => (rig.smallDataDisk === null ? `only with --only ${startWithNoRoom}, and as root` : undefined),
  /** Killed, and nothing is left of the disk: it starts all the same, once or twice, and drains what it has. */
  async run(rig, random) {
    const directory = rig.smallDataDisk as string;
    const ballast = join(directory, "ballast");
    for (let starts = random.integer(1, 2); starts > 0; starts--) {
      await rig.service.kill();
      fill(directory, ballast, 0);
      await restartService(rig);
      await Bun.sleep(random.integer(100, 600));
      expectNoDrafts(rig);
    }
    // The embedded engine's own files are on the full disk: it waits. Another ClickHouse takes everything meanwhile.
    if (rig.mode === "external") await until("the journal drains", () => isDrained(rig), 30_000);
    rmSync(ballast, { force: true });
    await until("what is left drains", () => isDrained(rig), 60_000);
    expectNoDrafts(rig);
  },
};

async function isDrained(rig: Rig): Promise<boolean> {
  const { pending } = (await rig.get("/api/pipeline")) as { pending: number };
  return pending === 0;
}

/** A file that was to replace another one, and did not. */
function expectNoDrafts(rig: Rig): void {
  const names = readdirSync(rig.dataDir, { recursive: true, encoding: "utf8" });
  const drafts = names.filter((name) => name.endsWith(".new"));
  if (drafts.length > 0) throw new Error(`left behind: ${drafts.join(", ")}`);
}

const diskFaults: readonly Fault[] = [
  {
    name: "disk-full",
    group: "disk",
    modes: both,
    unavailable: (rig) => (rig.smallJournalDisk === null ? "needs root, for a small file system" : undefined),
    async run(rig, random) {
      const directory = rig.smallJournalDisk as string;
      const ballast = join(directory, "ballast");
      fill(directory, ballast, random.pick([0, 4096, 20_000]));
      await Bun.sleep(random.integer(200, 1_000));
      rmSync(ballast, { force: true });
    },
  },
  {
    name: "journal-unwritable",
    group: "disk",
    modes: both,
    unavailable: (rig) => {
      const works = setImmutable(join(rig.dataDir, "journal"), true);
      setImmutable(join(rig.dataDir, "journal"), false);
      return works ? undefined : "needs root, and a file system that knows chattr +i";
    },
    async run(rig, random) {
      const directory = join(rig.dataDir, "journal");
      setImmutable(directory, true);
      await Bun.sleep(random.integer(200, 1_000));
      setImmutable(directory, false);
    },
  },
  {
    name: "journal-full",
    group: "process",
    modes: both,
    /** ClickHouse hangs, and more comes than the journal may hold. */
    async run(rig, random) {
      const pid = rig.enginePid();
      if (pid === null) return;
      process.kill(pid, "SIGSTOP");
      const deadline = performance.now() + 2_500;
      let refused = false;
      // Smaller and smaller, until nothing fits any more.
      for (const [events, characters] of [
        [8, 60_000],
        [1, 60_000],
        [1, 4_000],
        [1, 100],
      ] as const) {
        refused = false;
        while (!refused && performance.now() < deadline) refused = await sendLarge(rig, random, events, characters);
      }
      await Bun.sleep(random.integer(200, 800));
      process.kill(pid, "SIGCONT");
      if (!refused) throw new Error("the journal never said that it was full");
    },
  },
];

const clockFaults: readonly Fault[] = [
  {
    name: "clock-back",
    group: "clock",
    modes: both,
    async run(rig, random) {
      rig.setClock(-random.integer(2_000, 120_000));
      await Bun.sleep(random.integer(200, 600));
      // Half of the times it stays behind until the next one.
      if (random.chance(0.5)) rig.setClock(0);
    },
  },
];

export const faults: readonly Fault[] = [
  noRoom,
  ...processFaults,
  ...networkFaults,
  ...clusterFaults,
  ...storeFaults,
  ...diskFaults,
  ...clockFaults,
];

/** Takes all room but `leaveBytes`. */
function fill(directory: string, path: string, leaveBytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const file = openSync(path, "w");
  const piece = new Uint8Array(64 * 1024);
  try {
    for (let left = bavail * bsize - leaveBytes; left > 0; left -= piece.length) {
      writeSync(file, piece, 0, Math.min(left, piece.length));
    }
    fsyncSync(file);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  } finally {
    closeSync(file);
  }
}

/** What the service last failed with; empty when it cannot be asked just now. */
async function lastError(rig: Rig): Promise<string> {
  try {
    return JSON.stringify(await rig.get("/api/pipeline"));
  } catch (error) {
    if (error instanceof Error) return "";
    throw error;
  }
}

let largeSent = 0;

/** True once it was refused with the hint when to come back. */
async function sendLarge(rig: Rig, random: Random, count: number, characters: number): Promise<boolean> {
  const events = Array.from({ length: count }, () => ({
    id: `large-${process.pid}-${largeSent++}`,
    event: { device_id: "", event_type: "large", value_string: String(random.integer(0, 9)).repeat(characters) },
    poison: false,
    old: false,
  }));
  for (const each of events) each.event.device_id = each.id;
  const request = { events, key: null, outcome: "unheard" as "unheard" | "acknowledged" | "refused" };
  rig.ledger.add(request);
  try {
    const response = await fetch(`${rig.url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ events: events.map(({ event }) => event) }),
      signal: AbortSignal.timeout(2_000),
      keepalive: false,
    });
    await response.arrayBuffer();
    if (response.status === 503 && response.headers.get("retry-after") === null) {
      throw new Error("503 without Retry-After");
    }
    request.outcome = response.status === 202 ? "acknowledged" : "refused";
    return response.status === 503;
  } catch (error) {
    if (error instanceof Error && error.message.includes("Retry-After")) throw error;
    return false;
  }
}

/** Mends whatever a fault that threw half-way left behind. */
export async function mend(rig: Rig): Promise<void> {
  for (const proxy of [rig.proxy, rig.replica]) {
    proxy?.refuse(false);
    proxy?.clear();
  }
  rig.service.signal("SIGCONT");
  const pid = rig.enginePid();
  if (pid !== null) process.kill(pid, "SIGCONT");
  if (rig.smallJournalDisk) rmSync(join(rig.smallJournalDisk, "ballast"), { force: true });
  if (rig.smallDataDisk) rmSync(join(rig.smallDataDisk, "ballast"), { force: true });
  setImmutable(join(rig.dataDir, "journal"), false);
  if (rig.engine?.pid === null) rig.engine.spawn();
  if (rig.service.pid === null) rig.service.spawn();
  await until("everything runs again", async () => rig.service.pid !== null, 1_000);
}
