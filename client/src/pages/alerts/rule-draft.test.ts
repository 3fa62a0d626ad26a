import { describe, expect, test } from "bun:test";
import { Compile } from "typebox/compile";
import { Rule } from "../../../../contract/alerts.ts";
import { describeCondition, draftOf, emptyDraft, readyMadeRules, ruleOf } from "./rule-draft.ts";

const check = Compile(Rule);

describe("a rule and its draft", () => {
  const rules: Rule[] = [
    ...readyMadeRules.map(({ rule }) => rule),
    {
      name: "Hot",
      severity: "critical",
      enabled: false,
      channels: ["pager"],
      for: "30s",
      keep_firing_for: "5m",
      runbook: "https://example.org/hot",
      devices: { prefix: "site1-", meta: { site: "Rotterdam 3" } },
      when: {
        kind: "value",
        event_type: "temperature",
        measure: "p95",
        window: "5m",
        by: "meta.site",
        below: -3.5,
        recover: 0,
      },
    },
    { name: "Door", severity: "info", when: { kind: "text", event_type: "door", matches: "^open" } },
  ];
  test.each(rules)("$name survives being edited", (rule) => {
    const result = ruleOf(draftOf(rule));
    if (!result.ok) throw new Error(`${result.field}: ${result.message}`);
    expect(result.rule).toEqual({ enabled: true, ...rule });
    expect(check.Check(result.rule)).toBe(true);
  });
  test.each([
    ["name", { name: " " }],
    ["eventType", { name: "x" }],
    ["threshold", { name: "x", eventType: "t", threshold: "warm" }],
    ["window", { name: "x", eventType: "t", threshold: "1", window: "5 minutes" }],
    ["recover", { name: "x", eventType: "t", threshold: "1", recover: "low" }],
    ["text", { name: "x", kind: "text", eventType: "t" }],
    ["intervals", { name: "x", kind: "silent", intervals: "", after: "" }],
    ["meta", { name: "x", eventType: "t", threshold: "1", meta: "site" }],
    ["for", { name: "x", eventType: "t", threshold: "1", for: "soon" }],
  ] as const)("names %s when it is what has to change", (field, change) => {
    const result = ruleOf({ ...emptyDraft, ...change });
    expect(result).toMatchObject({ ok: false, field });
  });
  test("a condition reads as a sentence", () => {
    expect(rules.map(({ when }) => describeCondition(when))).toEqual([
      "a device is silent for 1m and for 5 of its own intervals",
      "Write delay in seconds above 30",
      "ClickHouse unavailable",
      "Dead letters in five minutes above 0",
      "temperature: p95 over 5m below -3.5, by site",
      "door matches ^open",
    ]);
  });
});
