import { describe, expect, test } from "bun:test";
import { describeConnection } from "./connection.ts";

const now = 1_000_000;

describe("what the page says of its connection", () => {
  test("live says nothing more", () =>
    expect(describeConnection({ state: { kind: "open" }, online: true, nowMs: now, dataAtMs: now - 500 })).toEqual({
      kind: "live",
      label: "Live",
      detail: "",
    }));
  test("a quiet fleet is not a lost connection", () =>
    expect(describeConnection({ state: { kind: "open" }, online: true, nowMs: now, dataAtMs: now - 60_000 }).kind).toBe(
      "quiet",
    ));
  test("old data is never shown without its age", () => {
    const waiting = { kind: "waiting", attempt: 3, retryAtMs: now + 2000, reason: "" } as const;
    for (const state of [waiting, { kind: "connecting" } as const]) {
      const view = describeConnection({ state, online: true, nowMs: now, dataAtMs: now - 42_300 });
      expect(view.detail).toBe("Reconnecting, data is 42 s old.");
    }
    expect(
      describeConnection({ state: waiting, online: false, nowMs: now, dataAtMs: now - 3_600_000 }).detail,
    ).toContain("1 h old");
  });
  test("without any data it says when it tries again", () => {
    const view = describeConnection({
      state: { kind: "waiting", attempt: 1, retryAtMs: now + 2000, reason: "" },
      online: true,
      nowMs: now,
      dataAtMs: undefined,
    });
    expect(view.detail).toContain("in 2 s");
  });
});
