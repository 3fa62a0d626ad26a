import type { Rule } from "../../contract/alerts.ts";

export interface MessageSubject {
  readonly rule: Rule;
  readonly deviceId: string | null;
  readonly group: string | null;
  readonly value: number | string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

const placeholder = /\{\{\s*([^{}]{1,300}?)\s*\}\}/g;
const textMaxCharacters = 2_000;

export function valueText(value: number | string | null): string {
  if (value === null) return "nothing";
  if (typeof value === "string") return value;
  return String(Number(value.toPrecision(7)));
}

/** The rule's message with its placeholders filled in; without one, a sentence that says what is the case. */
export function messageText(subject: MessageSubject): string {
  const template = subject.rule.message;
  const text = template === undefined ? describe(subject) : fill(template, subject);
  return text.length > textMaxCharacters ? `${text.slice(0, textMaxCharacters - 1)}…` : text;
}

/** A placeholder that means nothing for this alert is empty; one that nobody knows stays as it is. */
function fill(template: string, { rule, deviceId, group, value, metadata }: MessageSubject): string {
  return template.replace(placeholder, (whole, name: string) => {
    if (name.startsWith("meta.")) return metadata[name.slice("meta.".length)] ?? "";
    switch (name) {
      case "device_id":
        return deviceId ?? "";
      case "group":
        return group ?? "";
      case "value":
        return value === null ? "" : valueText(value);
      case "rule":
        return rule.name;
      case "severity":
        return rule.severity;
      default:
        return whole;
    }
  });
}

function describe({ rule, deviceId, group, value }: MessageSubject): string {
  const { when } = rule;
  const who = deviceId ?? group ?? "the fleet";
  switch (when.kind) {
    case "value": {
      const limits = [
        ...(when.above === undefined ? [] : [`above ${when.above}`]),
        ...(when.below === undefined ? [] : [`below ${when.below}`]),
      ].join(" or ");
      return `${who}: ${when.measure} of ${when.event_type} is ${valueText(value)} (alarm ${limits})`;
    }
    case "text":
      return `${who}: ${when.event_type} is “${valueText(value)}”`;
    case "silent":
      return typeof value === "number" ? `${who} has been silent for ${Math.round(value)} s` : `${who} is silent`;
    case "pipeline":
      return `${signalNames[when.signal]} is ${valueText(value)} (alarm above ${when.above ?? 0})`;
  }
}

const signalNames = {
  store_lag: "the age in seconds of the oldest event that is not stored",
  clickhouse: "ClickHouse being unavailable",
  dead_letters: "the number of dead letters in five minutes",
  journal_used: "the used share of the journal",
  refused: "the number of refused events in a minute",
} as const;
