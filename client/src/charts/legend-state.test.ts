import { expect, test } from "bun:test";
import { pressed } from "./legend-state.ts";

const names = ["a", "b", "c"];
const press = (hidden: string[], name: string, modifier = false): string[] => [
  ...pressed(new Set(hidden), names, name, modifier),
];
test("a click isolates, a second one brings all back", () => {
  expect(press([], "a")).toEqual(["b", "c"]);
  expect(press(["b", "c"], "a")).toEqual([]);
  expect(press(["b", "c"], "b")).toEqual(["a", "c"]);
});
test("a modifier switches one line, and never leaves an empty chart", () => {
  expect(press([], "a", true)).toEqual(["a"]);
  expect(press(["a"], "a", true)).toEqual([]);
  expect(press(["a", "b"], "c", true)).toEqual([]);
});
