import { describe, expect, test } from "bun:test";
import { Acknowledgements, StoredWaiters } from "./acknowledgements.ts";

describe("acknowledgements", () => {
  test("answer requests in order, whole frames at a time, over many thousand", async () => {
    const waiting = new Acknowledgements();
    const outcomes: number[] = [];
    const all: Promise<void>[] = [];
    for (let request = 0; request < 5000; request++) {
      all.push(
        waiting.wait((request % 3) + 1).then((durability) => {
          expect(durability.ok).toBe(true);
          outcomes.push(request);
        }),
      );
      if (request % 3 === 2) waiting.durable(6);
    }
    waiting.durable(3);
    await Promise.all(all);
    expect(outcomes).toEqual(Array.from({ length: 5000 }, (_, index) => index));
    expect(waiting.waiting).toBe(0);
  });

  test("a refused group refuses its requests and no others", async () => {
    const waiting = new Acknowledgements();
    const [first, second, third] = [waiting.wait(2), waiting.wait(1), waiting.wait(5)];
    waiting.durable(2);
    waiting.refused(1, "journal_failed", "disk on fire");
    waiting.durable(5);
    expect(await first).toEqual({ ok: true });
    expect(await second).toEqual({ ok: false, reason: "journal_failed", message: "disk on fire" });
    expect(await third).toEqual({ ok: true });
  });

  test("a report that splits a frame is a bug, and thrown", () => {
    const waiting = new Acknowledgements();
    void waiting.wait(3);
    expect(() => waiting.durable(2)).toThrow();
  });

  test("waiting for storage ends with the epoch's batch, and not before", async () => {
    const waiters = new StoredWaiters();
    const early = waiters.wait(3, 60_000);
    const late = waiters.wait(4, 60_000);
    waiters.stored(3, true);
    expect(await early).toBe(true);
    waiters.stored(4, false);
    expect(await late).toBe(false);
  });

  test("who asks after an epoch was settled is told at once, dead letters or not", async () => {
    const waiters = new StoredWaiters();
    waiters.stored(3, true);
    waiters.stored(5, false);
    waiters.stored(6, true);
    const answers = await Promise.all([0, 3, 4, 5, 6].map((epoch) => waiters.wait(epoch, 60_000)));
    expect(answers).toEqual([true, true, false, false, true]);
    expect(await waiters.wait(null, 60_000)).toBe(false);
  });

  test("a dead letter in one batch of an earlier run leaves all of that run in doubt, and nothing else", async () => {
    const waiters = new StoredWaiters();
    waiters.recovered(3);
    const last = waiters.wait(3, 60_000);
    for (const [epoch, complete] of [
      [1, true],
      [2, false],
      [3, true],
      [4, true],
    ] as const) {
      waiters.stored(epoch, complete);
    }
    expect(await last).toBe(false);
    expect(await waiters.wait(4, 60_000)).toBe(true);
  });

  test("however many batches have dead letters, none of theirs is called stored", async () => {
    const waiters = new StoredWaiters();
    for (let epoch = 1; epoch <= 2_000; epoch++) waiters.stored(epoch, epoch % 2 === 0);
    for (let epoch = 1; epoch <= 2_000; epoch += 2) expect(await waiters.wait(epoch, 60_000)).toBe(false);
    expect(await waiters.wait(2_000, 60_000)).toBe(true);
  });
});
