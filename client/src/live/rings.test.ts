import { describe, expect, test } from "bun:test";
import { createRings } from "./rings.ts";

const last = (rings: ReturnType<typeof createRings>, type: string, count: number): number[] => {
  const out = new Float32Array(count);
  rings.copyLast(type, count, out);
  return [...out];
};

describe("rings", () => {
  test("time without a connection is a gap, quiet time carries the last value", () => {
    const rings = createRings({ seconds: 10, typesMax: 4 });
    rings.advance(100, false);
    rings.set("a", 100, 5);
    rings.advance(102, true);
    rings.advance(104, false);
    rings.set("a", 104, 7);
    expect(last(rings, "a", 6)).toEqual([Number.NaN, 5, 5, 5, Number.NaN, 7]);
  });
  test("agrees with a plain map over many wraps", () => {
    const seed = 20260101;
    let state = seed;
    const random = (): number => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state / 2147483648;
    };
    const rings = createRings({ seconds: 7, typesMax: 3 });
    const model = new Map<number, number>();
    let now = 1_000;
    rings.advance(now, false);
    for (let step = 0; step < 2_000; step++) {
      if (random() < 0.6) {
        now += 1 + Math.floor(random() * 9);
        rings.advance(now, false);
      }
      const second = now - Math.floor(random() * 10);
      const value = Math.floor(random() * 1000);
      rings.set("a", second, value);
      if (second > now - 7) model.set(second, value);
      for (let at = now - 9; at <= now; at++) {
        const expected = at > now - 7 ? (model.get(at) ?? Number.NaN) : Number.NaN;
        expect(rings.get("a", at), `seed ${seed} step ${step}`).toEqual(expected);
      }
    }
  });
  test("never holds more types than its maximum: the one unused for longest goes", () => {
    const rings = createRings({ seconds: 5, typesMax: 2 });
    rings.advance(1, false);
    rings.set("old", 1, 1);
    rings.advance(2, false);
    rings.set("kept", 2, 1);
    rings.advance(3, false);
    rings.set("new", 3, 1);
    expect(rings.types().sort()).toEqual(["kept", "new"]);
  });
  test("a type that the update leaves out is zero, not unknown", () => {
    const rings = createRings({ seconds: 5, typesMax: 2 });
    rings.advance(1, false);
    rings.set("a", 1, 9);
    rings.advance(2, true);
    rings.zeroNewest();
    expect(rings.get("a", 2)).toBe(0);
  });
});
