import { describe, expect, test } from "bun:test";
import { IdempotencyKeys } from "./idempotency.ts";

const hourMs = 3_600_000;

describe("idempotency keys", () => {
  test("answer the first answer for an hour and no longer", () => {
    const keys = new IdempotencyKeys(10);
    keys.remember("a", { answer: "first", epoch: 1, atMs: 1000 });
    expect(keys.find("a", 1000 + hourMs - 1)?.answer).toBe("first");
    expect(keys.find("a", 1000 + hourMs)).toBeUndefined();
  });

  test("are bounded: a further one is refused until one expires", () => {
    const keys = new IdempotencyKeys(2);
    keys.remember("a", { answer: "1", epoch: 1, atMs: 0 });
    keys.remember("b", { answer: "2", epoch: 1, atMs: 10 });
    expect(keys.tryReserve(20)).toBe(false);
    expect(keys.tryReserve(hourMs)).toBe(true);
    expect(keys.size).toBe(1);
  });

  test("recovered ones expire in order of age, whatever order they come in", () => {
    const keys = new IdempotencyKeys(3);
    keys.recover(
      [
        { key: "new", atMs: 500, answer: "n" },
        { key: "old", atMs: 0, answer: "o" },
      ],
      2,
    );
    expect(keys.tryReserve(hourMs + 100)).toBe(true);
    expect(keys.size).toBe(1);
    // In which of the two batches its events are is not known: they are stored once the last one is.
    expect(keys.find("new", hourMs + 100)).toEqual({ answer: "n", atMs: 500, epoch: 2 });
  });

  test("a second request with a key waits for the first; a failed one leaves the key free", async () => {
    const keys = new IdempotencyKeys(3);
    const first = keys.begin("a", async () => ({ answer: "done", epoch: 1 }));
    expect(keys.underWay("a")).toBe(first);
    expect(await first).toEqual({ answer: "done", epoch: 1 });
    expect(keys.underWay("a")).toBeUndefined();
    await expect(keys.begin("b", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(keys.underWay("b")).toBeUndefined();
  });
});
