import { expect, test } from "bun:test";
import { createSlotKeeper, dashes, palette } from "./palette.ts";

type Rgb = [number, number, number];

function linear(hex: string): Rgb {
  const channel = (at: number): number => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}
function times(matrix: readonly Rgb[], [x, y, z]: Rgb): Rgb {
  return matrix.map(([a, b, c]) => a * x + b * y + c * z) as Rgb;
}
function contrast(one: string, two: string): number {
  const luminance = (hex: string): number => times([[0.2126, 0.7152, 0.0722]], linear(hex))[0];
  const [high, low] = [luminance(one), luminance(two)].sort((a, b) => b - a);
  return (high! + 0.05) / (low! + 0.05);
}

/** Linear RGB as seen with no cones of one kind. Source: Machado, Oliveira & Fernandes (2009), severity 1. */
const visions: Record<string, Rgb[]> = {
  full: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protan: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deutan: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritan: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** Source: Ottosson, "A perceptual color space for image processing" (2020). */
function oklab(rgb: Rgb): Rgb {
  const cones = times(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    rgb.map((value) => Math.max(0, value)) as Rgb,
  );
  return times(
    [
      [0.2104542553, 0.793617785, -0.0040720468],
      [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766],
    ],
    cones.map(Math.cbrt) as Rgb,
  );
}
function distance(one: string, two: string, vision: readonly Rgb[]): number {
  const [a, b] = [one, two].map((hex) => oklab(times(vision, linear(hex))));
  return Math.hypot(...a!.map((value, axis) => value - b![axis]!));
}

test("every line has 3:1 against its ground", () => {
  for (const color of palette.light) expect(contrast(color, "#ffffff"), color).toBeGreaterThanOrEqual(3);
  for (const color of palette.dark) expect(contrast(color, "#121820"), color).toBeGreaterThanOrEqual(3);
});

// 0.02 is about the smallest difference that an eye sees side by side; thin lines far apart need several of it.
test.each(["light", "dark"] as const)("any two lines can be told apart, whatever cones the eye lacks: %s", (theme) => {
  const colors = palette[theme];
  for (const [name, vision] of Object.entries(visions)) {
    for (let one = 0; one < colors.length; one += 1) {
      for (let two = 0; two < one; two += 1) {
        const sameDash = String(dashes[one]) === String(dashes[two]);
        const enough = name === "full" ? 0.14 : sameDash ? 0.12 : 0.06;
        const seen = distance(colors[one]!, colors[two]!, vision);
        expect(seen, `${name}: ${colors[two]} and ${colors[one]}`).toBeGreaterThanOrEqual(enough);
      }
    }
  }
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
