import { describe, expect, test } from "bun:test";
import { ChangeGroups, type Group, type KeptChange } from "./change-groups.ts";
import { createChangeLog } from "./change-log.ts";
import type { DeviceChange, DeviceChangeKind } from "./presence.ts";

const startMs = 1_800_000_000_000;
const change = (
  deviceId: string,
  metadata: Record<string, string>,
  kind: DeviceChangeKind = "silent",
): DeviceChange => ({
  kind,
  atMs: startMs,
  deviceId,
  detail: {},
  metadata,
});
const times = (count: number, make: (index: number) => DeviceChange) =>
  Array.from({ length: count }, (_, index) => make(index));

function fold(changes: readonly DeviceChange[], sizes: Record<string, number>, fleet = 1_000): KeptChange[] {
  const groupSize = (group: Group | null): number =>
    group === null ? fleet : (sizes[`${group.key}=${group.value}`] ?? fleet);
  const groups = new ChangeGroups({ groupSize });
  groups.add(changes, 0);
  expect(groups.take(100)).toEqual([]);
  return groups.take(2_000);
}

describe("changes that belong together", () => {
  test("a site that falls silent is one line, and its devices are kept as well", () => {
    const kept = fold(
      [
        ...times(38, (index) => change(`d${index}`, { site: "site-4", model: "T1000" })),
        change("other", { site: "site-1", model: "T1000" }),
      ],
      { "site=site-4": 40, "site=site-1": 200 },
    );
    expect(kept[0]).toMatchObject({
      kind: "outage",
      device_id: null,
      detail: { group: { key: "site", value: "site-4" }, devices: 38, of: 40 },
    });
    expect(kept.filter((each) => each.detail.folded).length).toBe(38);
    expect(kept.filter((each) => each.kind === "silent").length).toBe(39);
    expect(kept.find((each) => each.device_id === "other")?.detail).toEqual({});
  });

  test("a few devices of a large site are named one by one", () => {
    const kept = fold(
      times(8, (index) => change(`d${index}`, { site: "big" })),
      { "site=big": 500 },
    );
    expect(kept.map((each) => each.kind)).toEqual(new Array(8).fill("silent"));
  });

  test("many with nothing in common are one thing that happened; so is the whole fleet", () => {
    expect(
      fold(
        times(30, (index) => change(`d${index}`, {})),
        {},
      )[0],
    ).toMatchObject({ kind: "outage", detail: { devices: 30, of: 1_000 } });
    const whole = fold(
      times(90, (index) => change(`d${index}`, { site: `s${index % 3}` })),
      { "site=s0": 30 },
      100,
    );
    expect(whole.filter((each) => each.device_id === null).map((each) => each.detail)).toEqual([
      { devices: 90, of: 100 },
    ]);
  });

  test("new firmware on many devices is a rollout of that firmware", () => {
    const updated = times(12, (index) => ({
      ...change(`d${index}`, { site: `s${index}`, firmware: "2" }, "metadata"),
      detail: { changed: { firmware: { from: "1", to: "2" } } },
    }));
    expect(fold(updated, {})[0]).toMatchObject({
      kind: "rollout",
      detail: { group: { key: "firmware", value: "2" }, devices: 12 },
    });
  });

  test("a burst that does not end is told of in parts", () => {
    const groups = new ChangeGroups({ groupSize: () => 1_000 });
    let told = 0;
    for (let nowMs = 0; nowMs <= 20_000; nowMs += 500) {
      groups.add([change(`d${nowMs}`, {})], nowMs);
      told += groups.take(nowMs).length;
    }
    expect(told).toBeGreaterThan(30);
  });
});

describe("the log of changes", () => {
  const kept = (index: number): KeptChange => ({
    at: new Date(startMs + index).toISOString(),
    kind: "new",
    device_id: `d${index}`,
    detail: {},
    subject: `d${index}`,
  });

  test("sends the same rows under the same token until ClickHouse has them, in order", async () => {
    const attempts: { token: unknown; ids: string[] }[] = [];
    let refusals = 3;
    const log = createChangeLog(
      {
        client: {
          insert: async ({
            values,
            clickhouse_settings,
          }: {
            values: unknown;
            clickhouse_settings?: Record<string, unknown>;
          }) => {
            const ids = (values as { device_id: string }[]).map((row) => row.device_id);
            attempts.push({ token: clickhouse_settings?.insert_deduplication_token, ids });
            if (refusals-- > 0) throw new Error("away");
            return { executed: true, query_id: "", response_headers: {} };
          },
        } as never,
        log: () => undefined,
        sleep: async () => undefined,
      },
      { table: "device_changes" },
    );
    log.write([kept(1), kept(2)]);
    while (log.stats.waiting > 0) await Bun.sleep(1);
    expect(attempts.map((attempt) => attempt.ids)).toEqual(new Array(4).fill(["d1", "d2"]));
    expect(new Set(attempts.map((attempt) => attempt.token)).size).toBe(1);
    expect(log.stats).toEqual({ waiting: 0, written: 2, dropped: 0 });
  });

  test("keeps so many for a ClickHouse that is away, and gives up the oldest", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const log = createChangeLog(
      {
        client: {
          insert: async () => {
            await held;
            throw new Error("away");
          },
        } as never,
        log: () => undefined,
        sleep: () => new Promise(() => undefined),
      },
      { table: "device_changes" },
    );
    for (let part = 0; part < 21; part++)
      log.write(Array.from({ length: 5_000 }, (_, index) => kept(part * 5_000 + index)));
    expect(log.stats).toMatchObject({ waiting: 100_000, dropped: 5_000 });
    release();
  });
});
