import { expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { ObservationQueue, observationsMax } from "./observation-queue.ts";

test.each([1, 2, (Math.random() * 2 ** 31) | 0])(
  "gives back what was pushed, in order, through growth, rewinding and many wraps (seed %i)",
  (seed) => {
    const random = createRandom(seed);
    const queue = new ObservationQueue();
    const expected: number[] = [];
    let next = 0;
    for (let step = 0; step < 4000; step++) {
      const count = Math.floor(random() * 60);
      if (random() < 0.52) {
        const mark = queue.mark();
        for (let index = 0; index < count; index++) queue.push(next + index, next, next / 2, next, next);
        if (random() < 0.2) {
          queue.rewind(mark);
        } else {
          for (let index = 0; index < count; index++) expected.push(next + index);
          next += count;
        }
      } else {
        const taken = Math.min(count, queue.size);
        const { types, takenTotal, mask } = queue;
        const got = Array.from({ length: taken }, (_, index) => types[(takenTotal + index) & mask]);
        expect(got).toEqual(expected.splice(0, taken));
        queue.take(taken);
      }
      expect(queue.size).toBe(expected.length);
    }
    expect(next).toBeGreaterThan(10_000);
  },
);

test("grows to its bound and refuses there", () => {
  const queue = new ObservationQueue();
  for (let index = 0; index < observationsMax; index++) {
    if (!queue.push(1, index, 0, 0, 0)) throw new Error(`refused at ${index}`);
  }
  expect(queue.push(1, 0, 0, 0, 0)).toBe(false);
  queue.take(1);
  expect(queue.push(1, 7, 0, 0, 0)).toBe(true);
  expect(queue.seconds[queue.takenTotal & queue.mask]).toBe(1);
});

test("what is not there can be neither taken nor rewound", () => {
  const queue = new ObservationQueue();
  queue.push(1, 1, 1, 1, 1);
  expect(() => queue.take(2)).toThrow(RangeError);
  queue.take(1);
  expect(() => queue.rewind(0)).toThrow(RangeError);
});
