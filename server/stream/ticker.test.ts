import { expect, test } from "bun:test";
import { createTicker } from "./ticker.ts";

/** A clock and its timers, moved by hand. */
class Clock {
  now = 0;
  ticks: number[] = [];
  beats: number[] = [];
  /** Whether the next ticks have something to send, and what it costs. */
  sends = false;
  fanOutMs = 1;
  #timers = new Map<number, { at: number; run: () => void }>();
  #next = 1;

  readonly ticker;

  constructor(intervalMs: number) {
    this.ticker = createTicker(
      {
        now: () => this.now,
        setTimer: (run, delayMs) => {
          this.#timers.set(this.#next, { at: this.now + delayMs, run });
          return this.#next++;
        },
        clearTimer: (timer) => this.#timers.delete(timer as number),
        tick: () => {
          this.ticks.push(this.now);
          return this.sends;
        },
        fanOutMs: () => this.fanOutMs,
        beat: () => this.beats.push(this.now),
      },
      { intervalMs },
    );
  }

  get timers(): number {
    return this.#timers.size;
  }

  runTo(end: number): void {
    for (;;) {
      const [id, timer] = [...this.#timers].sort((a, b) => a[1].at - b[1].at)[0] ?? [];
      if (id === undefined || timer === undefined || timer.at > end) break;
      this.#timers.delete(id);
      this.now = Math.max(this.now, timer.at);
      timer.run();
    }
    this.now = end;
  }
}

test("ticks at its interval, and never more often than that while it sends", () => {
  const clock = new Clock(100);
  clock.sends = true;
  for (let at = 7; at <= 1000; at += 7) {
    clock.runTo(at);
    clock.ticker.touch();
  }
  expect(clock.ticks.length).toBeGreaterThanOrEqual(9);
  for (let index = 1; index < clock.ticks.length; index++) {
    expect((clock.ticks[index] as number) - (clock.ticks[index - 1] as number)).toBeGreaterThanOrEqual(100);
  }
});

test("the first change after a quiet spell goes out at once", () => {
  const clock = new Clock(100);
  clock.runTo(1030);
  clock.ticks = [];
  clock.sends = true;
  clock.ticker.touch();
  clock.runTo(1030);
  expect(clock.ticks).toEqual([1030]);
  clock.ticker.touch();
  clock.runTo(1129);
  expect(clock.ticks).toEqual([1030]);
  clock.runTo(1130);
  expect(clock.ticks).toEqual([1030, 1130]);
});

test("stretches when fan-out takes more than a fifth of the interval", () => {
  const clock = new Clock(100);
  clock.sends = true;
  clock.fanOutMs = 50;
  clock.runTo(1000);
  expect(clock.ticks).toEqual([100, 350, 600, 850]);
});

test("beats every second whatever the interval, and through quiet", () => {
  for (const intervalMs of [10, 60_000]) {
    const clock = new Clock(intervalMs);
    clock.runTo(5500);
    expect(clock.beats).toEqual([1000, 2000, 3000, 4000, 5000]);
  }
});

test("one timer at a time, none after stop", () => {
  const clock = new Clock(100);
  for (let at = 0; at < 500; at += 3) {
    clock.runTo(at);
    clock.ticker.touch();
    expect(clock.timers).toBe(1);
  }
  clock.ticker.stop();
  expect(clock.timers).toBe(0);
  clock.ticker.touch();
  expect(clock.timers).toBe(0);
});
