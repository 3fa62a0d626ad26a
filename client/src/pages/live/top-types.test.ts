import { expect, test } from "bun:test";
import { chooseTypes } from "./top-types.ts";

const types = (counts: Record<string, number>) => Object.entries(counts).map(([type, count]) => ({ type, count }));

test("types that tie never swap places", () => {
  let held = new Set(chooseTypes(types({ a: 100, b: 100, c: 100, d: 100 }), new Set(), 2));
  for (let tick = 0; tick < 20; tick++) {
    const counts = { a: 100 + (tick % 3), b: 100 + ((tick + 1) % 3), c: 101 + (tick % 2), d: 100 };
    const next = new Set(chooseTypes(types(counts), held, 2));
    expect(next).toEqual(held);
    held = next;
  }
});
test("a clear leader gets in, and the smallest goes", () =>
  expect(chooseTypes(types({ a: 100, b: 90, c: 120 }), new Set(["a", "b"]), 2).sort()).toEqual(["a", "c"]));
test("a type that is gone makes room", () =>
  expect(chooseTypes(types({ a: 100, c: 5 }), new Set(["a", "b"]), 2)).toEqual(["a", "c"]));
