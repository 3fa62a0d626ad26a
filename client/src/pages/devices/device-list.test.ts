import { describe, expect, test } from "bun:test";
import type { Device } from "../../../../contract/read.ts";
import { type DeviceListDeps, makeDeviceList } from "./device-list.ts";
import type { DeviceFilter } from "./device-pages.ts";
import { countChanges } from "./device-rows.ts";

function device(index: number, status: Device["status"] = "online", count = 1): Device {
  return {
    device_id: `d${String(index).padStart(5, "0")}`,
    first_seen: "2026-01-01T00:00:00.000Z",
    last_seen: "2026-01-01T00:00:00.000Z",
    event_count: count,
    status,
    interval_seconds: 1,
  };
}

/** A service with these devices, in this order, behind cursor pages. */
function fleet(initial: Device[]) {
  const asked: string[] = [];
  const state = { devices: initial, changes: 0 };
  const deps: DeviceListDeps = {
    async askPage(query) {
      const start = Number(query.cursor ?? 0);
      const limit = Number(query.limit);
      asked.push(`${start}+${limit}`);
      const matching = state.devices.filter(({ status }) => query.status === "" || status === query.status);
      const devices = matching.slice(start, start + limit);
      const end = start + devices.length;
      return {
        ok: true,
        data: { devices, cursor: end < matching.length ? String(end) : null, total: matching.length },
      };
    },
    async askDevice(id) {
      asked.push(id);
      const found = state.devices.find((each) => each.device_id === id);
      return found
        ? { ok: true, data: found }
        : { ok: false, reason: "refused", status: 404, code: "not_found", message: "" };
    },
    changed: () => void state.changes++,
  };
  return { deps, asked, state };
}
const filter: DeviceFilter = { search: "", status: "", sort: "device_id", meta: {}, last: [] };
const many = (count: number, status: Device["status"] = "online"): Device[] =>
  Array.from({ length: count }, (_, index) => device(index, status));
const ids = (devices: readonly Device[]): string[] => devices.map((each) => each.device_id);

describe("loading", () => {
  test("every device is there once, and the end is the end", async () => {
    const { deps } = fleet(many(2_345));
    const list = makeDeviceList(deps, filter);
    while (list.more) await list.loadMore();
    expect(ids(list.devices)).toEqual(ids(many(2_345)));
    expect(list.total).toBe(2_345);
  });
  test("one request at a time, however often a scroll asks", async () => {
    const { deps, asked } = fleet(many(500));
    const list = makeDeviceList(deps, filter);
    await Promise.all([list.loadMore(), list.loadMore(), list.loadMore()]);
    expect(asked).toEqual(["0+100"]);
  });
  test("a stopped list changes nothing any more", async () => {
    const { deps, state } = fleet(many(10));
    const list = makeDeviceList(deps, filter);
    const loading = list.loadMore();
    list.stop();
    await loading;
    expect(state.changes).toBe(0);
    expect(list.devices).toEqual([]);
  });
});

describe("a refresh while nobody points at the list", () => {
  test("devices that came back leave the list of the silent, and those that fell silent appear", async () => {
    const { deps, state } = fleet(many(30, "silent"));
    const list = makeDeviceList(deps, { ...filter, status: "silent" });
    await list.loadMore();
    state.devices = state.devices.map((each, index) => (index < 22 ? { ...each, status: "online" } : each));
    state.devices.push(device(99, "silent"));
    await list.refresh(0, 25, false);
    expect(ids(list.devices)).toEqual([...ids(many(30).slice(22)), "d00099"]);
    expect(list.devices.every(({ status }) => status === "silent")).toBe(true);
  });
  test("the order follows, and what is loaded below stays", async () => {
    const { deps, state, asked } = fleet(many(1_500));
    const list = makeDeviceList(deps, filter);
    while (list.more) await list.loadMore();
    asked.length = 0;
    state.devices = [device(1_499), ...many(1_499)];
    await list.refresh(0, 30, false);
    expect(asked).toEqual(["0+100"]);
    expect(list.devices[0]?.device_id).toBe("d01499");
    expect(list.devices.length).toBe(1_500);
    expect(new Set(ids(list.devices)).size).toBe(1_500);
  });
  test("devices that come later join a list that had ended, an empty one too", async () => {
    const { deps, state } = fleet([]);
    const list = makeDeviceList(deps, filter);
    await list.loadMore();
    expect(list.more).toBe(false);
    state.devices = many(2);
    await list.refresh(0, 0, false);
    expect(ids(list.devices)).toEqual(["d00000", "d00001"]);
    state.devices = many(150);
    await list.refresh(0, 2, false);
    while (list.more) await list.loadMore();
    expect(ids(list.devices)).toEqual(ids(many(150)));
  });
});

describe("a refresh under a pointer", () => {
  test("no row moves, a row that left its page is re-read, and what has changed is counted until it is applied", async () => {
    const { deps, state, asked } = fleet(many(30, "silent"));
    const list = makeDeviceList(deps, { ...filter, status: "silent" });
    await list.loadMore();
    state.devices = state.devices.map((each, index) => (index < 12 ? { ...each, status: "online" } : each));
    asked.length = 0;
    await list.refresh(0, 25, true);
    expect(ids(list.devices)).toEqual(ids(many(30)));
    expect(list.devices.slice(0, 12).every(({ status }) => status === "online")).toBe(true);
    expect(asked.slice(1)).toEqual(ids(many(12)));
    expect(list.pendingChanges).toBe(12);
    list.applyChanges();
    expect(ids(list.devices)).toEqual(ids(many(30).slice(12)));
    expect(list.pendingChanges).toBe(0);
  });
});

test("far down, only the rows on the screen are asked for, and those that no longer match go", async () => {
  const { deps, state, asked } = fleet(many(6_000, "silent"));
  const list = makeDeviceList(deps, { ...filter, status: "silent" });
  while (list.more) await list.loadMore();
  asked.length = 0;
  state.devices[4_500] = device(4_500, "online");
  await list.refresh(4_490, 4_520, false);
  expect(asked.length).toBeLessThanOrEqual(3);
  expect(ids(list.devices)).not.toContain("d04500");
  expect(list.devices.length).toBe(5_999);
});

test("changes are rows that go, come or move", () => {
  expect(countChanges(["a", "b", "c"], ["a", "b", "c"], true)).toBe(0);
  expect(countChanges(["a", "b", "c"], ["b", "c", "d"], true)).toBe(2);
  expect(countChanges(["a", "b", "c"], ["b", "a", "c"], true)).toBe(2);
  expect(countChanges(["a", "b", "c", "d"], ["a", "b"], false)).toBe(0);
  expect(countChanges(["a", "b", "c", "d"], ["new", "a", "b"], false)).toBe(1);
});
