import { expect, test } from "bun:test";
import { matchCommands } from "./palette-match.ts";

const command = (label: string) => ({ label, group: "", run: () => undefined });
const all = ["Live", "Devices", "Explore", "Pipeline", "site-7-pump", "cpu_percent", "temperature"].map(command);
const labels = (words: string): string[] => matchCommands(all, words).map(({ label }) => label);

test("the beginning of a name comes before the beginning of a part, before the middle", () => {
  expect(labels("p")).toEqual(["Pipeline", "site-7-pump", "cpu_percent", "Explore", "temperature"]);
  expect(labels("pump")).toEqual(["site-7-pump"]);
});
test("letters in order are enough, letters out of order are not", () => {
  expect(labels("tmpr")).toEqual(["temperature"]);
  expect(labels("rpmt")).toEqual([]);
});
test("without words everything is offered, up to a screen", () => {
  expect(labels("")).toHaveLength(all.length);
  expect(
    matchCommands(
      Array.from({ length: 50 }, (_, n) => command(`device-${n}`)),
      "",
    ),
  ).toHaveLength(12);
});
