import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startTestEngine, type TestEngine } from "../testing/test-engine.ts";
import { conditionOf, createRetentionLookup, longestDays, parseRetentionRules, shortestDays } from "./retention.ts";

const rules = [
  { key: null, pattern: "debug*", days: 3 },
  { key: null, pattern: "*.raw", days: 10 },
  { key: null, pattern: "temp_1%", days: 20 },
  { key: null, pattern: "it's\\odd", days: 30 },
];

describe("retention by event type", () => {
  test("is read as written, and nothing else is", () => {
    expect(parseRetentionRules("debug*=3, temperature = 365,meta.site:lab-*=7,meta.a.b:c:d=8", 10_000)).toEqual([
      { key: null, pattern: "debug*", days: 3 },
      { key: null, pattern: "temperature", days: 365 },
      { key: "site", pattern: "lab-*", days: 7 },
      { key: "a.b", pattern: "c:d", days: 8 },
    ]);
    // Neither names a key and a value, so both are event types.
    expect(parseRetentionRules("meta.site=3,meta.:x=3", 10_000)?.map(({ key }) => key)).toEqual([null, null]);
    expect(parseRetentionRules("", 10_000)).toEqual([]);
    for (const wrong of ["debug", "debug=", "=3", "debug=0", "debug=10001", "debug=3d", "a=1,,b=2", "a=-1"]) {
      expect(parseRetentionRules(wrong, 10_000)).toBeUndefined();
    }
  });

  test("the first rule that fits decides", () => {
    const daysOf = createRetentionLookup({
      days: 90,
      rules: [{ key: null, pattern: "debug_keep", days: 100 }, ...rules],
    });
    expect(["debug_keep", "debug_x", "debug", "a.raw", "a.rawx", "temp_1%", "tempX1%", "other"].map(daysOf)).toEqual([
      100, 3, 3, 10, 90, 20, 90, 90,
    ]);
    expect([longestDays({ days: 90, rules }), shortestDays({ days: 90, rules })]).toEqual([90, 3]);
  });

  test("what metadata may keep longer is not past its time by its type", () => {
    const lab = { key: "site", pattern: "lab", days: 30 };
    const mixed = [{ ...rules[0], days: 3 }, lab, { key: null, pattern: "trace", days: 5 }] as const;
    const retention = { days: 20, rules: mixed.map((rule) => ({ key: null, pattern: "debug*", ...rule })) };
    expect(["debug.a", "trace", "other"].map(createRetentionLookup(retention))).toEqual([3, 30, 30]);
    expect([longestDays(retention), shortestDays(retention)]).toEqual([30, 3]);
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

  test("tell values of metadata apart, and a key that is absent from an empty value", async () => {
    const byMetadata = [
      { key: "si'te", pattern: "lab_*", days: 1 },
      { key: null, pattern: "debug", days: 2 },
      { key: "any", pattern: "*", days: 3 },
    ];
    const cases: readonly (readonly [type: string, metadata: string, days: number])[] = [
      ["debug", "map('si\\'te', 'lab_7')", 1],
      ["debug", "map('si\\'te', 'labX7')", 2],
      ["other", "map('any', '')", 3],
      ["other", "map('si\\'te', '')", 90],
      ["other", "CAST(map(), 'Map(String, String)')", 90],
    ];
    const branches = [...byMetadata.keys()].map((index) => `${conditionOf(byMetadata, index)}, ${index + 1}`);
    const rows = cases.map(([type, metadata]) => `SELECT '${type}' AS event_type, ${metadata} AS metadata`);
    const choice = `multiIf(${branches.join(", ")}, ${conditionOf(byMetadata, null)}, 90, 0)`;
    const queries = rows.map((row, index) => `SELECT ${index} AS i, ${choice} AS days FROM (${row})`);
    const answer = await engine.service(`SELECT days FROM (${queries.join(" UNION ALL ")}) ORDER BY i FORMAT TSV`);
    expect(answer.text.trim().split("\n").map(Number)).toEqual(cases.map(([, , days]) => days));
  });
});
