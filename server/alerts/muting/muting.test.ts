import { expect, test } from "bun:test";
import { createMutes, type Labelled, matches } from "./muting.ts";
import { isInRecurrence } from "./recurrence.ts";

const alert = (more: Partial<Labelled> = {}): Labelled => ({
  rule: "silent",
  severity: "warning",
  deviceId: "s1-d1",
  group: null,
  metadata: { site: "s1" },
  ...more,
});

test("every field has to match; a star at the end stands for anything", () => {
  expect(matches({ rule: "silent", device_id: "s1-*" }, alert())).toBe(true);
  expect(matches({ rule: "silent", device_id: "s2-*" }, alert())).toBe(false);
  expect(matches({ "meta.site": "s1" }, alert())).toBe(true);
  expect(matches({ "meta.floor": "*" }, alert())).toBe(false);
});

test("a gateway that is silent mutes its site's devices, no other's, and not itself", () => {
  const gateway = alert({ rule: "gateway", deviceId: "s1-gw" });
  const mutes = createMutes([], () => [gateway], 0);
  const inhibitors = [{ rule: "gateway", equal: ["meta.site"] }];
  expect(mutes.isMuted(alert(), inhibitors)).toBe(true);
  expect(mutes.isMuted(alert({ metadata: { site: "s2" } }), inhibitors)).toBe(false);
  expect(mutes.isMuted(alert({ metadata: {} }), inhibitors)).toBe(false);
  expect(mutes.isMuted(gateway, inhibitors)).toBe(false);
});

test("a window that comes back goes by the clocks of its zone, over midnight and over the change to summer time", () => {
  const nightly = { start: "23:00", duration: "2h", time_zone: "Europe/Berlin", days: ["sat" as const] };
  const at = (iso: string): boolean => isInRecurrence(nightly, Date.parse(iso));
  expect(at("2026-01-10T22:30:00Z")).toBe(true);
  expect(at("2026-01-10T23:59:00Z")).toBe(true);
  expect(at("2026-01-11T00:00:00Z")).toBe(false);
  expect(at("2026-01-09T22:30:00Z")).toBe(false);
  const early = { start: "02:00", duration: "1h", time_zone: "Europe/Berlin" };
  // In summer two o'clock is at midnight UTC, in winter at one.
  expect(isInRecurrence(early, Date.parse("2026-07-01T00:30:00Z"))).toBe(true);
  expect(isInRecurrence(early, Date.parse("2026-01-01T01:30:00Z"))).toBe(true);
  expect(isInRecurrence(early, Date.parse("2026-01-01T00:30:00Z"))).toBe(false);
});
