import { expect, test } from "bun:test";
import { Value } from "typebox/value";
import { Event } from "../../contract/event.ts";
import { readSample } from "./machine-sample.ts";
import { readingEvents, readingsBetween, type Sample } from "./readings.ts";

const before: Sample = {
  monotonicMs: 1000,
  epochMs: 50_000,
  uptimeSeconds: 10,
  cpu: new Map([
    ["all", { busy: 100, total: 1000 }],
    ["0", { busy: 60, total: 500 }],
    ["1", { busy: 40, total: 500 }],
  ]),
  disk: { inBytes: 1000, outBytes: 5000 },
  network: { inBytes: 0, outBytes: 700 },
};
const now: Sample = {
  monotonicMs: 3000,
  epochMs: 52_000,
  uptimeSeconds: 12,
  cpu: new Map([
    ["all", { busy: 150, total: 1200 }],
    ["0", { busy: 110, total: 600 }],
    ["1", { busy: 40, total: 600 }],
  ]),
  memory: { totalBytes: 4000, availableBytes: 1000, swapTotalBytes: 0, swapFreeBytes: 0 },
  disk: { inBytes: 3000, outBytes: 5000 },
  network: { inBytes: 500, outBytes: 100 },
  load: [0.5, 0.4, 0.3],
  diskUsedPercent: 33.333,
};

const found = (type: string, readings = readingsBetween(before, now)) =>
  readings.filter((reading) => reading.type === type).map(({ value, core }) => (core ? [core, value] : value));

test("counters become shares and rates of the time between two samples", () => {
  expect(found("cpu_percent")).toEqual([25]);
  expect(found("cpu_core_percent")).toEqual([
    ["0", 50],
    ["1", 0],
  ]);
  expect(found("disk_read_bytes_per_second")).toEqual([1000]);
  expect(found("disk_write_bytes_per_second")).toEqual([0]);
  expect(found("network_rx_bytes_per_second")).toEqual([250]);
  expect(found("memory_used_bytes")).toEqual([3000]);
  expect(found("memory_percent")).toEqual([75]);
  expect(found("disk_used_percent")).toEqual([33.33]);
  expect(found("load_1m")).toEqual([0.5]);
  expect(found("uptime_seconds")).toEqual([12]);
});

test("what the machine does not have, and a counter that began anew, give no reading", () => {
  expect(found("network_tx_bytes_per_second")).toEqual([]);
  expect(found("swap_used_bytes")).toEqual([]);
  expect(found("temperature_celsius")).toEqual([]);
  const bare = { monotonicMs: 1, epochMs: 1, uptimeSeconds: 1, cpu: new Map() };
  expect(readingsBetween(bare, bare).map(({ type }) => type)).toEqual(["uptime_seconds"]);
});

test("two samples of this machine give events that the service accepts, each type but the cores once", async () => {
  const first = await readSample(0, Date.now());
  const second = await readSample(1000, Date.now());
  const events = readingEvents(readingsBetween(first, second), { deviceId: "d", host: "h", epochMs: second.epochMs });
  for (const event of events) expect([...Value.Errors(Event, event)]).toEqual([]);
  const single = events.filter((event) => event.event_type !== "cpu_core_percent").map((event) => event.event_type);
  expect(new Set(single).size).toBe(single.length);
  expect(single).toEqual(expect.arrayContaining(["memory_used_bytes", "memory_percent", "uptime_seconds"]));
  expect(events[0]).toMatchObject({ device_id: "d", timestamp: second.epochMs, metadata: { host: "h" } });
});
