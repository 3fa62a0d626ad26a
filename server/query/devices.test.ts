import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Device, DeviceDetail, Devices } from "../../contract/read.ts";
import { createTestRoutes, type TestQuery, type TestRoutes } from "../../testing/test-routes.ts";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../../testing/test-store.ts";

const baseMs = Math.floor(Date.now() / 1_000) * 1_000 - 86_400_000;
const secondMs = 1_000;

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
beforeAll(async () => {
  store = await startTestStore();
});
afterAll(() => store.stop());

const eventOf = (device_id: string, timestamp: number, more: Partial<TestEvent> = {}): TestEvent => ({
  device_id,
  event_type: "t",
  timestamp,
  ...more,
});

async function walk(routes: TestRoutes, query: TestQuery, between: () => Promise<void>): Promise<Device[]> {
  const found: Device[] = [];
  let cursor: string | undefined;
  do {
    const page = await routes.get(Devices, "/api/devices", { ...query, cursor });
    found.push(...page.devices);
    cursor = page.cursor ?? undefined;
    await between();
  } while (cursor !== undefined);
  return found;
}

describe("GET /api/devices", () => {
  const sorts = [
    "device_id",
    "-device_id",
    "first_seen",
    "-first_seen",
    "last_seen",
    "-last_seen",
    "event_count",
    "-event_count",
  ];
  for (const sort of sorts) {
    test(`2,500 devices by ${sort}, all keys equal, are each seen once while others arrive`, async () => {
      const database = await store.createDatabase();
      const routes = createTestRoutes(database.client);
      const ids = Array.from({ length: 2_500 }, (_, index) => `device ${(index * 7_919) % 2_500}`);
      await database.insert(
        ids.map((id) => eventOf(id, baseMs)),
        "fleet",
      );
      let arrived = 0;
      const found = await walk(routes, { sort, limit: 333 }, async () => {
        if (arrived++ % 3 !== 0) return;
        const newcomers = ["!before", "device 1!between", "zz after"].map((id) =>
          eventOf(`${id} ${arrived}`, baseMs + arrived),
        );
        await database.insert(newcomers, `newcomers-${arrived}`);
      });
      const seen = found.map((device) => device.device_id);
      expect(new Set(seen).size).toBe(seen.length);
      const old = seen.filter((id) => /^device \d+$/.test(id));
      const inOrder = [...ids].sort();
      expect(old).toEqual(sort === "-device_id" ? inOrder.reverse() : inOrder);
    });
  }

  test("sorts by what it is told, both ways", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    const fleet = [
      ...Array.from({ length: 3 }, () => eventOf("a", baseMs + 5_000)),
      ...Array.from({ length: 1 }, () => eventOf("b", baseMs)),
      ...Array.from({ length: 2 }, (_, index) => eventOf("c", baseMs + 1_000 + index * 60_000)),
    ];
    await database.insert(fleet, "fleet");
    const order = async (sort: string) =>
      (await routes.get(Devices, "/api/devices", { sort })).devices.map((device) => device.device_id).join("");
    expect(await order("device_id")).toBe("abc");
    expect(await order("first_seen")).toBe("bca");
    expect(await order("last_seen")).toBe("bac");
    expect(await order("event_count")).toBe("bca");
    expect(await order("-device_id")).toBe("cba");
    expect(await order("-first_seen")).toBe("acb");
    expect(await order("-last_seen")).toBe("cab");
    expect(await order("-event_count")).toBe("acb");
  });

  test("finds any part of an ID in any case, and nothing is a pattern", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    const ids = [
      "Boiler-01",
      "boiler-02",
      "kühl%schrank",
      "KÜHL_TRUHE",
      "温度計",
      "a\\b",
      "it's",
      '"quoted"',
      "{x:String}",
    ];
    await database.insert(
      ids.map((id) => eventOf(id, baseMs)),
      "fleet",
    );
    const find = async (search: string) => {
      const page = await routes.get(Devices, "/api/devices", { search });
      expect(page.total).toBe(page.devices.length);
      return page.devices.map((device) => device.device_id);
    };
    expect(await find("BOILER")).toEqual(["Boiler-01", "boiler-02"]);
    expect(await find("kühl")).toEqual(["KÜHL_TRUHE", "kühl%schrank"]);
    expect(await find("%")).toEqual(["kühl%schrank"]);
    expect(await find("_")).toEqual(["KÜHL_TRUHE"]);
    expect(await find("温")).toEqual(["温度計"]);
    expect(await find("\\")).toEqual(["a\\b"]);
    expect(await find("'")).toEqual(["it's"]);
    expect(await find('"')).toEqual(['"quoted"']);
    expect(await find("{x:String}")).toEqual(["{x:String}"]);
    expect(await find("nothing like it")).toEqual([]);
    expect((await find("")).length).toBe(ids.length);
  });

  test("total counts all that match, on every page", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client, () => baseMs + 10_000);
    await database.insert(
      Array.from({ length: 25 }, (_, index) => eventOf(`${index % 2 === 0 ? "even" : "odd"}-${index}`, baseMs)),
      "fleet",
    );
    const first = await routes.get(Devices, "/api/devices", { search: "EVEN", limit: 5 });
    expect(first.total).toBe(13);
    const second = await routes.get(Devices, "/api/devices", {
      search: "EVEN",
      limit: 5,
      cursor: first.cursor ?? undefined,
    });
    expect(second.total).toBe(13);
    expect((await routes.get(Devices, "/api/devices", { status: "silent" })).total).toBe(0);
    expect((await routes.get(Devices, "/api/devices", { status: "online" })).total).toBe(25);
  });

  test("refuses what it cannot mean, by name", async () => {
    const { client } = await store.createDatabase();
    const routes = createTestRoutes(client);
    const cases: [TestQuery, string][] = [
      [{ sort: "name" }, "sort"],
      [{ sort: "--device_id" }, "sort"],
      [{ status: "Online" }, "status"],
      [{ limit: 1_001 }, "limit"],
      [{ limit: "ten" }, "limit"],
      [{ search: "x".repeat(257) }, "search"],
      [{ cursor: "abc" }, "cursor"],
      [{ device_id: "a" }, "device_id"],
    ];
    for (const [query, name] of cases) {
      const refusal = await routes.refused("/api/devices", query);
      expect(refusal).toMatchObject({ status: 400, code: "invalid_parameter" });
      expect(refusal.message).toStartWith(`${name}: `);
    }
  });

  test("a cursor is of use only to the query it came from", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    await database.insert(
      Array.from({ length: 5 }, (_, index) => eventOf(`d${index}`, baseMs)),
      "fleet",
    );
    const { cursor } = await routes.get(Devices, "/api/devices", { limit: 2, sort: "last_seen" });
    for (const other of [
      { sort: "-last_seen" },
      { sort: "last_seen", search: "d" },
      { sort: "last_seen", status: "silent" },
    ]) {
      const refusal = await routes.refused("/api/devices", { ...other, cursor: cursor ?? "" });
      expect(refusal.message).toStartWith("cursor: ");
    }
  });
});

describe("the filter on metadata", () => {
  test("finds devices by the newest value of a key, of several keys, or without it", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    const odd = "x\x1fy, 'z' \\";
    await database.insert(
      [
        eventOf("a", baseMs, { metadata: { site: "north", firmware: "1" } }),
        eventOf("b", baseMs, { metadata: { site: "south", firmware: "1" } }),
        eventOf("c", baseMs, { metadata: { site: "north", firmware: "2" } }),
        eventOf("c", baseMs + 1, { metadata: { site: "south", firmware: "2" } }),
        eventOf("d", baseMs),
        eventOf("e", baseMs, { metadata: { site: odd, "k'ey\x1f": "v" } }),
      ],
      "fleet",
    );
    const find = async (query: TestQuery) => {
      const page = await routes.get(Devices, "/api/devices", query);
      expect(page.total).toBe(page.devices.length);
      return page.devices.map((device) => device.device_id).join("");
    };
    expect(await find({ "meta.site": "north" })).toBe("a");
    expect(await find({ "meta.site": "south" })).toBe("bc");
    expect(await find({ "meta.site": ["south", "north"] })).toBe("abc");
    expect(await find({ "meta.site": "south", "meta.firmware": "1" })).toBe("b");
    expect(await find({ "meta.site": odd })).toBe("e");
    expect(await find({ "meta.k'ey\x1f": "v" })).toBe("e");
    expect(await find({ "meta.site": "" })).toBe("d");
    expect(await find({ "meta.site": "' OR 1 --" })).toBe("");
    const page = await routes.get(Devices, "/api/devices", { search: "c" });
    expect(page.devices[0]?.metadata).toEqual({ site: "south", firmware: "2" });
  });

  test("is refused when there is too much of it, and belongs to a cursor", async () => {
    const database = await store.createDatabase();
    const routes = createTestRoutes(database.client);
    await database.insert(
      ["a", "b", "c"].map((id) => eventOf(id, baseMs, { metadata: { site: "north" } })),
      "fleet",
    );
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`meta.${index}`, "x"]));
    for (const query of [many, { "meta.": "x" }, { "meta.site": "x".repeat(1_025) }]) {
      expect(await routes.refused("/api/devices", query)).toMatchObject({ status: 400, code: "invalid_parameter" });
    }
    const { cursor } = await routes.get(Devices, "/api/devices", { "meta.site": "north", limit: 2 });
    expect((await routes.refused("/api/devices", { cursor: cursor ?? "" })).message).toStartWith("cursor: ");
  });
});

describe("a device's own interval", () => {
  /** Each inner list is one batch. */
  const reports = async (batches: readonly (readonly number[])[]): Promise<(atMs: number) => Promise<Device>> => {
    const database = await store.createDatabase();
    for (const [index, times] of batches.entries()) {
      await database.insert(
        times.map((seconds) => eventOf("d", baseMs + seconds * secondMs)),
        `batch-${index}`,
      );
    }
    return (atMs) => createTestRoutes(database.client, () => atMs).get(DeviceDetail, "/api/devices/d");
  };
  const range = (count: number, step: number, start = 0) =>
    Array.from({ length: count }, (_, index) => start + index * step);

  test("silent means: a report is a second late", async () => {
    const device = await reports(range(6, 10).map((at) => [at]));
    const last = baseMs + 50 * secondMs;
    expect(await device(last + 11_000)).toMatchObject({ interval_seconds: 10, status: "online", silent_since: null });
    expect(await device(last + 11_001)).toMatchObject({
      interval_seconds: 10,
      status: "silent",
      silent_since: new Date(last + 11_000).toISOString(),
    });
  });

  test("a device that wavers is given what it takes, at most twice its interval; one outage does not count", async () => {
    const wavering = await reports([0, 10, 24, 34, 40, 54].map((at) => [at]));
    const last = baseMs + 54 * secondMs;
    expect(await wavering(last + 15_000)).toMatchObject({ interval_seconds: 10, status: "online" });
    expect(await wavering(last + 15_001)).toMatchObject({ status: "silent" });
    const outages = await reports([0, 10, 500, 510, 1_000, 1_010].map((at) => [at]));
    expect(await outages(baseMs + 1_031_000)).toMatchObject({ interval_seconds: 10, status: "online" });
    expect(await outages(baseMs + 1_031_001)).toMatchObject({ status: "silent" });
    const once = await reports([0, 10, 20, 500, 510, 520].map((at) => [at]));
    expect(await once(baseMs + 531_001)).toMatchObject({ interval_seconds: 10, status: "silent" });
  });

  test("with too few reports to tell, twice the interval and a second", async () => {
    const device = await reports([[0], [10], [20]]);
    expect(await device(baseMs + 41_000)).toMatchObject({ interval_seconds: 10, status: "online" });
    expect(await device(baseMs + 41_001)).toMatchObject({ status: "silent" });
  });

  test("silence is counted from the receipt, not from the device's clock", async () => {
    const database = await store.createDatabase();
    for (const seconds of range(6, 10)) {
      const sent = { ...eventOf("d", baseMs + (seconds - 3_000) * secondMs), received_at: baseMs + seconds * secondMs };
      await database.insert([sent], `batch-${seconds}`);
    }
    const at = (atMs: number) => createTestRoutes(database.client, () => atMs).get(DeviceDetail, "/api/devices/d");
    expect(await at(baseMs + 61_000)).toMatchObject({ interval_seconds: 10, status: "online" });
    expect(await at(baseMs + 61_001)).toMatchObject({ status: "silent" });
  });

  test("ten readings at once are one report", async () => {
    const device = await reports(range(5, 60).map((at) => new Array<number>(10).fill(at)));
    expect(await device(baseMs)).toMatchObject({ interval_seconds: 60, event_count: 50 });
  });

  test("readings that were buffered are one report", async () => {
    const device = await reports(range(4, 300).map((at) => range(300, 1, at)));
    expect(await device(baseMs)).toMatchObject({ interval_seconds: 300 });
  });

  test("an outage is forgotten after a few reports", async () => {
    const times = [...range(5, 10), ...range(8, 10, 80_000)];
    const device = await reports(times.map((at) => [at]));
    expect(await device(baseMs)).toMatchObject({ interval_seconds: 10 });
  });

  test("from a single report, the gap between its events; from a single event, none", async () => {
    expect(await (await reports([range(5, 7)]))(baseMs)).toMatchObject({ interval_seconds: 7 });
    const once = await reports([[0]]);
    expect(await once(baseMs + 61_000)).toMatchObject({ interval_seconds: null, status: "online" });
    expect(await once(baseMs + 61_001)).toMatchObject({ interval_seconds: null, status: "silent" });
    expect(await (await reports([[0, 0, 0]]))(baseMs)).toMatchObject({ interval_seconds: null });
  });

  test("a clock ahead of ours is not silent", async () => {
    expect(await (await reports([[0]]))(baseMs - 300_000)).toMatchObject({ status: "online" });
  });
});

describe("GET /api/devices/ID", () => {
  let database: TestDatabase;
  let routes: TestRoutes;
  beforeAll(async () => {
    database = await store.createDatabase();
    routes = createTestRoutes(database.client);
  });

  test("its types with the last value of each, and the newest metadata", async () => {
    await database.insert(
      [
        eventOf("detail", baseMs, { event_type: "a", value_float: 1, metadata: { old: "yes" } }),
        eventOf("detail", baseMs + 2_000, { event_type: "a", value_float: 3 }),
        eventOf("detail", baseMs + 1_000, { event_type: "a", value_float: 2 }),
        eventOf("detail", baseMs + 1_500, { event_type: "b", value_float: 5 }),
        eventOf("detail", baseMs + 3_000, { event_type: "b", value_string: "off", metadata: { site: "Zürich" } }),
        eventOf("other", baseMs + 9_000, { event_type: "c" }),
      ],
      "detail",
    );
    expect(await routes.get(DeviceDetail, "/api/devices/detail")).toEqual({
      device_id: "detail",
      first_seen: new Date(baseMs).toISOString(),
      last_seen: new Date(baseMs + 3_000).toISOString(),
      event_count: 5,
      status: "silent",
      silent_since: new Date(baseMs + 5_500).toISOString(),
      interval_seconds: 0.75,
      event_types: [
        {
          event_type: "a",
          event_count: 3,
          last_seen: new Date(baseMs + 2_000).toISOString(),
          last_value_float: 3,
          last_value_string: null,
        },
        {
          event_type: "b",
          event_count: 2,
          last_seen: new Date(baseMs + 3_000).toISOString(),
          last_value_float: null,
          last_value_string: "off",
        },
      ],
      metadata: { site: "Zürich" },
    });
  });

  test("an ID may be any text that a device may have", async () => {
    const ids = [
      "a/b/c",
      "/",
      "a%2Fb",
      "%",
      "100%",
      "?x=1&y=2#z",
      "sp ace+plus",
      "émoji 🛰️",
      "温度計",
      'it\'s "quoted"',
      "back\\slash",
      "tab\tnew\nline\rreturn",
      "nul\0byte",
      "; DROP TABLE devices; --",
      "{device:String}",
      "__proto__",
      "x".repeat(256),
      "🛰".repeat(128),
    ];
    await database.insert(
      ids.map((id) => eventOf(id, baseMs)),
      "ids",
    );
    for (const id of ids) {
      const device = await routes.get(DeviceDetail, `/api/devices/${encodeURIComponent(id)}`);
      expect(device.device_id).toBe(id);
      expect(device.event_types).toHaveLength(1);
    }
    expect((await routes.get(DeviceDetail, "/api/devices/a/b/c")).device_id).toBe("a/b/c");
  });

  test("an ID that is a step in a path is asked for by name, or as it stands", async () => {
    await database.insert(
      [".", ".."].map((id) => eventOf(id, baseMs)),
      "dots",
    );
    for (const id of [".", ".."]) {
      const device = await routes.get(DeviceDetail, "/api/device", { device_id: id });
      expect(device.device_id).toBe(id);
    }
    expect(await routes.refused("/api/device")).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(await routes.refused("/api/device", { device_id: "nobody" })).toMatchObject({ status: 404 });
  });

  test("refuses an unknown ID with 404 and a broken one with 400", async () => {
    expect(await routes.refused("/api/devices/nobody")).toMatchObject({ status: 404, code: "not_found" });
    expect(await routes.refused("/api/devices/%E0%A4%A")).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(await routes.refused("/api/devices/%FF")).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(await routes.refused(`/api/devices/${"x".repeat(257)}`)).toMatchObject({ status: 400 });
    expect(await routes.refused("/api/devices/nobody", { a: "b" })).toMatchObject({ status: 400 });
  });
});

test("an empty database answers with nothing", async () => {
  const routes = createTestRoutes((await store.createDatabase()).client);
  expect(await routes.get(Devices, "/api/devices")).toEqual({ devices: [], cursor: null, total: 0 });
  expect(await routes.refused("/api/devices/a")).toMatchObject({ status: 404 });
});
