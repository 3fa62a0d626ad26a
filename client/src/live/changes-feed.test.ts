import { expect, test } from "bun:test";
import type { Change } from "../../../contract/fleet.ts";
import { feedMax, mergeChanges } from "./changes-feed.ts";

const silent = (at: number, device_id: string): Change => ({
  at: new Date(at).toISOString(),
  kind: "silent",
  device_id,
  detail: {},
});
const outage = (devices: number): Change => ({
  at: new Date(5_000).toISOString(),
  kind: "outage",
  device_id: null,
  detail: { group: { key: "site", value: "site-4" }, devices },
});

test("newest first, and what comes twice is there once", () => {
  const merged = mergeChanges([silent(2_000, "a"), silent(1_000, "b")], [silent(3_000, "c"), silent(1_000, "b")]);
  expect(merged.map((change) => change.device_id)).toEqual(["c", "a", "b"]);
});
test("an outage that grows is told once, with its newest count", () => {
  expect(mergeChanges([outage(12)], [outage(38)]).map((change) => change.detail.devices)).toEqual([38]);
});
test("the feed is bounded", () => {
  const many = Array.from({ length: feedMax * 2 }, (_, index) => silent(index, `d${index}`));
  expect(mergeChanges([], many).length).toBe(feedMax);
});
