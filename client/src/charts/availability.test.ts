import { expect, test } from "bun:test";
import type { Change } from "../../../contract/fleet.ts";
import type { Device } from "../../../contract/read.ts";
import { availabilityOf, onlineShare } from "./availability.ts";

const hour = 3_600_000;
const toMs = Date.UTC(2026, 5, 2);
const range = { fromMs: toMs - 24 * hour, toMs, knownFromMs: toMs - 24 * hour };
const device = (status: Device["status"], firstSeenHoursAgo = 1_000): Device => ({
  device_id: "d",
  first_seen: new Date(toMs - firstSeenHoursAgo * hour).toISOString(),
  last_seen: new Date(toMs).toISOString(),
  event_count: 1,
  status,
  interval_seconds: 1,
});
const at = (hoursAgo: number, kind: Change["kind"]): Change => ({
  at: new Date(toMs - hoursAgo * hour).toISOString(),
  kind,
  device_id: "d",
  detail: {},
});

test("without a transition it was all the time what it is now", () => {
  expect(availabilityOf(device("online"), [], range)).toEqual([{ state: "online", from: 0, to: 1 }]);
  expect(onlineShare(availabilityOf(device("silent"), [], range))).toBe(0);
});
test("a silence that has ended is a span of its own", () => {
  const spans = availabilityOf(device("online"), [at(6, "online"), at(12, "silent"), at(3, "metadata")], range);
  expect(spans).toEqual([
    { state: "online", from: 0, to: 0.5 },
    { state: "silent", from: 0.5, to: 0.75 },
    { state: "online", from: 0.75, to: 1 },
  ]);
  expect(onlineShare(spans)).toBe(0.75);
});
test("before the first event nobody knows, and it does not count", () => {
  const spans = availabilityOf(device("online", 12), [at(12, "new")], range);
  expect(spans[0]).toEqual({ state: "unknown", from: 0, to: 0.5 });
  expect(onlineShare(spans)).toBe(1);
});
test("before the known transitions nobody knows", () =>
  expect(availabilityOf(device("silent"), [], { ...range, knownFromMs: toMs - 6 * hour })[0]).toEqual({
    state: "unknown",
    from: 0,
    to: 0.75,
  }));
