import { expect, test } from "bun:test";
import { stateRuns } from "./state-runs.ts";

const event = (atMs: number, value_string: string | null) => ({
  timestamp: new Date(atMs).toISOString(),
  value_string,
});

test("equal texts in a row are one state, and it holds until the next", () =>
  expect(stateRuns([event(5_000, "idle"), event(1_000, "idle"), event(8_000, "busy")], 0, 10_000)).toEqual([
    { value: "idle", fromMs: 1_000, toMs: 8_000 },
    { value: "busy", fromMs: 8_000, toMs: 10_000 },
  ]));
test("what was said before the range holds in it", () =>
  expect(stateRuns([event(1_000, "idle"), event(2_000, "busy")], 5_000, 10_000)).toEqual([
    { value: "busy", fromMs: 5_000, toMs: 10_000 },
  ]));
test("events without a text, and those after the range, say nothing", () =>
  expect(stateRuns([event(1_000, null), event(20_000, "late")], 0, 10_000)).toEqual([]));
