import { expect, test } from "bun:test";
import { ClickHouseError } from "@clickhouse/client";
import { backoffMs } from "../../base/backoff.ts";
import { classifyFailure } from "./failure.ts";

const exception = (code: number, message = "made up. "): ClickHouseError =>
  new ClickHouseError({ code: String(code), message, type: "" });

test("the class of a failure follows from its code", () => {
  const classes = (codes: readonly number[]): string[] => codes.map((code) => classifyFailure(exception(code)).class);
  expect(new Set(classes([27, 33, 117, 321, 395, 469]))).toEqual(new Set(["rejected"]));
  expect(new Set(classes([164, 192, 193, 497, 516]))).toEqual(new Set(["denied"]));
  expect(new Set(classes([3, 159, 202, 209, 210, 236, 241, 242, 243, 252, 319]))).toEqual(new Set(["unavailable"]));
  expect(new Set(classes([49, 1001, 987_654]))).toEqual(new Set(["unknown"]));
});

test("what is no exception of ClickHouse's never blames the data", () => {
  for (const error of [new Error("read ECONNRESET"), new TypeError("x"), "a string", null, exception(Number.NaN)]) {
    expect(classifyFailure(error)).toMatchObject({ class: "unavailable", code: null, schemaMissing: false });
  }
});

test("missing tables are unavailable, and ask for the schema", () => {
  expect(classifyFailure(exception(60))).toMatchObject({ class: "unavailable", schemaMissing: true });
  expect(classifyFailure(exception(81))).toMatchObject({ class: "unavailable", schemaMissing: true });
  expect(classifyFailure(exception(241)).schemaMissing).toBe(false);
});

test("rows that a view refuses are not refused rows: the table has them already", () => {
  const behindView =
    "Constraint `c` is violated at row 1: while pushing to view a.b_view: while pushing to view a.c_view. ";
  expect(classifyFailure(exception(469, behindView))).toMatchObject({ class: "unknown", code: 469 });
  expect(classifyFailure(exception(395, "thrown: while pushing to view default.mine")).class).toBe("unknown");
});

test("an event cannot pass for a view's failure by what it holds", () => {
  const quoted = "Constraint `c` is violated at row 1. Column values: value_string = ': while pushing to view a.b. '. ";
  expect(classifyFailure(exception(469, quoted)).class).toBe("rejected");
  expect(classifyFailure(exception(469, "x = ': while pushing to view a.b'. ")).class).toBe("rejected");
});

test("a pause grows to its cap and is anywhere below it", () => {
  for (let attempt = 1; attempt < 2_000; attempt++) {
    const most = backoffMs(attempt, () => 1);
    expect(most).toBeLessThanOrEqual(10_000);
    expect(most).toBeGreaterThanOrEqual(Math.min(10_000, 50 * 2 ** Math.min(attempt, 30)));
    expect(backoffMs(attempt, () => 0)).toBe(0);
  }
});
