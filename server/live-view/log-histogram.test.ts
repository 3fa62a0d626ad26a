import { expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { keyMax, keyMin, LogHistogram, storeBinsMax, WindowHistogram } from "./log-histogram.ts";

const ranks = [0.01, 0.5, 0.95, 0.99];

function quantilesOf(values: readonly number[]): number[] {
  const histogram = new LogHistogram();
  for (const value of values) histogram.observe(value);
  const total = new WindowHistogram();
  total.add(histogram);
  return total.quantiles(ranks, Math.min(...values), Math.max(...values));
}

const distributions: Record<string, (random: () => number) => number> = {
  uniform: (random) => random() * 100,
  "around zero": (random) => random() - 0.5,
  "log-uniform over 16 decades": (random) => 10 ** (random() * 16 - 8),
  "negative, heavy tail": (random) => -1 / random(),
  "whole numbers": (random) => Math.floor(random() * 7) - 3,
  "mostly zero": (random) => (random() < 0.9 ? 0 : random() * 9),
};

test.each(Object.keys(distributions))("quantiles are within 1 % of the exact ones: %s", (name) => {
  const random = createRandom(7);
  for (const length of [1, 2, 10, 5000]) {
    const values = Array.from({ length }, () => (distributions[name] as (random: () => number) => number)(random));
    const sorted = values.toSorted((a, b) => a - b);
    for (const [index, value] of quantilesOf(values).entries()) {
      const exact = sorted[Math.floor((ranks[index] as number) * (length - 1))] as number;
      // ClickHouse's bin 0 is twice as wide.
      const accuracy = 0.0101;
      expect(Math.abs(value - exact)).toBeLessThanOrEqual(Math.abs(exact) * accuracy);
    }
  }
});

test("a constant is read back exactly, whatever its bin", () => {
  for (const value of [0, 1, -1, 0.98, 42.5, -1e-9, 1e300, -1e300, 1e-300, 5e-324]) {
    expect(quantilesOf([value, value, value])).toEqual([value, value, value, value]);
  }
});

test("the running total is exactly what is left after any adding and subtracting", () => {
  const random = createRandom(3);
  const total = new WindowHistogram();
  const blocks: { histogram: LogHistogram; values: number[] }[] = [];
  for (let step = 0; step < 500; step++) {
    if (blocks.length > 0 && random() < 0.45) {
      const [block] = blocks.splice(Math.floor(random() * blocks.length), 1);
      if (block) total.subtract(block.histogram);
    } else {
      const scale = 10 ** (random() * 12 - 6);
      const values = Array.from({ length: 20 }, () => (random() - 0.3) * scale);
      const histogram = new LogHistogram();
      for (const value of values) histogram.observe(value);
      total.add(histogram);
      blocks.push({ histogram, values });
    }
  }
  const values = blocks.flatMap((block) => block.values);
  expect(total.quantiles(ranks, -1e9, 1e9)).toEqual(
    (() => {
      const fresh = new WindowHistogram();
      const all = new LogHistogram();
      for (const value of values) all.observe(value);
      fresh.add(all);
      return fresh.quantiles(ranks, -1e9, 1e9);
    })(),
  );
  for (const block of blocks) total.subtract(block.histogram);
  expect(total.quantiles(ranks, -1, 1)).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
});

test("a store never has more bins than its bound; the lowest magnitudes share one, and none is lost", () => {
  for (const order of ["up", "down", "mixed"]) {
    const histogram = new LogHistogram();
    const keys = Array.from({ length: keyMax - keyMin + 1 }, (_, index) => keyMin + index);
    if (order === "down") keys.reverse();
    if (order === "mixed") keys.sort((a, b) => ((a * 7919) % 1009) - ((b * 7919) % 1009));
    for (const key of keys) histogram.addPositive(key, 1);
    const { bins, offset } = histogram.positive;
    expect(bins.length).toBeLessThanOrEqual(storeBinsMax);
    expect(bins.reduce((sum, count) => sum + count, 0)).toBe(keys.length);
    expect(offset + bins.length - 1).toBeGreaterThanOrEqual(keyMax);
    // The upper half is not touched by the folding.
    for (let key = keyMax - 900; key <= keyMax; key++) expect(bins[key - offset]).toBe(1);
  }
});

test("merging equals observing everything in one", () => {
  const random = createRandom(11);
  for (let round = 0; round < 50; round++) {
    const parts = Array.from({ length: 4 }, () =>
      Array.from({ length: 30 }, () => (random() - 0.4) * 10 ** (random() * 6)),
    );
    const merged = new LogHistogram();
    for (const values of parts) {
      const part = new LogHistogram();
      for (const value of values) part.observe(value);
      merged.addAll(part);
    }
    const total = new WindowHistogram();
    total.add(merged);
    expect(total.quantiles(ranks, -1e9, 1e9)).toEqual(
      (() => {
        const all = new LogHistogram();
        for (const value of parts.flat()) all.observe(value);
        const fresh = new WindowHistogram();
        fresh.add(all);
        return fresh.quantiles(ranks, -1e9, 1e9);
      })(),
    );
  }
});
