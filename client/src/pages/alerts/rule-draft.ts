import type { Condition, Measure, Rule, Severity, Signal } from "../../../../contract/alerts.ts";

/** A rule while it is edited: every field as the text that is in its input. */
export interface RuleDraft {
  name: string;
  severity: Severity;
  enabled: boolean;
  kind: Condition["kind"];
  eventType: string;
  measure: Measure;
  window: string;
  /** `device`, `fleet` or `meta.KEY`. */
  by: string;
  direction: "above" | "below";
  threshold: string;
  recover: string;
  textMatch: "equals" | "matches";
  text: string;
  after: string;
  intervals: string;
  signal: Signal;
  prefix: string;
  /** `site=Rotterdam, firmware=4.2` */
  meta: string;
  for: string;
  keepFiringFor: string;
  message: string;
  runbook: string;
  /** Undefined: every channel. */
  channels: string[] | undefined;
}

export const emptyDraft: RuleDraft = {
  name: "",
  severity: "warning",
  enabled: true,
  kind: "value",
  eventType: "",
  measure: "avg",
  window: "1m",
  by: "device",
  direction: "above",
  threshold: "",
  recover: "",
  textMatch: "equals",
  text: "",
  after: "",
  intervals: "5",
  signal: "store_lag",
  prefix: "",
  meta: "",
  for: "",
  keepFiringFor: "",
  message: "",
  runbook: "",
  channels: undefined,
};

export type DraftResult = { ok: true; rule: Rule } | { ok: false; field: keyof RuleDraft; message: string };

const refuse = (field: keyof RuleDraft, message: string): DraftResult => ({ ok: false, field, message });
const durationPattern = /^\d{1,9}(\.\d{1,3})?(ms|s|m|h|d)$/;

/** What the draft says, or the first field that has to change. The service checks again; this is for the moment of typing. */
export function ruleOf(draft: RuleDraft): DraftResult {
  if (draft.name.trim() === "") return refuse("name", "Give the rule a name.");
  for (const field of ["window", "after", "for", "keepFiringFor"] as const) {
    const applies = field === "window" ? draft.kind === "value" : field === "after" ? draft.kind === "silent" : true;
    if (applies && draft[field] !== "" && !durationPattern.test(draft[field]))
      return refuse(field, "Write a duration such as 30s, 5m or 1h.");
  }
  const when = conditionOf(draft);
  if ("ok" in when) return when;
  const meta = parsePairs(draft.meta);
  if (!meta) return refuse("meta", "Write pairs such as site=Rotterdam, firmware=4.2.");
  const devices = {
    ...(draft.prefix === "" ? {} : { prefix: draft.prefix }),
    ...(Object.keys(meta).length === 0 ? {} : { meta }),
  };
  return {
    ok: true,
    rule: {
      name: draft.name.trim(),
      severity: draft.severity,
      enabled: draft.enabled,
      ...(draft.channels ? { channels: draft.channels } : {}),
      ...(draft.message === "" ? {} : { message: draft.message }),
      ...(draft.runbook === "" ? {} : { runbook: draft.runbook }),
      ...(draft.for === "" ? {} : { for: draft.for }),
      ...(draft.keepFiringFor === "" ? {} : { keep_firing_for: draft.keepFiringFor }),
      ...(Object.keys(devices).length === 0 || draft.kind === "pipeline" ? {} : { devices }),
      when,
    },
  };
}

function conditionOf(draft: RuleDraft): Condition | DraftResult {
  const number = (field: "threshold" | "recover" | "intervals"): number | undefined =>
    draft[field].trim() === "" || !Number.isFinite(Number(draft[field])) ? undefined : Number(draft[field]);
  if (draft.kind === "silent") {
    const intervals = number("intervals");
    if (draft.after === "" && intervals === undefined)
      return refuse("intervals", "Say after how long, or after how many missed reports.");
    return {
      kind: "silent",
      ...(draft.after === "" ? {} : { after: draft.after }),
      ...(intervals === undefined ? {} : { intervals }),
    };
  }
  if (draft.kind === "pipeline") {
    const above = number("threshold");
    return { kind: "pipeline", signal: draft.signal, ...(above === undefined ? {} : { above }) };
  }
  if (draft.eventType === "") return refuse("eventType", "Choose an event type.");
  if (draft.kind === "text") {
    if (draft.text === "") return refuse("text", "Write the text to look for.");
    return { kind: "text", event_type: draft.eventType, [draft.textMatch]: draft.text };
  }
  const threshold = number("threshold");
  if (threshold === undefined) return refuse("threshold", "Write a number.");
  const recover = number("recover");
  if (draft.recover.trim() !== "" && recover === undefined) return refuse("recover", "Write a number.");
  return {
    kind: "value",
    event_type: draft.eventType,
    measure: draft.measure,
    ...(draft.measure === "last" || draft.window === "" ? {} : { window: draft.window }),
    by: draft.by,
    [draft.direction]: threshold,
    ...(recover === undefined ? {} : { recover }),
  };
}

/** `a=b, c=d` as a record; undefined where a pair has no equals sign. */
function parsePairs(text: string): Record<string, string> | undefined {
  const pairs = text
    .split(",")
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "");
  if (pairs.some((pair) => pair.indexOf("=") < 1)) return undefined;
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")).trim(), pair.slice(pair.indexOf("=") + 1).trim()]),
  );
}

export function draftOf(rule: Rule): RuleDraft {
  const { when } = rule;
  const meta = Object.entries(rule.devices?.meta ?? {}).map(([key, value]) => `${key}=${value}`);
  const draft: RuleDraft = {
    ...emptyDraft,
    name: rule.name,
    severity: rule.severity,
    enabled: rule.enabled ?? true,
    kind: when.kind,
    prefix: rule.devices?.prefix ?? "",
    meta: meta.join(", "),
    for: rule.for ?? "",
    keepFiringFor: rule.keep_firing_for ?? "",
    message: rule.message ?? "",
    runbook: rule.runbook ?? "",
    channels: rule.channels,
  };
  switch (when.kind) {
    case "value":
      return {
        ...draft,
        eventType: when.event_type,
        measure: when.measure,
        window: when.window ?? "1m",
        by: when.by ?? "device",
        direction: when.below === undefined ? "above" : "below",
        threshold: String(when.above ?? when.below ?? ""),
        recover: when.recover === undefined ? "" : String(when.recover),
      };
    case "text":
      return {
        ...draft,
        eventType: when.event_type,
        textMatch: when.matches === undefined ? "equals" : "matches",
        text: when.matches ?? when.equals ?? "",
      };
    case "silent":
      return {
        ...draft,
        after: when.after ?? "",
        intervals: when.intervals === undefined ? "" : String(when.intervals),
      };
    case "pipeline":
      return { ...draft, signal: when.signal, threshold: when.above === undefined ? "" : String(when.above) };
  }
}

/** The condition as a sentence, for lists. */
export function describeCondition(when: Condition): string {
  switch (when.kind) {
    case "value": {
      const over = when.measure === "last" ? "" : ` over ${when.window ?? "1m"}`;
      const by =
        when.by === "fleet" ? ", whole fleet" : when.by === "device" || !when.by ? "" : `, by ${when.by.slice(5)}`;
      const bound = when.below === undefined ? `above ${when.above}` : `below ${when.below}`;
      return `${when.event_type}: ${when.measure}${over} ${bound}${by}`;
    }
    case "text":
      return when.matches === undefined
        ? `${when.event_type} is “${when.equals}”`
        : `${when.event_type} matches ${when.matches}`;
    case "silent": {
      const parts = [
        ...(when.after ? [`for ${when.after}`] : []),
        ...(when.intervals ? [`for ${when.intervals} of its own intervals`] : []),
      ];
      return `a device is silent ${parts.join(" and ")}`.trim();
    }
    case "pipeline":
      return `${signalWords[when.signal]}${when.above === undefined ? "" : ` above ${when.above}`}`;
  }
}

export const signalWords: Record<Signal, string> = {
  store_lag: "Write delay in seconds",
  clickhouse: "ClickHouse unavailable",
  dead_letters: "Dead letters in five minutes",
  journal_used: "Share of the journal in use",
  refused: "Events refused in a minute",
};

/** Offered where there is no rule yet; each is a rule that nearly every fleet wants. */
export const readyMadeRules: readonly { title: string; text: string; rule: Rule }[] = [
  {
    title: "Silent device",
    text: "A device has missed five of its own reports.",
    rule: {
      name: "Silent device",
      severity: "warning",
      message: "{{device_id}} has stopped reporting",
      when: { kind: "silent", intervals: 5, after: "1m" },
    },
  },
  {
    title: "Write delay",
    text: "Events wait for more than 30 seconds to be stored.",
    rule: {
      name: "Write delay",
      severity: "warning",
      for: "30s",
      message: "Events have been waiting for {{value}} s",
      when: { kind: "pipeline", signal: "store_lag", above: 30 },
    },
  },
  {
    title: "ClickHouse unavailable",
    text: "ClickHouse has not answered for a minute.",
    rule: {
      name: "ClickHouse unavailable",
      severity: "critical",
      for: "1m",
      when: { kind: "pipeline", signal: "clickhouse" },
    },
  },
  {
    title: "Dead letters",
    text: "ClickHouse has refused rows.",
    rule: {
      name: "Dead letters",
      severity: "warning",
      message: "{{value}} rows were refused by ClickHouse",
      when: { kind: "pipeline", signal: "dead_letters", above: 0 },
    },
  },
];
