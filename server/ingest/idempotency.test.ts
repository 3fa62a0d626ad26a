import { describe, expect, test } from "bun:test";
import { IdempotencyKeys } from "./idempotency.ts";

const hourMs = 3_600_000;

describe("idempotency keys", () => {
  test("answer the first answer for an hour and no longer", () => {
    const keys = new IdempotencyKeys(10);
    keys.remember("a", "first", 1000);
    expect(keys.find("a", 1000 + hourMs - 1)?.answer).toBe("first");
    expect(keys.find("a", 1000 + hourMs)).toBeUndefined();
  });

  test("are bounded: a further one is refused until one expires", () => {
    const keys = new IdempotencyKeys(2);
    keys.remember("a", "1", 0);
    keys.remember("b", "2", 10);
    expect(keys.tryReserve(20)).toBe(false);
    expect(keys.tryReserve(hourMs)).toBe(true);
    expect(keys.size).toBe(1);
  });

  test("recovered ones expire in order of age, whatever order they come in", () => {
    const keys = new IdempotencyKeys(3);
    keys.recover([
      { key: "new", atMs: 500, answer: "n" },
      { key: "old", atMs: 0, answer: "o" },
    ]);
    expect(keys.tryReserve(hourMs + 100)).toBe(true);
    expect(keys.size).toBe(1);
    expect(keys.find("new", hourMs + 100)?.answer).toBe("n");
  });

  test("a second request with a key waits for the first; a failed one leaves the key free", async () => {
    const keys = new IdempotencyKeys(3);
    const first = keys.begin("a", async () => new Response("done"));
    expect(keys.underWay("a")).toBe(first);
    expect(await (await first).text()).toBe("done");
    expect(keys.underWay("a")).toBeUndefined();
    await expect(keys.begin("b", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(keys.underWay("b")).toBeUndefined();
  });
});
