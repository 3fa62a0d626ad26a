import { expect, test } from "bun:test";
import { decodeTypes, encodeTypes, surroundings } from "./explore-view.ts";

const hour = 3_600_000;
const now = Date.UTC(2026, 5, 1, 12);

test("the surroundings of a range end at now", () =>
  expect(surroundings({ fromMs: now - hour, toMs: now }, now).toMs).toBe(now));

test("types of any name survive the URL", () => {
  const types = ["a,b", "ü &=%", "plain"];
  expect(decodeTypes(encodeTypes(types) ?? "")).toEqual(types);
  expect(decodeTypes("%E0%A4%A")).toEqual([]);
  expect(encodeTypes([])).toBeUndefined();
});
