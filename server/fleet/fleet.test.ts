import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { hashDeviceId } from "../../contract/row.ts";
import { DeviceTable, receiptOf } from "../live-view/device-table.ts";
import { createFleet } from "./fleet.ts";
import type { FleetHistory, FleetStore, StoredDevice } from "./fleet-store.ts";
import type { DeviceChange } from "./presence.ts";

// A machine that is busy takes longer; what is measured is processor time.
setDefaultTimeout(60_000);

/** A fleet on a clock of its own, with a ClickHouse that has at once what was sent. */
class World {
  nowMs = 1_800_000_000_000;
  accepting = true;
  storing = true;
  readonly stored = new Map<string, StoredDevice>();
  readonly history: { -readonly [Key in keyof FleetHistory]: FleetHistory[Key] } = {
    empty: false,
    silent: new Map(),
    recentlyNew: new Set(),
    becameSilent: [],
    newDevices: [],
  };
  volatile: ReadonlySet<string> = new Set(["seq"]);
  readonly changes: DeviceChange[] = [];
  #fleet: ReturnType<typeof createFleet> | null = null;
  #table: DeviceTable | null = null;
  #startMs = this.nowMs;

  get fleet() {
    if (this.#fleet === null) throw new Error("not started");
    return this.#fleet;
  }

  get monotonicMs(): number {
    return this.nowMs - this.#startMs + 1_000;
  }

  start(devicesMax?: number): void {
    this.#startMs = this.nowMs;
    const store: FleetStore = {
      devices: async (sinceMs, visit) => {
        if (!this.storing) return { ok: false };
        for (const device of this.stored.values()) if (sinceMs === null || device.heardMs >= sinceMs) visit(device);
        return { ok: true };
      },
      history: async () => (this.storing ? { ok: true, ...this.history } : { ok: false }),
      volatileKeys: async () => ({ ok: true, keys: this.volatile, devices: 10 }),
    };
    this.#fleet = createFleet(
      {
        now: () => this.nowMs,
        monotonicNow: () => this.monotonicMs,
        receipts: () => this.#table as DeviceTable,
        store,
        accepting: () => this.accepting,
        onChanges: (changes) => this.changes.push(...changes),
        onError(error) {
          throw error;
        },
      },
      devicesMax === undefined ? {} : { devicesMax },
    );
    this.#table = new DeviceTable(this.#second - 600, undefined, this.#fleet.listener);
    this.#fleet.open();
  }

  get #second(): number {
    return Math.floor(this.nowMs / 1000);
  }

  hear(deviceId: string, metadata: Record<string, string> = {}, silentAfterMs = 3_000): void {
    this.#table?.observe(...hashDeviceId(deviceId), this.#second, receiptOf(this.monotonicMs));
    const keys = Object.keys(metadata);
    this.stored.set(deviceId, {
      deviceId,
      heardMs: this.nowMs,
      firstHeardMs: this.stored.get(deviceId)?.firstHeardMs ?? this.nowMs,
      silentAfterMs,
      intervalMs: silentAfterMs - 1_000,
      metadataText: keys.length === 0 ? "" : ["", ...keys, ...Object.values(metadata)].join("\x1f"),
    });
  }

  /** Time goes by in ticks of a tenth of a second. */
  async run(ms: number, each: () => void = () => undefined): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.nowMs += 100;
      each();
      this.#table?.advance(this.#second - 600);
      this.#table?.sweep();
      this.fleet.tick();
      for (let turn = 0; turn < 6; turn++) await Promise.resolve();
    }
  }

  kinds(kind: DeviceChange["kind"]): string[] {
    return this.changes.filter((change) => change.kind === kind).map((change) => change.deviceId);
  }
}

describe("the fleet", () => {
  test("misses a device when its time is over, and has it back with its first event", async () => {
    const world = new World();
    world.start();
    await world.run(500);
    await world.run(10_000, () => world.nowMs % 2_000 === 0 && world.hear("a"));
    expect(world.fleet.totals).toEqual({ online: 1, silent: 0, became_silent: 0, new_devices: 1 });
    expect(world.kinds("new")).toEqual(["a"]);
    const heardMs = world.stored.get("a")?.heardMs ?? 0;
    await world.run(heardMs + 2_900 - world.nowMs);
    expect(world.fleet.totals?.silent).toBe(0);
    await world.run(500);
    expect(world.fleet.totals).toEqual({ online: 0, silent: 1, became_silent: 1, new_devices: 1 });
    const [silent] = world.changes.filter((change) => change.kind === "silent");
    expect(Math.abs((silent?.atMs ?? 0) - heardMs - 3_000)).toBeLessThanOrEqual(63);
    await world.run(800_000);
    // It has left the table of the window meanwhile.
    world.hear("a");
    expect(world.fleet.find("a")?.silent).toBe(false);
    await world.run(100);
    expect(world.fleet.totals).toMatchObject({ online: 1, silent: 0, became_silent: 0 });
    expect(world.kinds("online")).toEqual(["a"]);
  });

  test("does not take its own absence for silence: not taking events, standing still, being down", async () => {
    const world = new World();
    world.start();
    await world.run(500);
    await world.run(6_000, () => world.nowMs % 2_000 === 0 && world.hear("a"));
    world.accepting = false;
    await world.run(60_000);
    expect(world.fleet.totals?.silent).toBe(0);
    world.accepting = true;
    await world.run(2_000);
    world.hear("a");
    await world.run(1_000);
    // A thread that did not run for a minute.
    world.nowMs += 60_000;
    await world.run(2_000);
    expect(world.fleet.totals?.silent).toBe(0);
    world.hear("a");
    await world.run(1_000);
    world.nowMs += 3_600_000;
    world.start();
    await world.run(2_500);
    expect(world.fleet.totals).toMatchObject({ online: 1, silent: 0 });
    await world.run(2_000);
    expect(world.fleet.totals).toMatchObject({ online: 0, silent: 1 });
    expect(world.kinds("silent")).toEqual(["a"]);
  });

  test("a restart announces nothing again, and what returned meanwhile comes back", async () => {
    const world = new World();
    for (const id of ["silent", "returned", "online"]) world.hear(id);
    const sinceMs = world.nowMs + 3_000;
    world.history.silent = new Map([
      ["silent", sinceMs],
      ["returned", sinceMs],
    ]);
    world.history.recentlyNew = new Set(["silent", "returned", "online"]);
    world.nowMs += 10_000;
    world.hear("returned");
    world.hear("online");
    world.start();
    await world.run(1_000);
    expect(world.fleet.totals).toMatchObject({ online: 2, silent: 1 });
    expect(world.fleet.find("silent")?.silentSinceMs).toBe(sinceMs);
    expect(world.changes.map(({ kind, deviceId }) => [kind, deviceId])).toEqual([["online", "returned"]]);
  });

  test("with no history, who is silent since long ago is not news", async () => {
    const world = new World();
    world.hear("old");
    world.nowMs += 7_200_000;
    world.history.empty = true;
    world.start();
    await world.run(10_000);
    expect(world.fleet.totals).toEqual({ online: 0, silent: 1, became_silent: 0, new_devices: 0 });
    expect(world.changes).toEqual([]);
  });

  test("ClickHouse away at the start: nothing is claimed, and devices that come meanwhile are told apart later", async () => {
    const world = new World();
    world.hear("known");
    world.nowMs += 7_200_000;
    world.storing = false;
    world.start();
    await world.run(3_000, () => {
      if (world.nowMs % 1_000 === 0) for (const id of ["known", "fresh"]) world.hear(id);
    });
    expect(world.fleet.totals).toBeNull();
    world.storing = true;
    await world.run(2_500);
    expect(world.fleet.totals).toMatchObject({ online: 2, new_devices: 1 });
    expect(world.kinds("new")).toEqual(["fresh"]);
  });

  test("metadata changes once, when two looks agree, and keys that differ all the time are none of it", async () => {
    const world = new World();
    world.start();
    let firmware = "1";
    let seq = 0;
    const report = (): void => {
      if (world.nowMs % 1_000 === 0) world.hear("a", { site: "north", firmware, seq: String(seq++), odd: String(seq) });
    };
    await world.run(10_000, report);
    expect(world.kinds("metadata")).toEqual([]);
    firmware = "2";
    world.volatile = new Set(["seq", "odd"]);
    await world.run(130_000, report);
    const changes = world.changes.filter((change) => change.kind === "metadata");
    expect(changes.map((change) => change.detail)).toEqual([{ changed: { firmware: { from: "1", to: "2" } } }]);
    expect(world.fleet.find("a")?.metadata).toEqual({ site: "north", firmware: "2" });
  });

  test("past its maximum it says so, and goes on with those it knows", async () => {
    const world = new World();
    world.start(10);
    await world.run(500);
    for (let device = 0; device < 20; device++) world.hear(`d${device}`);
    await world.run(3_000);
    expect(world.fleet.stats).toMatchObject({ devices: 10, overflowed: true });
    expect(world.fleet.totals?.online).toBe(10);
  });
});

test("100,000 devices: a tick costs what is due in it", async () => {
  const world = new World();
  world.start();
  await world.run(200);
  for (let device = 0; device < 100_000; device++) world.hear(`device-${device}`, { site: `s${device % 50}` }, 11_000);
  await world.run(4_000);
  const before = process.cpuUsage();
  // One interval: every device is looked at once, and nobody has been heard again.
  await world.run(3_000);
  const quiet = process.cpuUsage(before);
  expect(world.fleet.totals?.online).toBe(100_000);
  // 30 ticks, with two looks at ClickHouse in them.
  expect((quiet.user + quiet.system) / 1_000).toBeLessThan(3_000);
  await world.run(6_000);
  expect(world.fleet.totals?.silent).toBe(100_000);
});
