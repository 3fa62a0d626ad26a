import { expect, test } from "bun:test";
import { curvePoint, curvesOf, renderPlots } from "./curves.ts";
import type { ContestantResult } from "./result.ts";

const medians = {
  saturation_per_second: 1000,
  [curvePoint("p99_ms", 900.4)]: 40,
  [curvePoint("p99_ms", 100)]: 0.5,
  [curvePoint("sluice/engine cpu_cores", 100)]: 0.2,
};

test("points of a curve are found among other figures, in the order of the load", () => {
  expect(curvesOf(medians)).toEqual([
    {
      metric: "p99_ms",
      points: [
        [100, 0.5],
        [900, 40],
      ],
    },
    { metric: "sluice/engine cpu_cores", points: [[100, 0.2]] },
  ]);
  expect(curvesOf({ p99_ms: 1 })).toEqual([]);
});

test("a plot for each kind of figure, larger values higher up; none without curves", () => {
  const result: ContestantResult = { name: "sluice", status: "ok", why: "", runs: [], medians };
  const html = renderPlots([result]);
  expect(html.match(/<svg/g)).toHaveLength(2);
  expect(html).toContain("sluice p99: 40 ms at 900 events/s");
  const [low = 0, high = 0] = [...html.matchAll(/cy="([\d.]+)"/g)].map(([, y]) => Number(y));
  expect(high).toBeLessThan(low);
  expect(renderPlots([{ ...result, medians: { p99_ms: 1 } }])).toBe("");
});
