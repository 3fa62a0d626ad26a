import { afterEach, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type IngestStub, type StubAnswer, startIngestStub } from "../../testing/ingest-stub.ts";
import { until } from "../../testing/until.ts";
import { createDevice as createBrowserDevice } from "./browser.ts";
import { createDevice, type Device, type DeviceOptions, type DeviceReports } from "./index.ts";

const stubs: IngestStub[] = [];
const devices: Device[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const device of devices.splice(0)) await device.close().catch(() => undefined);
  for (const stub of stubs.splice(0)) await stub.stop();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

async function stub(script: readonly StubAnswer[] = []): Promise<IngestStub> {
  const started = await startIngestStub(script);
  stubs.push(started);
  return started;
}

function spoolDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-spool-"));
  directories.push(directory);
  return directory;
}

function open(options: Partial<DeviceOptions> & { url: string }): Device {
  const device = createDevice({ deviceId: "d", flushIntervalMs: 10, ...options });
  devices.push(device);
  return device;
}

function sendNumbers(device: Device, from: number, to: number): void {
  for (let number = from; number < to; number++) device.send({ event_type: "n", value_float: number });
}

const numbersOf = (service: IngestStub) => service.events().map(({ value_float }) => value_float);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
/** Nobody listens there: the port of a stub that has ended. */
async function deadUrl(): Promise<string> {
  const service = await startIngestStub([]);
  await service.stop();
  return service.url;
}
const batchFiles = (directory: string) =>
  readdirSync(directory)
    .filter((name) => /^\d{10}-/.test(name))
    .sort();

test.each([null, "disk"])(
  "every event arrives once and in order over a service that fails, spool %p",
  async (where) => {
    const service = await stub([{ status: 503 }, "drop", "lose", { status: 429 }, "lose"]);
    const device = open({ url: service.url, spool: where && spoolDirectory(), batchEvents: 10 });
    sendNumbers(device, 0, 55);
    await device.flush();
    expect(numbersOf(service)).toEqual(range(0, 55));
    expect(device.stats).toEqual({ queued: 0, acknowledged: 55, evicted: 0, refused: 0, damaged: 0 });
    expect(service.events()[0]).toMatchObject({ device_id: "d", event_type: "n", timestamp: expect.any(Number) });
  },
);

test("what an earlier run left goes out first, with the keys that it had", async () => {
  const service = await stub();
  const spool = spoolDirectory();
  const first = open({ url: await deadUrl(), spool, batchEvents: 10 });
  sendNumbers(first, 0, 25);
  await first.close();
  expect(first.stats.queued).toBe(25);
  const names = batchFiles(spool);
  expect(names).toHaveLength(3);
  const second = open({ url: service.url, spool });
  sendNumbers(second, 25, 30);
  await second.flush();
  expect(numbersOf(service)).toEqual(range(0, 30));
  expect([...service.stored.keys()].slice(0, 3)).toEqual(names.map((name) => name.slice(11)));
  await second.close();
  expect(batchFiles(spool)).toEqual([]);
  expect(second.stats.acknowledged).toBe(30);
});

test("an answer that was lost with the process is not stored twice after the restart", async () => {
  const spool = spoolDirectory();
  const service = await stub(["lose", { status: 503, headers: { "Retry-After": "600" } }]);
  const first = open({ url: service.url, spool });
  sendNumbers(first, 0, 5);
  await until("the answer was lost", () => service.events().length === 5, 5_000);
  const copy = spoolDirectory();
  for (const name of batchFiles(spool)) writeFileSync(join(copy, name), readFileSync(join(spool, name)));
  const second = open({ url: service.url, spool: copy, flushIntervalMs: 10 });
  await second.close();
  expect(numbersOf(service)).toEqual(range(0, 5));
  expect(service.stored.size).toBe(1);
});

test("a torn tail is left out, a damaged line is counted, and the lines around them stay", async () => {
  const spool = spoolDirectory();
  const first = open({ url: await deadUrl(), spool });
  sendNumbers(first, 0, 10);
  await first.close();
  const [name = ""] = batchFiles(spool);
  const path = join(spool, name);
  writeFileSync(path, readFileSync(path, "utf8").replace('"value_float":3', '"value_float":8'));
  appendFileSync(path, '01234567 {"device_id":"d","event_ty');
  const service = await stub();
  const second = open({ url: service.url, spool });
  await second.flush();
  expect(numbersOf(service)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9]);
  expect(second.stats).toEqual({ queued: 0, acknowledged: 9, evicted: 0, refused: 0, damaged: 1 });
});

test.each([null, "disk"])(
  "a full spool evicts its oldest events, never those under way, and counts each, spool %p",
  async (where) => {
    const spool = where && spoolDirectory();
    const service = await stub([{ status: 503, headers: { "Retry-After": "600" } }]);
    const device = open({ url: service.url, spool, spoolMaxBytes: 256 * 1024, batchEvents: 100 });
    let evicted = 0;
    device.on("evicted", ({ events }) => {
      evicted += events;
    });
    const retried = new Promise((resolve) => device.on("retry", resolve));
    sendNumbers(device, 0, 100);
    await retried;
    sendNumbers(device, 100, 10_000);
    const { stats } = device;
    expect(stats.evicted).toBeGreaterThan(5_000);
    expect(stats.queued + stats.evicted).toBe(10_000);
    if (spool !== null) {
      const sizes = batchFiles(spool).map((name) => readFileSync(join(spool, name)).length);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(256 * 1024);
    }
    await device.close();
    const numbers = numbersOf(service);
    expect(numbers).toEqual([...range(0, 100), ...range(100 + stats.evicted, 10_000)]);
    expect(evicted).toBe(stats.evicted);
  },
);

test("the service's own refusal of single events is counted and named, and holds up nothing", async () => {
  const faults = [{ index: 1, path: "/timestamp", message: "is too old" }];
  const answer = { status: "queued", event_count: 2, rejected: faults, rejected_count: 1 };
  const service = await stub([{ status: 202, body: JSON.stringify(answer) }]);
  const device = open({ url: service.url });
  const refused = new Promise<DeviceReports["refused"]>((resolve) => device.on("refused", resolve));
  sendNumbers(device, 0, 3);
  expect((await refused).faults).toEqual([{ ...faults[0]!, event: expect.stringContaining('"value_float":1') }]);
  expect(device.stats).toMatchObject({ acknowledged: 2, refused: 1, queued: 0 });
});

test("a batch that is too large goes in pieces, an event that is too large is refused", async () => {
  const service = await startSmallService(4);
  const device = open({ url: service.url, batchEvents: 20 });
  sendNumbers(device, 0, 20);
  await device.flush();
  expect(service.numbers).toEqual(range(0, 20));
  expect(new Set(service.keys).size).toBe(service.keys.length);
  await service.stop();
  const tiny = await startSmallService(0);
  const other = open({ url: tiny.url, batchEvents: 4 });
  sendNumbers(other, 0, 4);
  await other.flush();
  expect(other.stats).toMatchObject({ refused: 4, queued: 0 });
  await tiny.stop();
});

test("a wrong key and a captive portal lose nothing", async () => {
  const portal: StubAnswer = { status: 200, body: "<html>sign in</html>" };
  const unauthenticated: StubAnswer = {
    status: 401,
    body: JSON.stringify({ error: { code: "unauthenticated", message: "" } }),
  };
  const service = await stub([portal, unauthenticated, { status: 404, body: "no such page" }]);
  const device = open({ url: service.url, key: "secret" });
  const retries: (number | null)[] = [];
  device.on("retry", ({ status }) => retries.push(status));
  sendNumbers(device, 0, 3);
  await device.flush();
  expect(numbersOf(service)).toEqual([0, 1, 2]);
  expect(retries).toEqual([200, 401, 404]);
  expect(service.authorizations).toEqual(Array(4).fill("Bearer secret"));
});

test("a retry waits for as long as the service asked", async () => {
  const service = await stub([{ status: 503, headers: { "Retry-After": "600" } }]);
  const device = open({ url: service.url });
  const retry = new Promise<DeviceReports["retry"]>((resolve) => device.on("retry", resolve));
  sendNumbers(device, 0, 1);
  const { delayMs, status, attempt } = await retry;
  expect({ status, attempt }).toEqual({ status: 503, attempt: 1 });
  expect(delayMs).toBeWithin(600_000, 600_101);
  const waiting = device.flush();
  await device.close();
  await waiting;
  expect(numbersOf(service)).toEqual([0]);
});

test("flush rejects, and stats tell what is left, when the device is closed before", async () => {
  const device = open({ url: await deadUrl() });
  sendNumbers(device, 0, 3);
  const flushed = device.flush().catch((error: Error) => error.message);
  await device.close();
  expect(await flushed).toContain("closed");
  expect(device.stats).toMatchObject({ queued: 3, acknowledged: 0 });
  expect(() => device.send({ event_type: "n" })).toThrow("closed");
  await device.flush().catch((error: Error) => expect(error.message).toContain("closed"));
});

test("events gather until the batch is full or the interval is over", async () => {
  const service = await stub();
  const device = open({ url: service.url, batchEvents: 4, flushIntervalMs: 600_000 });
  sendNumbers(device, 0, 8);
  await until("two full batches", () => service.stored.size === 2, 5_000);
  sendNumbers(device, 8, 9);
  await device.flush();
  expect([...service.stored.values()].map(({ length }) => length)).toEqual([4, 4, 1]);
});

test("a spool belongs to one device, and to the next one when its process was killed", async () => {
  const spool = spoolDirectory();
  const url = await deadUrl();
  const first = open({ url, spool });
  expect(() => open({ url, spool })).toThrow("another device");
  await first.close();
  writeFileSync(join(spool, "lock"), "1 0");
  const second = open({ url, spool });
  await second.close();
  const script = `require("fs").writeFileSync(${JSON.stringify(join(spool, "lock"))}, process.argv[1])`;
  const holder = Bun.spawn(["sleep", "60"]);
  const stat = readFileSync(`/proc/${holder.pid}/stat`, "utf8");
  Bun.spawnSync([
    process.execPath,
    "-e",
    script,
    `${holder.pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`,
  ]);
  expect(() => open({ url, spool })).toThrow(`process ${holder.pid}`);
  holder.kill("SIGKILL");
  await holder.exited;
  await open({ url, spool }).close();
  expect(existsSync(join(spool, "lock"))).toBe(false);
});

test("a spool of a later format is refused", async () => {
  const spool = spoolDirectory();
  writeFileSync(join(spool, "counts.json"), JSON.stringify({ version: 2 }));
  const url = await deadUrl();
  expect(() => open({ url, spool })).toThrow("format 2");
  rmSync(join(spool, "counts.json"));
  await open({ url, spool }).close();
});

test("an event that was counted before a crash and not removed is not sent again", async () => {
  const spool = spoolDirectory();
  const first = open({ url: await deadUrl(), spool });
  sendNumbers(first, 0, 3);
  await first.close();
  const [settled] = batchFiles(spool);
  const counts = { version: 1, acknowledged: 3, evicted: 0, refused: 0, damaged: 0, settled };
  writeFileSync(join(spool, "counts.json"), JSON.stringify(counts));
  const service = await stub();
  const second = open({ url: service.url, spool });
  expect(second.stats).toMatchObject({ queued: 0, acknowledged: 3 });
  expect(batchFiles(spool)).toEqual([]);
});

test("an invalid event throws at once and names its field", async () => {
  const device = open({ url: await deadUrl() });
  const wrong: [object, string][] = [
    [{}, "event_type"],
    [{ event_type: "" }, "event_type"],
    [{ event_type: "x".repeat(129) }, "event_type"],
    [{ event_type: "t", value_float: Number.NaN }, "value_float"],
    [{ event_type: "t", value_float: "1" }, "value_float"],
    [{ event_type: "t", value_string: "é".repeat(40_000) }, "value_string"],
    [{ event_type: "t", value_string: "\ud800" }, "value_string"],
    [{ event_type: "t", metadata: { a: 1 } }, "metadata.a"],
    [{ event_type: "t", metadata: [] }, "metadata"],
    [{ event_type: "t", metadata: Object.fromEntries(range(0, 65).map((n) => [n, ""])) }, "metadata"],
    [{ event_type: "t", timestamp: "soon" }, "timestamp"],
    [{ event_type: "t", timestamp: 1.5 }, "timestamp"],
    [{ event_type: "t", timestamp: new Date(Number.NaN) }, "timestamp"],
    [{ event_type: "t", device_id: "" }, "device_id"],
    [{ event_type: "t", value: 1 }, "value is not a field"],
  ];
  for (const [event, named] of wrong) expect(() => device.send(event as never)).toThrow(named);
  expect(device.stats.queued).toBe(0);
  device.send({ event_type: "😀".repeat(128), timestamp: new Date(), device_id: "other", value_string: null });
  expect(device.stats.queued).toBe(1);
});

test("options that cannot be used throw, and name themselves", () => {
  const url = "http://127.0.0.1:1";
  const wrong: [Partial<DeviceOptions>, string][] = [
    [{ url: "ftp://host" }, "url"],
    [{ deviceId: "" }, "device_id"],
    [{ key: "two words" }, "key"],
    [{ batchEvents: 0 }, "batchEvents"],
    [{ flushIntervalMs: -1 }, "flushIntervalMs"],
    [{ spoolMaxBytes: 1000 }, "spoolMaxBytes"],
  ];
  for (const [options, named] of wrong) expect(() => open({ url, ...options })).toThrow(named);
  expect(() => createBrowserDevice({ url, deviceId: "d", spool: "./spool" })).toThrow("spool");
});

/** Takes at most `most` events a request; more get 413, as from any proxy. */
async function startSmallService(most: number) {
  const keys: string[] = [];
  const numbers: unknown[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const gzip = request.headers.get("content-encoding") === "gzip";
      const bytes = new Uint8Array(await request.arrayBuffer());
      const { events } = JSON.parse(new TextDecoder().decode(gzip ? Bun.gunzipSync(bytes) : bytes));
      if (events.length > most) return new Response("<html>too large</html>", { status: 413 });
      keys.push(request.headers.get("idempotency-key") ?? "");
      for (const { value_float } of events) numbers.push(value_float);
      return Response.json({ status: "queued", event_count: events.length }, { status: 202 });
    },
  });
  return { url: server.url.origin, keys, numbers, stop: () => server.stop(true) };
}
