import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startTestEngine, type TestEngine } from "../testing/test-engine.ts";
import { conditionOf, createRetentionLookup, longestDays, parseRetentionRules, shortestDays } from "./retention.ts";

const rules = [
  { pattern: "debug*", days: 3 },
  { pattern: "*.raw", days: 10 },
  { pattern: "temp_1%", days: 20 },
  { pattern: "it's\\odd", days: 30 },
];

describe("retention by event type", () => {
  test("is read as written, and nothing else is", () => {
    expect(parseRetentionRules("debug*=3, temperature = 365", 10_000)).toEqual([
      { pattern: "debug*", days: 3 },
      { pattern: "temperature", days: 365 },
    ]);
    expect(parseRetentionRules("", 10_000)).toEqual([]);
    for (const wrong of ["debug", "debug=", "=3", "debug=0", "debug=10001", "debug=3d", "a=1,,b=2", "a=-1"]) {
      expect(parseRetentionRules(wrong, 10_000)).toBeUndefined();
    }
  });

  test("the first rule that fits decides", () => {
    const daysOf = createRetentionLookup({ days: 90, rules: [{ pattern: "debug_keep", days: 100 }, ...rules] });
    expect(["debug_keep", "debug_x", "debug", "a.raw", "a.rawx", "temp_1%", "tempX1%", "other"].map(daysOf)).toEqual([
      100, 3, 3, 10, 90, 20, 90, 90,
    ]);
    expect([longestDays({ days: 90, rules }), shortestDays({ days: 90, rules })]).toEqual([90, 3]);
  });
});

describe("its conditions", () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startTestEngine();
  }, 60_000);
  afterAll(() => engine.stop());

  test("part all types among the rules as the lookup does", async () => {
    const types = [
      "debug",
      "debug.raw",
      "xdebug",
      "a.raw",
      "temp_1%",
      "tempX1%",
      "temp_1",
      "it's\\odd",
      "its odd",
      "other\nline",
      "",
    ];
    const daysOf = createRetentionLookup({ days: 90, rules });
    const branches = [...rules.keys()].map((index) => `${conditionOf(rules, index)}, ${rules[index]?.days}`);
    const list = types.map((type) => `'${type.replace(/[\\']/g, "\\$&")}'`).join(", ");
    const sql = `SELECT multiIf(${branches.join(", ")}, ${conditionOf(rules, null)}, 90, 0) FROM (SELECT arrayJoin([${list}]) AS event_type) FORMAT TSV`;
    const answer = await engine.service(sql);
    expect(answer.text.trim().split("\n").map(Number)).toEqual(types.map(daysOf));
  });
});
