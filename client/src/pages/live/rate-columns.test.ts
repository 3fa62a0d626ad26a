import { expect, test } from "bun:test";
import { totalName } from "../../live/live-rings.ts";
import { createRings } from "../../live/rings.ts";
import { createRateColumns } from "./rate-columns.ts";

function filled(seconds: number) {
  const rings = createRings({ seconds: 660, typesMax: 8 });
  for (let second = 1_000; second < 1_000 + seconds; second++) {
    rings.advance(second, true);
    rings.set("a", second, 3);
    rings.set(totalName, second, 10);
  }
  return rings;
}

test("what is left of the total after the types that have lines is the line of all others", () => {
  const columns = createRateColumns(filled(5));
  columns.setNames(["a", totalName], ["a"]);
  const [seconds, a, rest] = columns.fill(3, 1_004);
  expect([seconds, a, rest]).toEqual([
    [1_002, 1_003, 1_004],
    [3, 3, 3],
    [7, 7, 7],
  ]);
});
test("the range fits what there is, and never less than a minute", () => {
  expect(createRateColumns(filled(200)).fitted(600, 1_199)).toBe(200);
  expect(createRateColumns(filled(5)).fitted(600, 1_004)).toBe(60);
  expect(createRateColumns(filled(650)).fitted(600, 1_649)).toBe(600);
});
