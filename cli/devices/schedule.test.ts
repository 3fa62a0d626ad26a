import { expect, test } from "bun:test";
import { createSchedule, nextTickMs, paceBatches, usualBatchSize } from "./schedule.ts";

test("ticks stay on the grid of the first, and those slept through are skipped", () => {
  expect(nextTickMs(1000, 1000, 100)).toBe(1100);
  expect(nextTickMs(1000, 1099, 100)).toBe(1100);
  expect(nextTickMs(1000, 1101, 100)).toBe(1200);
  expect(nextTickMs(1000, 5_050, 100)).toBe(5_100);
});

test("a schedule holds exactly rate times seconds events, and every one once", () => {
  const schedule = createSchedule({ rate: 100, seconds: 2.5, batchSize: 40 });
  const batches = Array.from({ length: schedule.batches }, (_, index) => schedule.batch(index));
  expect(schedule.events).toBe(250);
  expect(batches.map(({ size }) => size)).toEqual([40, 40, 40, 40, 40, 40, 10]);
  expect(batches.map(({ firstEvent }) => firstEvent)).toEqual([0, 40, 80, 120, 160, 200, 240]);
  expect(batches.map(({ dueMs }) => dueMs)).toEqual([400, 800, 1200, 1600, 2000, 2400, 2500]);
});

test("a request carries what makes about fifty of them a second, within the service's bounds", () => {
  expect([0.5, 50, 5_000, 10_000_000].map((rate) => usualBatchSize(rate, 10_000))).toEqual([1, 1, 100, 10_000]);
});

/** A clock that only a pause moves on, and further than was asked for. */
function createClock(oversleepMs: number) {
  let nowMs = 500;
  return {
    now: () => nowMs,
    pause: async (ms: number) => {
      nowMs += ms + oversleepMs;
    },
  };
}

test("no batch leaves before it is due, and lateness does not shift those after it", async () => {
  const schedule = createSchedule({ rate: 1000, seconds: 1, batchSize: 10 });
  const clock = createClock(35);
  const sent: { firstEvent: number; dueMs: number; atMs: number }[] = [];
  const count = await paceBatches(
    schedule,
    ({ firstEvent }, dueMs) => sent.push({ firstEvent, dueMs, atMs: clock.now() }),
    { ...clock, stop: new AbortController().signal },
  );
  expect(count).toBe(100);
  expect(sent.map(({ firstEvent }) => firstEvent)).toEqual(Array.from({ length: 100 }, (_, index) => index * 10));
  for (const [index, { dueMs, atMs }] of sent.entries()) {
    expect(dueMs).toBe(500 + (index + 1) * 10);
    expect(atMs).toBeGreaterThanOrEqual(dueMs);
    expect(atMs).toBeLessThanOrEqual(dueMs + 35);
  }
});

test("sends nothing more once it is stopped", async () => {
  const stop = new AbortController();
  let sent = 0;
  const count = await paceBatches(
    createSchedule({ rate: 100, seconds: 10, batchSize: 1 }),
    () => {
      sent++;
      if (sent === 5) stop.abort();
    },
    { ...createClock(0), stop: stop.signal },
  );
  expect([count, sent]).toEqual([5, 5]);
});
