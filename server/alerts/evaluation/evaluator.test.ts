import { describe, expect, test } from "bun:test";
import type { Condition, Rule } from "../../../contract/alerts.ts";
import { hashDeviceId } from "../../../contract/row.ts";
import { compileRule } from "./compiled-rule.ts";
import { Evaluator } from "./evaluator.ts";

const startMs = Date.UTC(2026, 0, 1);
const s = (seconds: number): number => startMs + seconds * 1000;

function setUp(when: Condition, more: Partial<Rule> = {}) {
  const log: string[] = [];
  const evaluator = new Evaluator({
    onTransition: ({ series, from, to, atMs, value }) =>
      log.push(`${(atMs - startMs) / 1000} ${series.deviceId ?? series.group ?? "*"} ${from}>${to} ${value}`),
    metadataOf: () => undefined,
  });
  const rule = compileRule("r", { name: "rule", severity: "warning", when, ...more });
  evaluator.setRules([rule], startMs);
  const send = (
    at: number,
    value: number | string,
    options: { device?: string; received?: number; meta?: Record<string, string> } = {},
  ) => {
    const deviceId = options.device ?? "d";
    const type = evaluator.typeRules("t");
    if (type === undefined) throw new Error("no rule");
    const [a, b] = hashDeviceId(deviceId);
    const subject = evaluator.subject(type, a, b, () => ({ deviceId, metadata: options.meta ?? {} }));
    const receivedMs = s(options.received ?? at);
    evaluator.advance(receivedMs - 1);
    const isText = typeof value === "string";
    evaluator.observe(subject, s(at), receivedMs, isText ? Number.NaN : value, isText ? value : null);
  };
  return { evaluator, rule, log, send, to: (at: number) => evaluator.advance(s(at)) };
}

const last = (more: object = {}): Condition => ({
  kind: "value",
  event_type: "t",
  measure: "last",
  above: 10,
  ...more,
});

describe("the newest value", () => {
  test("touching the threshold exactly is not above it", () => {
    const { send, log } = setUp(last());
    send(0, 10);
    send(1, 10.000001);
    send(2, 10);
    expect(log).toEqual(["1 d inactive>firing 10.000001", "2 d firing>resolved 10"]);
  });

  test("fires when it has held for the time, by the clock, without another event", () => {
    const { send, log, to } = setUp(last(), { for: "30s" });
    send(0, 11);
    to(29.9);
    expect(log).toEqual(["0 d inactive>pending 11"]);
    to(30);
    expect(log[1]).toBe("30 d pending>firing 11");
  });

  test("a good value before the time ends the waiting; at that very moment, too", () => {
    const { send, log } = setUp(last(), { for: "30s" });
    send(0, 11);
    send(30, 9);
    send(40, 12);
    send(70, 12);
    expect(log).toEqual([
      "0 d inactive>pending 11",
      "30 d pending>inactive 9",
      "40 d inactive>pending 12",
      "70 d pending>firing 12",
    ]);
  });

  test("keeps firing for a time, and goes on firing when it is bad again", () => {
    const { send, log, to } = setUp(last(), { keep_firing_for: "20s" });
    send(0, 11);
    send(5, 1);
    send(10, 11);
    send(15, 1);
    to(100);
    expect(log.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "0 d inactive>firing",
      "5 d firing>recovering",
      "10 d recovering>firing",
      "15 d firing>recovering",
      "35 d recovering>resolved",
    ]);
  });

  test("with a recovery threshold it comes back further than it went", () => {
    const { send, log } = setUp(last({ recover: 5 }));
    for (const [at, value] of [11, 9, 6, 5.1, 11, 5, 9, 10].entries()) send(at, value);
    expect(log).toEqual(["0 d inactive>firing 11", "5 d firing>resolved 5"]);
  });

  test("a late event that is older than what is known changes nothing", () => {
    const { send, log } = setUp(last());
    send(10, 1);
    send(5, 99, { received: 11 });
    expect(log).toEqual([]);
  });

  test("a burst that comes hours late gets the alarms that it would have got, at its own times", () => {
    const { send, log, to } = setUp(last(), { for: "30s" });
    const received = 7200;
    for (const at of [0, 10, 20]) send(at, 11, { received });
    send(25, 1, { received });
    for (const at of [30, 40, 50, 60]) send(at, 11, { received });
    send(61, 1, { received });
    to(9000);
    expect(log.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "0 d inactive>pending",
      "25 d pending>inactive",
      "30 d inactive>pending",
      "60 d pending>firing",
      "61 d firing>resolved",
    ]);
  });

  test("a device that falls silent does not end its alarm: it is stale, until a value says more", () => {
    const { send, log, to } = setUp(last());
    send(0, 11);
    to(299);
    expect(log).toHaveLength(1);
    to(301);
    send(1000, 12);
    send(1001, 2);
    expect(log.slice(1)).toEqual(["300 d firing>stale 11", "1000 d stale>firing 12", "1001 d firing>resolved 2"]);
  });

  test("a device that reports each ten minutes is not stale between two reports", () => {
    const { send, log, to } = setUp(last());
    for (const at of [0, 600, 1200]) send(at, 1);
    send(1800, 11);
    to(1800 + 2999);
    expect(log).toHaveLength(1);
    to(1800 + 3000);
    expect(log).toHaveLength(2);
  });
});

describe("windows", () => {
  test("an average goes by the events' time and lets go of old ones by the clock", () => {
    const { send, log, to } = setUp({ kind: "value", event_type: "t", measure: "avg", window: "1m", above: 10 });
    send(0, 20);
    send(30, 2);
    send(40, 2);
    to(59);
    expect(log).toEqual(
      ["0 d inactive>firing 20", "30 d firing>resolved 11"].slice(0, 1).concat("40 d firing>resolved 8"),
    );
    send(45, 40);
    to(200);
    expect(log.slice(2)).toEqual(["45 d inactive>firing 16", "105 d firing>stale 40"]);
  });

  test("out-of-order events count where they belong", () => {
    const { send, log } = setUp({ kind: "value", event_type: "t", measure: "count", window: "1m", above: 3 });
    send(100, 1);
    send(50, 1, { received: 101 });
    send(39, 1, { received: 102 });
    send(41, 1, { received: 103 });
    expect(log).toEqual([]);
    send(101, 1, { received: 103 });
    // 41, 50, 100 and 101 lie in the minute before 101.
    expect(log).toEqual([]);
    send(100.5, 1, { received: 103 });
    expect(log).toEqual(["101 d inactive>firing 4"]);
  });

  test("too few events: not before the window is full, and nothing at all counts as none", () => {
    const { send, log, to } = setUp({ kind: "value", event_type: "t", measure: "count", window: "10s", below: 2 });
    send(0, 1);
    to(9);
    expect(log).toEqual([]);
    to(11);
    expect(log).toEqual(["10 d inactive>firing 0"]);
    send(20, 1);
    send(21, 1);
    to(25);
    expect(log[1]).toBe("21 d firing>resolved 2");
  });

  test("a quantile is decided by rank, exactly", () => {
    const { send, log } = setUp({ kind: "value", event_type: "t", measure: "p95", window: "10m", above: 10 });
    for (let at = 0; at < 95; at++) send(at, 10);
    for (let at = 95; at < 100; at++) send(at, 11);
    expect(log).toEqual([]);
    send(100, 11);
    expect(log).toEqual(["100 d inactive>firing 11"]);
  });

  test("the fleet's window goes by the server's clock, whatever a device's says", () => {
    const { send, log } = setUp({
      kind: "value",
      event_type: "t",
      measure: "count",
      window: "1m",
      by: "fleet",
      above: 2,
    });
    send(240, 1, { device: "ahead", received: 0 });
    send(1, 1, { device: "b" });
    send(2, 1, { device: "c" });
    expect(log).toEqual(["2 * inactive>firing 3"]);
  });

  test("groups by metadata; a device without the key is in none", () => {
    const { send, log } = setUp({ kind: "value", event_type: "t", measure: "sum", by: "meta.site", above: 5 });
    send(0, 3, { device: "a", meta: { site: "x" } });
    send(1, 3, { device: "b", meta: { site: "y" } });
    send(2, 9, { device: "c" });
    send(3, 3, { device: "d", meta: { site: "x" } });
    expect(log).toEqual(["3 x inactive>firing 6"]);
  });
});

describe("texts and selection", () => {
  test("equals and matches", () => {
    const { send, log } = setUp({ kind: "text", event_type: "t", equals: "down", matches: "^ERR \\d+" });
    for (const [at, text] of ["up", "down", "ERR x", "ERR 42"].entries()) send(at, text);
    expect(log).toEqual(["1 d inactive>firing down", "2 d firing>resolved ERR x", "3 d inactive>firing ERR 42"]);
  });

  test("only devices with the prefix and the metadata are watched", () => {
    const { send, log, evaluator } = setUp(last(), { devices: { prefix: "s1-", meta: { site: "x" } } });
    send(0, 11, { device: "s1-a", meta: { site: "x" } });
    send(0, 11, { device: "s1-b", meta: { site: "y" } });
    send(0, 11, { device: "s2-a", meta: { site: "x" } });
    expect(log).toEqual(["0 s1-a inactive>firing 11"]);
    expect(evaluator.seriesCount).toBe(1);
  });
});

test("a rule whose meaning changes ends its alarms; a new name alone does not", () => {
  const { send, log, evaluator, rule } = setUp(last());
  send(0, 11);
  evaluator.setRules([compileRule("r", { ...rule.rule, name: "other" })], s(1));
  expect(log).toHaveLength(1);
  send(2, 12);
  expect(log).toHaveLength(1);
  evaluator.setRules([compileRule("r", { ...rule.rule, when: last({ above: 20 }) })], s(3));
  expect(log[1]).toBe("3 d firing>resolved 12");
  send(4, 12);
  expect(log).toHaveLength(2);
});

test("at its limit of series it says how many it leaves out, and makes room when devices have gone", () => {
  const evaluator = new Evaluator({ onTransition: () => undefined, metadataOf: () => undefined }, { seriesMax: 2 });
  evaluator.setRules([compileRule("r", { name: "n", severity: "info", when: last() })], startMs);
  const type = evaluator.typeRules("t");
  if (type === undefined) throw new Error("no rule");
  const subject = (deviceId: string) =>
    evaluator.subject(type, ...hashDeviceId(deviceId), () => ({ deviceId, metadata: {} }));
  for (const name of ["a", "b", "c"]) evaluator.observe(subject(name), s(0), s(0), 1, null);
  expect([evaluator.seriesOf("r"), evaluator.skippedOf("r")]).toEqual([2, 1]);
  evaluator.observe(subject("a"), s(100), s(100), 1, null);
  expect(evaluator.forget(s(50))).toBe(1);
  evaluator.observe(subject("c"), s(101), s(101), 1, null);
  expect([evaluator.seriesOf("r"), evaluator.skippedOf("r")]).toEqual([2, 0]);
});

test("waiting goes on where it was after a time in which nothing could be heard", () => {
  const before = setUp(last(), { for: "30s" });
  before.send(0, 11);
  const series = before.evaluator.find("r/d/d");
  if (series === undefined) throw new Error("no series");
  const after = setUp(last(), { for: "30s" });
  after.evaluator.restore("r", "d", null, { ...series.record(), pausedMs: 100_000 });
  after.to(129);
  expect(after.log).toEqual([]);
  after.to(131);
  expect(after.log).toEqual(["130 d pending>firing 11"]);
});
