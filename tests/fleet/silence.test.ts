import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Compile } from "typebox/compile";
import { type Change, Changes, ChangesUpdate, DeviceGroups, Facets } from "../../contract/fleet.ts";
import { Devices } from "../../contract/read.ts";
import { PartUpdate, Update } from "../../contract/stream.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";

// The real service: devices report by the wall clock, and the test waits for what it watches.
setDefaultTimeout(120_000);

const intervalMs = 2_000;
let service: Service;
let reporting: ReturnType<typeof createReporters>;
const updates: Update[] = [];
const told: Change[] = [];
let streaming = new AbortController();

beforeAll(async () => {
  service = await startService();
  reporting = createReporters();
  void follow(service);
});
afterAll(async () => {
  reporting.stop();
  streaming.abort();
  await service.dispose();
});

/** 40 devices on two sites and one in the yard, each reporting once a second until it is told not to. */
function createReporters() {
  const devices = Array.from({ length: 41 }, (_, index) => ({
    id: index === 40 ? "yard" : `d-${String(index).padStart(2, "0")}`,
    site: index === 40 ? "yard" : index < 20 ? "north" : "south",
    firmware: "1.0",
    on: true,
  }));
  let sequence = 0;
  const timer = setInterval(() => {
    const events = devices
      .filter((device) => device.on)
      .map(({ id, site, firmware }) => ({
        device_id: id,
        event_type: "temperature",
        value_float: 20,
        metadata: { site, firmware, seq: String(sequence++) },
      }));
    service.ingest({ events }).catch(() => undefined);
  }, intervalMs);
  return {
    devices,
    set(on: boolean, which: (site: string) => boolean) {
      for (const device of devices) if (which(device.site)) device.on = on;
    },
    stop: () => clearInterval(timer),
  };
}

async function follow({ url }: Service): Promise<void> {
  streaming = new AbortController();
  const { signal } = streaming;
  try {
    const response = await fetch(`${url}/dashboard-stream`, { signal });
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const data = /^data: (.*)$/m.exec(frame)?.[1];
        if (data === undefined) continue;
        if (frame.includes("event: update")) updates.push(parsed(Update, data));
        if (frame.includes("event: changes")) told.push(...parsed(ChangesUpdate, data).changes);
      }
    }
  } catch (error) {
    if (!signal.aborted) updates.length = 0;
    if (!(error instanceof Error)) throw error;
  }
}

function parsed<T extends typeof Update | typeof ChangesUpdate>(schema: T, data: string) {
  const body: unknown = JSON.parse(data);
  const check = Compile(schema);
  if (!check.Check(body)) throw new Error(`not as the contract says: ${JSON.stringify(check.Errors(body)[0])}`);
  return body;
}

const totals = () => updates.at(-1)?.totals;

async function get<T extends typeof Changes | typeof Devices | typeof DeviceGroups | typeof Facets | typeof PartUpdate>(
  schema: T,
  path: string,
) {
  const response = await fetch(service.url + path);
  const body: unknown = await response.json();
  const check = Compile(schema);
  if (!check.Check(body)) throw new Error(`${response.status} ${JSON.stringify(body)}`);
  return body;
}

const changes = async (query: string) => (await get(Changes, `/api/changes?${query}`)).changes;

test("a fleet is online, each device announced once as new", async () => {
  await until("41 devices online", () => totals()?.online === 41 && totals()?.complete === true);
  expect(totals()).toMatchObject({ silent: 0, became_silent: 0, new_devices: 41 });
  const found = await until("41 changes", async () => {
    const all = await changes("kind=new");
    return all.length >= 41 && all;
  });
  expect(found.map((change) => change.device_id).sort()).toEqual(reporting.devices.map(({ id }) => id).sort());
});

test("40 of 41 devices stop: the number is there within their own interval and a second, and they are named by site", async () => {
  await until(
    "each device's own interval is known",
    async () => {
      const { devices } = await get(Devices, "/api/devices");
      return devices.every((device) => Math.abs((device.interval_seconds ?? 0) - intervalMs / 1000) < 0.4);
    },
    60_000,
  );
  // Four more reports, for gaps enough to tell by, and a look of the fleet at them.
  await Bun.sleep(5 * intervalMs);
  reporting.set(false, (site) => site !== "yard");
  const stoppedAt = performance.now();
  await until("40 devices silent", () => totals()?.silent === 40);
  const tookMs = performance.now() - stoppedAt;
  // An interval, a second, one tick of the stream and of the wheel, and what a busy machine adds.
  expect(tookMs).toBeLessThan(intervalMs + 1_000 + 225 + 750);
  expect(totals()).toMatchObject({ online: 1, silent: 40, became_silent: 40 });
  const silent = await until("40 changes", async () => {
    const all = await changes("kind=silent");
    return all.length >= 40 && all;
  });
  expect(silent.length).toBe(40);
  expect(silent.every((change) => (change.detail.interval_seconds ?? 0) < 3)).toBe(true);
  const folded = await changes("kind=silent&kind=outage&fold=1");
  expect(folded.map(({ kind, device_id, detail }) => ({ kind, device_id, detail }))).toEqual([
    { kind: "outage", device_id: null, detail: { devices: 40, of: 41 } },
  ]);
  expect(told.filter((change) => change.kind === "outage").length).toBe(1);
  const list = await until("the list has them", async () => {
    const page = await get(Devices, "/api/devices?status=silent&limit=1000");
    return page.total === 40 && page;
  });
  expect(list.devices.some((device) => device.device_id === "yard")).toBe(false);
});

test("after a restart nobody is announced again, and nobody counts as silent for it", async () => {
  streaming.abort();
  await service.stop();
  updates.length = 0;
  // Longer than the yard's interval and a second: it could not have reported.
  await Bun.sleep(intervalMs + 1_500);
  service = await service.restart();
  void follow(service);
  await until("the fleet is known again", () => totals()?.complete === true && totals()?.silent === 40);
  expect(totals()?.online).toBe(1);
  await Bun.sleep(2 * intervalMs + 2_000);
  expect(totals()).toMatchObject({ online: 1, silent: 40, became_silent: 40, new_devices: 41 });
  expect((await changes("kind=silent")).length).toBe(40);
  expect((await changes("kind=new")).length).toBe(41);
});

test("they come back, and the list empties; one site is an outage of its own", async () => {
  reporting.set(true, () => true);
  await until("all are online", () => totals()?.online === 41 && totals()?.silent === 0);
  await until("40 came back", async () => (await changes("kind=online")).length === 40);
  expect((await changes("kind=recovery")).length).toBe(1);
  await until("the list is empty", async () => (await get(Devices, "/api/devices?status=silent")).total === 0);
  await Bun.sleep(2 * intervalMs);
  reporting.set(false, (site) => site === "south");
  await until("20 devices silent", () => totals()?.silent === 20);
  const groups = await get(DeviceGroups, "/api/devices?group=meta.site");
  expect(groups.groups.find((group) => group.value === "south")).toEqual({
    value: "south",
    devices: 20,
    online: 0,
    silent: 20,
  });
  const facets = await get(Facets, "/api/facets?search=d-");
  expect(facets.facets.find((facet) => facet.key === "site")).toMatchObject({ devices: 40, distinct: 2 });
  expect(facets.facets.some((facet) => facet.key === "seq")).toBe(false);
  const [outage] = await until("an outage of the site", async () => {
    const all = await changes("kind=outage");
    return all.length > 1 && all;
  });
  expect(outage?.detail).toEqual({ group: { key: "site", value: "south" }, devices: 20, of: 20 });
});

test("a part of the fleet has the figures, changes and last values of its own devices", async () => {
  const south = await get(PartUpdate, "/api/live?meta.site=south");
  expect(south.totals).toMatchObject({ online: 0, silent: 20, new_devices: 20, active_devices: 20, event_types: 1 });
  // Twice: with the whole fleet at first, and the site by itself.
  expect(south.totals.became_silent).toBe(40);
  expect(south.aggregations[0]).toMatchObject({ event_type: "temperature", avg_value: 20, min_value: 20 });
  const [north, both] = await Promise.all([
    get(PartUpdate, "/api/live?meta.site=north"),
    get(PartUpdate, "/api/live?meta.site=north&meta.site=south"),
  ]);
  expect(north.totals).toMatchObject({ online: 20, silent: 0 });
  expect(north.totals.rate).toBeGreaterThan(5);
  expect(both.totals.event_count - south.totals.event_count).toBeGreaterThanOrEqual(north.totals.event_count);
  expect((await get(PartUpdate, "/api/live?meta.site=nowhere")).totals).toMatchObject({ event_count: 0, online: 0 });

  const folded = await changes("fold=1&meta.site=south&kind=outage&kind=silent");
  expect(folded.map(({ kind, detail }) => [kind, detail.group?.value]).slice(0, 1)).toEqual([["outage", "south"]]);
  // The outage of the whole fleet counts devices of both sites: here its devices are told one by one.
  expect(folded.filter(({ kind }) => kind === "outage").length).toBe(1);
  expect(folded.filter(({ kind }) => kind === "silent").length).toBe(20);
  expect((await changes("meta.site=north&kind=silent")).length).toBe(20);

  const { devices } = await get(Devices, "/api/devices?meta.site=south&limit=3&last=temperature&last=absent");
  expect(devices.map(({ last_values }) => last_values)).toEqual(
    Array.from({ length: 3 }, () => ({ temperature: { value_float: 20, value_string: null } })),
  );
});

test("a change of firmware is one, and a sequence number is none", async () => {
  for (const device of reporting.devices) if (device.id === "d-03") device.firmware = "1.1";
  const found = await until(
    "the change",
    async () => {
      const all = await changes("kind=metadata");
      return all.length > 0 && all;
    },
    90_000,
  );
  expect(found.map(({ device_id, detail }) => ({ device_id, detail }))).toEqual([
    { device_id: "d-03", detail: { changed: { firmware: { from: "1.0", to: "1.1" } } } },
  ]);
});
