import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Condition } from "../../contract/alerts.ts";
import { hashDeviceId } from "../../contract/row.ts";
import { compileRule } from "./evaluation/compiled-rule.ts";
import { Evaluator } from "./evaluation/evaluator.ts";
import { passed } from "./evaluation/subject-table.ts";
import { EventTap } from "./event-tap.ts";

const startMs = Date.UTC(2026, 0, 1);
const hot: Condition = { kind: "value", event_type: "t", measure: "last", above: 10, recover: 5 };
const cold: Condition = { kind: "value", event_type: "t", measure: "last", below: 1 };

interface Step {
  readonly device: number;
  readonly atMs: number;
  readonly value: number;
}
interface Frame {
  readonly steps: readonly Step[];
  readonly isDurable: boolean;
  readonly isRewound: boolean;
}

const createEvaluator = (log: string[]): Evaluator => {
  const evaluator = new Evaluator({
    metadataOf: () => undefined,
    onTransition: ({ series, from, to, atMs }) => log.push(`${series.key} ${from}>${to} ${atMs - startMs}`),
  });
  evaluator.setRules(
    [
      compileRule("hot", { name: "hot", severity: "info", for: "2s", when: hot }),
      compileRule("cold", { name: "cold", severity: "info", when: cold }),
    ],
    startMs,
  );
  return evaluator;
};

/** As `Staging` does it. */
function stage(tap: EventTap, { device, atMs, value }: Step): void {
  const deviceId = `d${device}`;
  const [hashA, hashB] = hashDeviceId(deviceId);
  const rules = tap.typeRules(1, "t");
  if (rules === undefined) throw new Error("no rules");
  const { subjects } = rules;
  const isQuiet = value >= rules.quietFrom && value <= rules.quietTo;
  const slot = isQuiet ? subjects.passQuietly(hashA, hashB, startMs + atMs) : subjects.locate(hashA, hashB);
  if (slot === passed) return;
  const subject = slot === -1 ? tap.introduce(rules, hashA, hashB, deviceId, {}) : subjects.at(slot);
  if (subject !== undefined) tap.push(rules, subject, startMs + atMs, value, null);
}

test("passing quiet events by changes no decision: as if every durable event had been looked at", () => {
  const step = fc.record({
    device: fc.nat(3),
    atMs: fc.nat(20).map((second) => second * 500),
    value: fc.constantFrom(0, 1, 4, 5, 6, 10, 11),
  });
  const frames = fc.array(
    fc.record({
      steps: fc.array(step, { minLength: 1, maxLength: 6 }),
      isDurable: fc.constant(true),
      isRewound: fc.constant(false),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(frames, fc.nat(4), (list, lag) => {
      const [tapped, direct]: [string[], string[]] = [[], []];
      const evaluator = createEvaluator(tapped);
      const tap = new EventTap(evaluator, { subjectsMax: 100, onError: (error) => expect(error).toBeUndefined() });
      expect(tap.active).toBe(true);
      const oracle = createEvaluator(direct);
      const rules = oracle.typeRules("t");
      if (rules === undefined) throw new Error("no rules");
      const waiting: number[] = [];
      for (const { steps } of list) {
        for (const each of steps) stage(tap, each);
        tap.committed(steps.length, startMs + 20_000);
        waiting.push(steps.length);
        if (waiting.length > lag) tap.settled(waiting.shift() as number, true);
        for (const { device, atMs, value } of steps) {
          const deviceId = `d${device}`;
          const subject = oracle.subject(rules, ...hashDeviceId(deviceId), () => ({ deviceId, metadata: {} }));
          oracle.observe(subject, startMs + atMs, startMs + 20_000, value, null);
        }
      }
      for (const rows of waiting) tap.settled(rows, true);
      expect(tapped.sort()).toEqual(direct.sort());
    }),
    { numRuns: 500 },
  );
});

test("what the journal refused, and what was rolled back, is decided on by nobody", () => {
  const log: string[] = [];
  const tap = new EventTap(createEvaluator(log), { subjectsMax: 100, onError: () => undefined });
  expect(tap.active).toBe(true);
  const frame = ({ steps, isDurable, isRewound }: Frame): void => {
    for (const each of steps) stage(tap, each);
    if (isRewound) {
      tap.rewind();
      return;
    }
    tap.committed(steps.length, startMs);
    tap.settled(steps.length, isDurable);
  };
  const bad = (device: number): Step => ({ device, atMs: 0, value: 0 });
  frame({ steps: [bad(1)], isDurable: true, isRewound: true });
  frame({ steps: [bad(2)], isDurable: false, isRewound: false });
  frame({ steps: [bad(3)], isDurable: true, isRewound: false });
  expect(log).toEqual(["cold/d/d3 inactive>firing 0"]);
});

test("events that are held back are decided on in their order, once they are released", () => {
  const log: string[] = [];
  const tap = new EventTap(createEvaluator(log), { subjectsMax: 100, onError: () => undefined });
  expect(tap.active).toBe(true);
  tap.hold();
  for (const [atMs, value] of [0, 3].entries()) {
    stage(tap, { device: 1, atMs, value });
    tap.committed(1, startMs);
    tap.settled(1, true);
  }
  stage(tap, { device: 2, atMs: 0, value: 0 });
  tap.committed(1, startMs);
  tap.settled(1, false);
  expect(log).toEqual([]);
  tap.release();
  expect(log).toEqual(["cold/d/d1 inactive>firing 0", "cold/d/d1 firing>resolved 1"]);
});
