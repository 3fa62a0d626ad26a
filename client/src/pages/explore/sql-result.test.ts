import { describe, expect, test } from "bun:test";
import type { SqlAnswer } from "../../../../contract/sql.ts";
import { sqlCsv, sqlSeries } from "./sql-result.ts";

const answer = (meta: [string, string][], data: unknown[][]): SqlAnswer => ({
  meta: meta.map(([name, type]) => ({ name, type })),
  data,
  rows: data.length,
  truncated: false,
  statistics: { elapsed: 0, rows_read: 0, bytes_read: 0 },
});

describe("what can be drawn", () => {
  test("a time and numbers, in the order of time, big integers as ClickHouse quotes them", () => {
    const drawn = sqlSeries(
      answer(
        [
          ["minute", "DateTime('UTC')"],
          ["n", "UInt64"],
          ["name", "String"],
          ["avg", "Nullable(Float64)"],
        ],
        [
          ["2026-01-01 00:01:00", "7", "x", null],
          ["2026-01-01 00:00:00", "5", "y", 1.5],
        ],
      ),
    );
    const start = Date.UTC(2026, 0, 1) / 1000;
    expect(drawn).toEqual({
      seconds: [start, start + 60],
      lines: [
        { name: "n", values: [5, 7] },
        { name: "avg", values: [1.5, null] },
      ],
    });
  });
  test("not without a time, not with the same time twice, not a single row", () => {
    expect(sqlSeries(answer([["n", "UInt8"]], [[1], [2]]))).toBeUndefined();
    const twice = [
      ["2026-01-01", 1],
      ["2026-01-01", 2],
    ];
    expect(
      sqlSeries(
        answer(
          [
            ["day", "Date"],
            ["n", "UInt8"],
          ],
          twice,
        ),
      ),
    ).toBeUndefined();
    expect(
      sqlSeries(
        answer(
          [
            ["day", "Date"],
            ["n", "UInt8"],
          ],
          [["2026-01-01", 1]],
        ),
      ),
    ).toBeUndefined();
  });
});

test("CSV quotes what has to be quoted, and runs no formula", () =>
  expect(
    sqlCsv(
      answer(
        [
          ["a,b", "String"],
          ["m", "Map(String, String)"],
        ],
        [["=1", { x: "y" }]],
      ),
    ),
  ).toBe('"a,b",m\r\n\'=1,"{""x"":""y""}"\r\n'));
