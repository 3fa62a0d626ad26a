import { RE2JS } from "re2js";
import type { Measure, Rule, Severity, Signal } from "../../../contract/alerts.ts";
import { parseDuration } from "./duration.ts";
import type { Thresholds } from "./event-window.ts";
import type { Timing } from "./phase.ts";

export interface ValueTest {
  readonly kind: "value";
  readonly eventType: string;
  readonly measure: Measure;
  /** Of `last`: for how long a value stands when nothing follows; null: see `series.ts`. */
  readonly windowMs: number | null;
  readonly by: Grouping;
  readonly thresholds: Thresholds;
}
export interface TextTest {
  readonly kind: "text";
  readonly eventType: string;
  readonly by: Grouping;
  isBad(text: string): boolean;
}
export interface SilentTest {
  readonly kind: "silent";
  readonly afterMs: number | null;
  readonly intervals: number | null;
}
export interface PipelineTest {
  readonly kind: "pipeline";
  readonly signal: Signal;
  readonly above: number;
}

/** A series for each device, one for all, or one for each value of a metadata key. */
export type Grouping =
  | { readonly by: "device" }
  | { readonly by: "fleet" }
  | { readonly by: "meta"; readonly key: string };

export interface CompiledRule {
  readonly id: string;
  readonly rule: Rule;
  readonly name: string;
  readonly severity: Severity;
  readonly timing: Timing;
  readonly test: ValueTest | TextTest | SilentTest | PipelineTest;
  readonly prefix: string | null;
  readonly meta: readonly (readonly [key: string, value: string])[];
  /** Differs when instances of the rule before mean something else now. */
  readonly meaning: string;
}

const defaultWindowMs = 60_000;
const defaultIntervals = 5;

/** Of a rule that `checkRule` has found sound. */
export function compileRule(id: string, rule: Rule): CompiledRule {
  const { when, devices } = rule;
  return {
    id,
    rule,
    name: rule.name,
    severity: rule.severity,
    timing: { forMs: durationOf(rule.for) ?? 0, keepMs: durationOf(rule.keep_firing_for) ?? 0 },
    test: compileTest(when),
    prefix: devices?.prefix ?? null,
    meta: Object.entries(devices?.meta ?? {}),
    meaning: JSON.stringify([when, devices ?? {}, rule.for ?? "", rule.keep_firing_for ?? ""]),
  };
}

export function selects(rule: CompiledRule, deviceId: string, metadata: Readonly<Record<string, string>>): boolean {
  if (rule.prefix !== null && !deviceId.startsWith(rule.prefix)) return false;
  return rule.meta.every(([key, value]) => metadata[key] === value);
}

const durationOf = (text: string | undefined): number | null =>
  text === undefined ? null : (parseDuration(text) ?? null);

function compileTest(when: Rule["when"]): CompiledRule["test"] {
  switch (when.kind) {
    case "value": {
      const windowMs = durationOf(when.window);
      return {
        kind: "value",
        eventType: when.event_type,
        measure: when.measure,
        windowMs: windowMs ?? (when.measure === "last" ? null : defaultWindowMs),
        by: groupingOf(when.by ?? "device"),
        thresholds: thresholdsOf(when.above, when.below, when.recover),
      };
    }
    case "text": {
      const { equals, matches } = when;
      const pattern = matches === undefined ? null : RE2JS.compile(matches);
      const isBad = (text: string): boolean =>
        (equals !== undefined && text === equals) || (pattern?.matcher(text).find() ?? false);
      return { kind: "text", eventType: when.event_type, by: { by: "device" }, isBad };
    }
    case "silent": {
      const afterMs = durationOf(when.after);
      const intervals = when.intervals ?? (afterMs === null ? defaultIntervals : null);
      return { kind: "silent", afterMs, intervals };
    }
    case "pipeline":
      return { kind: "pipeline", signal: when.signal, above: when.above ?? 0 };
  }
}

function groupingOf(by: string): Grouping {
  if (by === "device" || by === "fleet") return { by };
  return { by: "meta", key: by.slice("meta.".length) };
}

function thresholdsOf(above: number | undefined, below: number | undefined, recover: number | undefined): Thresholds {
  return {
    above: above ?? Number.POSITIVE_INFINITY,
    recoverAbove: above === undefined ? Number.POSITIVE_INFINITY : (recover ?? above),
    below: below ?? Number.NEGATIVE_INFINITY,
    recoverBelow: below === undefined ? Number.NEGATIVE_INFINITY : (recover ?? below),
  };
}
