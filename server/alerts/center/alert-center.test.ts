import { describe, expect, test } from "bun:test";
import type { Rule } from "../../../contract/alerts.ts";
import { openStore, type Store } from "../../store/store.ts";
import type { Outgoing } from "../notify/bodies.ts";
import { alertMigrations } from "../state/migrations.ts";
import { createRepository } from "../state/repository.ts";
import { AlertCenter } from "./alert-center.ts";
import type { DirectoryDevice } from "./device-directory.ts";

const startMs = Date.UTC(2026, 0, 1);
const silent = (more: object = {}): Rule => ({
  name: "silent",
  severity: "warning",
  when: { kind: "silent", ...more },
});

/** A center with a clock that is moved by hand, over a fleet that is a map. `restart` is a kill and a start. */
function setUp(rules: Rule[], options: { intervalMs?: number | null; jitters?: boolean } = {}) {
  const store: Store = openStore(":memory:", [alertMigrations]);
  const heard = new Map<string, number>();
  const messages: Outgoing[] = [];
  let nowMs = startMs;
  let aliveMs: number | null = null;
  let accepting = true;
  let jitter = 0;
  const jitters = options.jitters ?? false;
  const device = (deviceId: string): DirectoryDevice => ({
    deviceId,
    // Another clock's time of the receipt, never the same twice.
    heardMs: (heard.get(deviceId) as number) + (jitters ? (jitter++ * 37) % 70 : 0),
    intervalMs: options.intervalMs === undefined ? 10_000 : options.intervalMs,
    metadata: { site: deviceId.slice(0, 2) },
  });
  const create = () =>
    new AlertCenter(
      {
        log: () => undefined,
        repository: createRepository(store),
        directory: {
          isKnown: true,
          find: (deviceId) => (heard.has(deviceId) ? device(deviceId) : null),
          forEach: (visit) => {
            for (const deviceId of heard.keys()) visit(device(deviceId));
          },
        },
        reading: () => ({ storeLagSeconds: 0, isClickHouseUsable: true, deadLetters: 0, journalUsed: 0, refused: 0 }),
        accepting: () => accepting,
        heardUntilMs: () => nowMs,
        send: async (outgoing) => {
          messages.push(outgoing);
          return { ok: true };
        },
        now: () => nowMs,
        monotonicNow: () => nowMs,
        random: () => 0.5,
        onChange: () => undefined,
      },
      { lastAliveMs: aliveMs },
    );
  let center = create();
  center.open();
  center.judgeSilence();
  const { make } = createRepository(store);
  const audit = { who: "test", action: "create", target: "", detail: null };
  const channel = center.registry.putChannel(null, { name: "c", kind: "webhook", url: "http://x" }, nowMs);
  if (!channel.ok) throw new Error(channel.message);
  center.change(channel.changes, audit);
  for (const rule of rules) {
    const outcome = center.registry.putRule(null, rule, nowMs);
    if (!outcome.ok) throw new Error(outcome.message);
    center.change(outcome.changes, audit);
  }
  return {
    make,
    heard,
    messages,
    get center() {
      return center;
    },
    states: () =>
      [...center.evaluator.active()]
        .map(({ deviceId, phase, sinceMs }) => `${deviceId} ${phase} ${(sinceMs - startMs) / 1000}`)
        .sort(),
    hear: (...ids: string[]) => {
      for (const id of ids) heard.set(id, nowMs);
    },
    /** Time passes; each second `everySecond` is called. */
    async pass(seconds: number, everySecond: (second: number) => void = () => undefined) {
      for (let tick = 1; tick <= seconds * 10; tick++) {
        nowMs += 100;
        if (tick % 10 === 0) everySecond((nowMs - startMs) / 1000);
        center.tick();
        aliveMs = nowMs;
        if (tick % 20 === 0) await Promise.resolve();
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
    async restart(downSeconds: number) {
      await center.postOffice.stop();
      nowMs += downSeconds * 1000;
      center = create();
      center.open();
      center.judgeSilence();
    },
    refuse(refuses: boolean) {
      accepting = !refuses;
    },
  };
}

const told = (messages: readonly Outgoing[]) =>
  messages.map(
    ({ content }) =>
      `${content.type.slice(6)} ${content.alerts
        .map(({ deviceId }) => deviceId)
        .sort()
        .join(",")}`,
  );

describe("silence", () => {
  test("thingsboard issue 6821: 10,000 devices are found silent within a second of their time, not hours late", async () => {
    const rig = setUp([silent({ after: "60s" })]);
    const ids = Array.from({ length: 10_000 }, (_, index) => `d${index}`);
    // Each falls silent at a moment of its own.
    for (const [index, id] of ids.entries()) rig.heard.set(id, startMs - 30_000 + index * 3);
    const late: number[] = [];
    const seen = new Set<string>();
    for (let second = 0; second < 65; second++) {
      await rig.pass(1);
      for (const { deviceId } of rig.center.evaluator.active()) {
        if (deviceId === null || seen.has(deviceId)) continue;
        seen.add(deviceId);
        late.push(startMs + (second + 1) * 1000 - ((rig.heard.get(deviceId) as number) + 60_000));
      }
    }
    expect(seen.size).toBe(10_000);
    // Looked at once a second, decided within a grace of 250 ms and a tick: never before its time.
    expect(Math.max(...late)).toBeLessThan(1_600);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(250);
  }, 60_000);

  test("10,000 devices fall silent at once and come back: one message each time", async () => {
    const rig = setUp([silent({ after: "30s" })]);
    const ids = Array.from({ length: 10_000 }, (_, index) => `d${index}`);
    rig.hear(...ids);
    await rig.pass(60);
    expect(rig.states()).toHaveLength(10_000);
    rig.hear(...ids);
    await rig.pass(60, () => rig.hear(...ids));
    expect(rig.states()).toEqual([]);
    expect(rig.messages.map(({ content }) => `${content.type} ${content.alerts.length}`)).toEqual([
      "alert.firing 10000",
      "alert.resolved 10000",
    ]);
    expect(new Set(rig.messages.map(({ id }) => id)).size).toBe(2);
  }, 60_000);

  test("thingsboard issue 13715: a restart raises no storm; the time that this service was down is nobody's silence", async () => {
    const rig = setUp([silent({ after: "60s" })]);
    const ids = Array.from({ length: 1_000 }, (_, index) => `d${index}`);
    rig.hear(...ids, "gone");
    await rig.pass(20, () => rig.hear(...ids));
    await rig.restart(3_600);
    await rig.pass(30);
    expect(rig.states()).toEqual([]);
    // One never comes back: its sixty seconds are twenty before and forty after.
    await rig.pass(15, () => rig.hear(...ids));
    expect(rig.states()).toEqual(["gone firing 3660"]);
    await rig.pass(20, () => rig.hear(...ids));
    expect(told(rig.messages)).toEqual(["firing gone"]);
  });

  test("thingsboard issues 7909, 9156: a device heard at its very deadline raises nothing, and is found silent the next time", async () => {
    const rig = setUp([silent({ after: "30s" })]);
    rig.hear("d1");
    await rig.pass(29.9);
    rig.hear("d1");
    await rig.pass(30.1);
    expect(rig.states()).toEqual([]);
    await rig.pass(1);
    expect(rig.states()).toEqual(["d1 firing 59.9"]);
    rig.hear("d1");
    await rig.pass(1);
    expect(rig.states()).toEqual([]);
    await rig.pass(32);
    expect(rig.states()).toHaveLength(1);
  });

  test("an alarm of silence goes on over a restart, is told once, and ends when the device is heard", async () => {
    const rig = setUp([silent({ after: "30s" })]);
    rig.hear("d1");
    await rig.pass(40);
    await rig.restart(10);
    await rig.pass(40);
    expect(rig.states()).toEqual(["d1 firing 30"]);
    rig.hear("d1");
    await rig.pass(15);
    expect(told(rig.messages)).toEqual(["firing d1", "resolved d1"]);
  });

  test("a restart while a device is silent neither ends its alarm nor raises it again", async () => {
    const rig = setUp([silent({ after: "30s" })], { jitters: true });
    rig.hear("d1", "d2");
    await rig.pass(32, () => rig.hear("d2"));
    for (let round = 0; round < 3; round++) {
      await rig.restart(25);
      await rig.pass(5, () => rig.hear("d2"));
    }
    await rig.pass(100, () => rig.hear("d2"));
    expect(told(rig.messages)).toEqual(["firing d1"]);
    expect(rig.states()).toHaveLength(1);
  });

  test("while nothing is accepted, nobody falls silent", async () => {
    const rig = setUp([silent({ after: "30s" })]);
    rig.hear("d1");
    await rig.pass(10);
    rig.refuse(true);
    await rig.pass(600);
    rig.refuse(false);
    await rig.pass(19);
    expect(rig.states()).toEqual([]);
    await rig.pass(3);
    expect(rig.states()).toHaveLength(1);
  });

  test("by its own interval, and by selection", async () => {
    const rig = setUp([{ ...silent({ intervals: 3 }), devices: { meta: { site: "s1" } } }]);
    rig.hear("s1-a", "s2-b");
    await rig.pass(35);
    expect(rig.states()).toEqual(["s1-a firing 30"]);
    const unknown = setUp([silent({ intervals: 3 })], { intervalMs: null });
    unknown.hear("a");
    await unknown.pass(600);
    expect(unknown.states()).toEqual([]);
  });

  test("a silent gateway mutes its site's devices", async () => {
    const rig = setUp([
      { ...silent({ after: "20s" }), name: "gateway", devices: { prefix: "s1-gw" } },
      {
        ...silent({ after: "20s" }),
        name: "device",
        devices: { prefix: "s" },
        inhibited_by: [{ rule: "gateway", equal: ["meta.site"] }],
      },
    ]);
    rig.hear("s1-gw", "s1-a", "s1-b", "s2-a");
    await rig.pass(60);
    const devices = rig.messages.filter(({ content }) => content.labels.rule === "device");
    expect(told(devices)).toEqual(["firing s2-a"]);
    expect(rig.states()).toHaveLength(5);
  });
});

test("ten million idle ticks leak nothing", () => {
  const rig = setUp([silent({ after: "30s" })]);
  const { center } = rig;
  const ticks = (count: number): number => {
    for (let tick = 0; tick < count; tick++) center.tick();
    Bun.gc(true);
    return process.memoryUsage().heapUsed;
  };
  const before = ticks(1_000_000);
  const after = ticks(9_000_000);
  expect(after - before).toBeLessThan(2 ** 20);
}, 120_000);
