import { expect, test } from "bun:test";
import { historyCsv } from "./explore-csv.ts";

const point = { time: "2026-01-01T00:00:00.000Z", count: 2, avg: 1.5, min: 1, max: 2, p50: null, p95: null, p99: null };
const csv = (name: string): string =>
  historyCsv({
    from: point.time,
    to: point.time,
    step_seconds: 1,
    source: "telemetry_1s",
    series: [{ event_type: name, points: [point] }],
  });

test("commas, quotes and line ends stay inside their cell", () =>
  expect(csv('a,"b"\n')).toContain('"a,""b""\n",2,1.5,1,2,,,'));
test("a type named like a formula is not run by a spreadsheet", () =>
  expect(csv("=HYPERLINK(1)")).toContain(",'=HYPERLINK(1),"));
