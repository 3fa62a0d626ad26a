import { describe, expect, test } from "bun:test";
import type { Change } from "../../../contract/fleet.ts";
import { describeChange } from "./change-words.ts";

const change = (kind: Change["kind"], detail: Change["detail"] = {}): Change => ({
  at: "2026-01-01T00:00:00.000Z",
  kind,
  device_id: ["silent", "online", "new", "metadata"].includes(kind) ? "boiler 1" : null,
  detail,
});

describe("a change as a sentence", () => {
  test.each([
    [change("silent"), "boiler 1", "went silent"],
    [change("online", { silent_seconds: 200 }), "boiler 1", "came back after 3 min 20 s"],
    [change("new"), "boiler 1", "reported for the first time"],
    [
      change("metadata", { changed: { firmware: { from: "4.2.0", to: "4.2.1" } } }),
      "boiler 1",
      "firmware 4.2.0 → 4.2.1",
    ],
    [
      change("outage", { group: { key: "site", value: "site-4" }, devices: 38, of: 400 }),
      "site-4",
      "38 of 400 devices went silent",
    ],
    [
      change("recovery", { group: { key: "site", value: "site-4" }, devices: 400, of: 400 }),
      "site-4",
      "400 devices came back",
    ],
    [change("arrival", { devices: 2000, of: 2000 }), undefined, "2,000 devices reported for the first time"],
    [
      change("rollout", {
        group: { key: "site", value: "site-4" },
        devices: 3,
        changed: { firmware: { from: "1", to: "2" } },
      }),
      "site-4",
      "3 devices: firmware 1 → 2",
    ],
  ])("%#", (each, subject, text) => expect(describeChange(each)).toMatchObject({ subject, text }));
  test("an outage leads to the silent devices of its group", () =>
    expect(describeChange(change("outage", { group: { key: "site", value: "a b" }, devices: 1 })).path).toBe(
      "/devices?status=silent&meta.site=a+b",
    ));
});
