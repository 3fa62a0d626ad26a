import { describe, expect, test } from "bun:test";
import type { History, HistoryPoint } from "../../../../contract/read.ts";
import { chartsOf, linesOf, pointsOf, seriesName, summaryOf, textTypes, withoutUnfinished } from "./explore-series.ts";
import { historySql } from "./explore-sql.ts";

const start = Date.UTC(2026, 0, 1);
const point = (step: number, value: number | null, count = 10): HistoryPoint => ({
  time: new Date(start + step * 60_000).toISOString(),
  count,
  avg: value,
  min: value,
  max: value,
  p50: value,
  p95: value,
  p99: value,
});
const history = (series: History["series"], more: Partial<History> = {}): History => ({
  from: new Date(start).toISOString(),
  to: new Date(start + 5 * 60_000).toISOString(),
  step_seconds: 60,
  source: "telemetry_1m",
  series,
  ...more,
});

describe("what is drawn", () => {
  test("only steps that are all stored", () => {
    const answer = history([{ event_type: "t", points: [0, 1, 2, 3].map((step) => point(step, 1)) }], {
      complete_to: new Date(start + 2.5 * 60_000).toISOString(),
    });
    expect(withoutUnfinished(answer).series[0]?.points).toHaveLength(2);
  });
  test("one chart for each unit, one for all where rates are drawn", () => {
    const answer = history([
      { event_type: "cpu_percent", points: [] },
      { event_type: "memory_bytes", points: [] },
      { event_type: "disk_percent", points: [] },
    ]);
    const names = (metric: "avg" | "rate"): string[][] =>
      chartsOf(linesOf(answer, metric)).map(({ lines }) => lines.map(({ name }) => name));
    expect(names("avg")).toEqual([["cpu_percent", "disk_percent"], ["memory_bytes"]]);
    expect(names("rate")).toHaveLength(1);
  });
  test("a split line is named by its value, and one without it says so", () => {
    expect(seriesName({ event_type: "t", split: "Rotterdam", points: [] })).toBe("t · Rotterdam");
    expect(seriesName({ event_type: "t", split: null, points: [] })).toBe("t · (none)");
    expect(seriesName({ event_type: "t", points: [] })).toBe("t");
  });
  test("an earlier period lies over the present one", () => {
    const answer = history([{ event_type: "t", points: [point(0, 5)] }]);
    const [line] = linesOf(answer, "avg");
    const drawn = pointsOf(answer, line!, "avg", { previous: true, shiftMs: 3_600_000 });
    expect(drawn).toMatchObject({ name: "t, before", previous: true });
    expect(drawn.points[0]).toEqual({ x: start + 3_600_000, y: 5 });
  });
  test("types of texts are known by having events and no number", () =>
    expect(
      textTypes(
        history([
          { event_type: "door", points: [point(0, null)] },
          { event_type: "temperature", points: [point(0, null), point(1, 3)] },
          { event_type: "quiet", points: [] },
        ]),
      ),
    ).toEqual(["door"]));
  test("a mean of values weighs by events, a rate counts its silence", () => {
    const answer = history([]);
    const points = [point(0, 1, 90), point(1, 11, 10)];
    expect(summaryOf(answer, points, "avg")).toEqual({ count: 100, low: 1, mean: 2, high: 11, last: 11 });
    expect(summaryOf(answer, points, "rate").mean).toBeCloseTo(100 / 300);
  });
});

test("the query behind a chart names its table, types and device, and quotes them", () => {
  const answer = history([]);
  expect(historySql(answer, { types: ["it's", "b"], device: "" })).toContain("event_type IN ('it\\'s', 'b')");
  expect(historySql(answer, { types: [], device: "" })).toContain("FROM telemetry_1m");
  expect(historySql(answer, { types: [], device: "x'\\" })).toContain("device_id = 'x\\'\\\\'");
});
