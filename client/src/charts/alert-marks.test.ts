import { expect, test } from "bun:test";
import type { Alert, Transition } from "../../../contract/alerts.ts";
import { alertMarks, mergedMarks } from "./alert-marks.ts";

const transition = (alert_id: string, second: number, from: Transition["from"], to: Transition["to"]): Transition => ({
  id: `${alert_id}-${second}`,
  alert_id,
  at: new Date(second * 1000).toISOString(),
  decided_at: new Date(second * 1000).toISOString(),
  rule_id: "r",
  rule: "hot",
  severity: "critical",
  from,
  to,
  value: 1,
  message: `${alert_id} is hot`,
});
const alert = (id: string, second: number): Alert => ({
  id,
  rule_id: "r",
  rule: "hot",
  severity: "warning",
  state: "firing",
  since: new Date(second * 1000).toISOString(),
  started_at: new Date(second * 1000).toISOString(),
  value: 1,
  message: `${id} is hot`,
  silenced: false,
  acknowledged: null,
});
const times = (marks: ReturnType<typeof alertMarks>) => marks.map(({ fromSecond, toSecond }) => [fromSecond, toSecond]);

test("from firing to resolved, whatever is between, and in any order", () =>
  expect(
    times(
      alertMarks(
        [
          transition("a", 30, "recovering", "resolved"),
          transition("a", 20, "firing", "recovering"),
          transition("a", 10, "pending", "firing"),
          transition("a", 5, "inactive", "pending"),
        ],
        [],
      ),
    ),
  ).toEqual([[10, 30]]));
test("what was only pending is not marked", () =>
  expect(
    alertMarks([transition("a", 5, "inactive", "pending"), transition("a", 9, "pending", "inactive")], []),
  ).toEqual([]));
test("one that fired before the range, and one that still does", () =>
  expect(
    times(alertMarks([transition("a", 10, "firing", "resolved"), transition("b", 20, "pending", "firing")], [])),
  ).toEqual([
    [Number.NEGATIVE_INFINITY, 10],
    [20, Number.POSITIVE_INFINITY],
  ]));
test("what fires now is marked once, from its beginning", () =>
  expect(times(alertMarks([transition("b", 20, "pending", "firing")], [alert("b", 20), alert("c", 3)]))).toEqual([
    [20, Number.POSITIVE_INFINITY],
    [3, Number.POSITIVE_INFINITY],
  ]));
test("it fires again: two marks", () =>
  expect(
    times(
      alertMarks(
        [
          transition("a", 1, "pending", "firing"),
          transition("a", 2, "firing", "resolved"),
          transition("a", 3, "pending", "firing"),
          transition("a", 4, "firing", "resolved"),
        ],
        [],
      ),
    ),
  ).toEqual([
    [1, 2],
    [3, 4],
  ]));
test("what overlaps is one stretch of its severity", () => {
  const mark = (fromSecond: number, toSecond: number, severity: "critical" | "info" = "critical") => ({
    fromSecond,
    toSecond,
    severity,
    text: "",
  });
  expect(
    mergedMarks([mark(5, 9), mark(1, 3), mark(2, 5), mark(20, Number.POSITIVE_INFINITY), mark(0, 99, "info")]),
  ).toEqual([
    { fromSecond: 0, toSecond: 99, severity: "info" },
    { fromSecond: 1, toSecond: 9, severity: "critical" },
    { fromSecond: 20, toSecond: Number.POSITIVE_INFINITY, severity: "critical" },
  ]);
});
