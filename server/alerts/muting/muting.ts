import type { Inhibitor, Matchers, Severity } from "../../../contract/alerts.ts";
import type { SilenceRecord } from "../state/records.ts";
import { isInRecurrence } from "./recurrence.ts";

/** What silences, inhibition and grouping look at. */
export interface Labelled {
  readonly rule: string;
  readonly severity: Severity;
  readonly deviceId: string | null;
  readonly group: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The value of a field as matchers and groupings name it; undefined: the alert has none. */
export function labelOf(alert: Labelled, field: string): string | undefined {
  switch (field) {
    case "rule":
      return alert.rule;
    case "severity":
      return alert.severity;
    case "device_id":
      return alert.deviceId ?? undefined;
    case "group":
      return alert.group ?? undefined;
    default:
      return alert.metadata[field.slice("meta.".length)];
  }
}

/** Every field has to match; `*` at the end of a value stands for anything. */
export function matches(matchers: Matchers, alert: Labelled): boolean {
  return Object.entries(matchers).every(([field, wanted]) => {
    const value = labelOf(alert, field);
    if (value === undefined) return false;
    return wanted.endsWith("*") ? value.startsWith(wanted.slice(0, -1)) : value === wanted;
  });
}

export function isActive({ silence, fromMs, toMs }: SilenceRecord, nowMs: number): boolean {
  if (nowMs < fromMs || nowMs >= toMs) return false;
  return silence.repeats === undefined || isInRecurrence(silence.repeats, nowMs);
}

/** Answers for one moment whether an alert is muted. Muting stops messages; it never changes a state. */
export interface Mutes {
  /** No silence is active now; rules may still inhibit. */
  readonly hasSilences: boolean;
  isMuted(alert: Labelled, inhibitors: readonly Inhibitor[]): boolean;
}

/** `firing`: every alert that fires now, which may inhibit others. */
export function createMutes(silences: Iterable<SilenceRecord>, firing: () => Iterable<Labelled>, nowMs: number): Mutes {
  const active = [...silences].filter((silence) => isActive(silence, nowMs));
  let byRule: Map<string, Labelled[]> | undefined;
  const sets = new Map<string, Set<string>>();

  function valuesOf({ rule, equal = [] }: Inhibitor): Set<string> {
    const name = JSON.stringify([rule, equal]);
    let values = sets.get(name);
    if (values === undefined) {
      byRule ??= Map.groupBy(firing(), (alert) => alert.rule);
      values = new Set((byRule.get(rule) ?? []).flatMap((alert) => keyOf(alert, equal) ?? []));
      sets.set(name, values);
    }
    return values;
  }

  return {
    hasSilences: active.length > 0,
    isMuted(alert, inhibitors) {
      if (active.some(({ silence }) => matches(silence.matchers, alert))) return true;
      return inhibitors.some((inhibitor) => {
        // An alert does not mute itself.
        if (inhibitor.rule === alert.rule) return false;
        const key = keyOf(alert, inhibitor.equal ?? []);
        return key !== undefined && valuesOf(inhibitor).has(key);
      });
    },
  };
}

function keyOf(alert: Labelled, fields: readonly string[]): string | undefined {
  const values = fields.map((field) => labelOf(alert, field));
  return values.includes(undefined) ? undefined : JSON.stringify(values);
}
