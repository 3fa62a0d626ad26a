import { expect, test } from "bun:test";
import { createSlotKeeper, palette } from "./palette.ts";

function luminance(hex: string): number {
  const channel = (at: number): number => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}
function contrast(one: string, two: string): number {
  const [high, low] = [luminance(one), luminance(two)].sort((a, b) => b - a);
  return (high! + 0.05) / (low! + 0.05);
}

test("every line has 3:1 against its ground", () => {
  for (const color of palette.light) expect(contrast(color, "#ffffff"), color).toBeGreaterThanOrEqual(3);
  for (const color of palette.dark) expect(contrast(color, "#121820"), color).toBeGreaterThanOrEqual(3);
});

test("a type keeps its colour while it stays on the chart, in whatever place", () => {
  const keeper = createSlotKeeper(3);
  const first = keeper.assign(["a", "b", "c"]);
  const second = keeper.assign(["c", "d", "a"]);
  expect(second.get("a")).toBe(first.get("a")!);
  expect(second.get("c")).toBe(first.get("c")!);
  expect(second.get("d")).toBe(first.get("b")!);
});

test("no two types share a slot", () => {
  const slots = [...createSlotKeeper(4).assign(["a", "b", "c", "d", "e"]).values()];
  expect(new Set(slots).size).toBe(4);
});
