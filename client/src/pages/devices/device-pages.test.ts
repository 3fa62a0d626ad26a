import { describe, expect, test } from "bun:test";
import type { Device, Devices } from "../../../../contract/read.ts";
import { type AskDevices, makeDevicePages } from "./device-pages.ts";

function device(index: number, count: number): Device {
  return {
    device_id: `d${index}`,
    first_seen: "2026-01-01T00:00:00.000Z",
    last_seen: "2026-01-01T00:00:00.000Z",
    event_count: count,
    status: "online",
    interval_seconds: 1,
  };
}

/** A fleet of `size` behind cursor pages; `order` shuffles what a refresh answers. */
function fleet(size: number): {
  ask: AskDevices;
  asked: string[];
  state: { count: number; reversed: boolean; size: number };
} {
  const asked: string[] = [];
  const state = { count: 1, reversed: false, size };
  const ask: AskDevices = async (query) => {
    const start = Number(query.cursor ?? 0);
    const limit = Number(query.limit);
    asked.push(`${start}+${limit}`);
    const end = Math.min(state.size, start + limit);
    const devices = Array.from({ length: end - start }, (_each, index) => device(start + index, state.count));
    if (state.reversed) devices.reverse();
    const data: Devices = { devices, cursor: end < state.size ? String(end) : null, total: state.size };
    return { ok: true, data };
  };
  return { ask, asked, state };
}

describe("device pages", () => {
  test("every device is there once, and the end is the end", async () => {
    const { ask } = fleet(2_345);
    const pages = makeDevicePages(ask, { search: "", status: "", sort: "device_id" }, () => undefined);
    while (pages.more) await pages.loadMore();
    expect(pages.devices.map((each) => each.device_id)).toEqual(
      Array.from({ length: 2_345 }, (_, index) => `d${index}`),
    );
    expect(pages.total).toBe(2_345);
  });
  test("one request at a time, however often a scroll asks", async () => {
    const { ask, asked } = fleet(500);
    const pages = makeDevicePages(ask, { search: "", status: "", sort: "device_id" }, () => undefined);
    await Promise.all([pages.loadMore(), pages.loadMore(), pages.loadMore()]);
    expect(asked).toEqual(["0+100"]);
  });
  test("a refresh asks only for the pages on the screen, and never moves a row", async () => {
    const { ask, asked, state } = fleet(1_500);
    const pages = makeDevicePages(ask, { search: "", status: "", sort: "device_id" }, () => undefined);
    while (pages.more) await pages.loadMore();
    asked.length = 0;
    state.count = 9;
    state.reversed = true;
    await pages.refresh(0, 30);
    expect(asked).toEqual(["0+100"]);
    expect(pages.devices[0]).toEqual(device(0, 9));
    expect(pages.devices[100]!.event_count).toBe(1);
  });
  test("devices that come later join at the end of a list that had ended, an empty one too", async () => {
    const { ask, state } = fleet(0);
    const pages = makeDevicePages(ask, { search: "", status: "", sort: "device_id" }, () => undefined);
    await pages.loadMore();
    expect(pages.more).toBe(false);
    state.size = 2;
    await pages.refresh(0, 0);
    expect(pages.devices.map((each) => each.device_id)).toEqual(["d0", "d1"]);
    state.size = 150;
    await pages.refresh(0, 2);
    while (pages.more) await pages.loadMore();
    expect(pages.devices.length).toBe(150);
    expect(new Set(pages.devices.map((each) => each.device_id)).size).toBe(150);
  });
  test("a stopped list changes nothing any more", async () => {
    const { ask } = fleet(10);
    let changes = 0;
    const pages = makeDevicePages(ask, { search: "", status: "", sort: "device_id" }, () => changes++);
    const loading = pages.loadMore();
    pages.stop();
    await loading;
    expect(changes).toBe(0);
    expect(pages.devices).toEqual([]);
  });
});
