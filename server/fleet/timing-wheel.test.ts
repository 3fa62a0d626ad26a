import { expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { TimingWheel } from "./timing-wheel.ts";

test.each([1, 2, 3, (Math.random() * 2 ** 31) | 0])(
  "everything is due once, never early, at most two buckets late, however it is moved (seed %i)",
  (seed) => {
    const random = createRandom(seed);
    const integer = (below: number): number => Math.floor(random() * below);
    let nowMs = 5_000_000;
    const wheel = new TimingWheel(nowMs);
    const due = new Map<number, number>();
    for (let step = 0; step < 4_000; step++) {
      for (let more = integer(6); more > 0; more--) {
        const thing = integer(3_000);
        if (random() < 0.2) {
          wheel.clear(thing);
          due.delete(thing);
        } else {
          // Up to an hour: further than the wheel goes round.
          const atMs = nowMs + integer(random() < 0.1 ? 3_600_000 : 20_000) - 100;
          wheel.set(thing, atMs);
          due.set(thing, atMs);
        }
      }
      nowMs += random() < 0.01 ? integer(2_000_000) : integer(300);
      wheel.advance(nowMs, (thing) => {
        const atMs = due.get(thing);
        if (atMs === undefined) throw new Error(`${thing} is not in the wheel`);
        if (atMs > nowMs) return wheel.set(thing, atMs);
        due.delete(thing);
      });
      for (const atMs of due.values()) expect(atMs).toBeGreaterThan(nowMs - 250);
    }
    expect(due.size).toBeGreaterThan(0);
  },
);
