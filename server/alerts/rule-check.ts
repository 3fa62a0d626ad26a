import { RE2JS, RE2JSException } from "re2js";
import { Compile } from "typebox/compile";
import {
  AlertsFile,
  Channel,
  PipelineCondition,
  Rule,
  Silence,
  SilentCondition,
  TextCondition,
  ValueCondition,
} from "../../contract/alerts.ts";
import { parseTime } from "../query/parameters.ts";
import { parseDuration } from "./evaluation/duration.ts";
import { isTimeZone } from "./muting/recurrence.ts";

/** What is wrong with a body: a JSON pointer into it, and words. */
export interface BodyFault {
  readonly path: string;
  readonly message: string;
}
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly BodyFault[] };

interface Schema {
  Check(value: unknown): boolean;
  Errors(value: unknown): Iterable<{ keyword: string; instancePath: string; message: string; params: unknown }>;
}

const schemas = {
  rule: Compile(Rule),
  channel: Compile(Channel),
  silence: Compile(Silence),
  file: Compile(AlertsFile),
  conditions: {
    value: Compile(ValueCondition),
    text: Compile(TextCondition),
    silent: Compile(SilentCondition),
    pipeline: Compile(PipelineCondition),
  } as const,
};

const windowMaxMs = 24 * 3_600_000;
const faultsMax = 20;

/** The faults that a schema finds, one a path. `unknown` names fields. */
export function schemaFaults(schema: Schema, value: unknown, prefix = ""): BodyFault[] {
  if (schema.Check(value)) return [];
  const faults = new Map<string, string>();
  const add = (path: string, message: string): void => {
    if (!faults.has(path) && faults.size < faultsMax) faults.set(path, message);
  };
  for (const { keyword, instancePath, message, params } of schema.Errors(value)) {
    const path = `${prefix}${instancePath}`;
    const names = params as {
      requiredProperties?: string[];
      additionalProperties?: string[];
      allowedValues?: unknown[];
    };
    if (keyword === "required")
      for (const name of names.requiredProperties ?? []) add(`${path}/${name}`, "is required");
    else if (keyword === "additionalProperties")
      for (const name of names.additionalProperties ?? []) add(`${path}/${name}`, "is not a field here");
    else if (keyword === "enum") add(path, `must be one of ${(names.allowedValues ?? []).join(", ")}`);
    else if (keyword === "pattern" && /duration|for$|after|window|wait|interval|repeat/.test(path))
      add(path, "must be a duration: 500ms, 30s, 5m, 1h, 7d");
    else if (keyword === "pattern" && path.endsWith("/by")) add(path, "must be device, fleet or meta.KEY");
    else if (keyword !== "boolean" && keyword !== "anyOf" && keyword !== "const") add(path, message);
  }
  if (faults.size === 0) add(prefix, "is not of the expected form");
  return [...faults].map(([path, message]) => ({ path, message }));
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The union says little of what is wrong, so a condition is checked by its kind. */
function conditionFaults(when: unknown, prefix: string): BodyFault[] {
  const kinds = Object.keys(schemas.conditions);
  const kind = isObject(when) ? kinds.find((each) => each === when.kind) : undefined;
  if (kind === undefined) return [{ path: `${prefix}/when/kind`, message: `must be one of ${kinds.join(", ")}` }];
  return schemaFaults(schemas.conditions[kind as keyof typeof schemas.conditions], when, `${prefix}/when`);
}

export function checkRule(value: unknown, prefix = ""): Checked<Rule> {
  const all = schemaFaults(schemas.rule, value, prefix);
  if (all.length > 0) {
    const hasCondition = isObject(value) && "when" in value;
    const own = all.filter(({ path }) => !(hasCondition && path.startsWith(`${prefix}/when`)) && path !== prefix);
    const faults = [...own, ...(hasCondition ? conditionFaults(value.when, prefix) : [])];
    return { ok: false, faults: faults.length > 0 ? faults : all };
  }
  const rule = value as Rule;
  const faults = ruleFaults(rule, prefix);
  return faults.length === 0 ? { ok: true, value: rule } : { ok: false, faults };
}

/** What the schema cannot say. */
function ruleFaults({ when }: Rule, prefix: string): BodyFault[] {
  const faults: BodyFault[] = [];
  const add = (field: string, message: string): void => {
    faults.push({ path: `${prefix}/when/${field}`, message });
  };
  if (when.kind === "value") {
    const { above, below, recover, window } = when;
    if (above === undefined && below === undefined) add("above", "above or below is required");
    if (above !== undefined && below !== undefined) {
      if (below > above) add("below", "must not be greater than above: every value would be outside");
      if (recover !== undefined)
        add("recover", "cannot be told which of above and below it belongs to; make two rules");
    } else if (recover !== undefined) {
      if (above !== undefined && recover > above) add("recover", "must not be greater than above");
      if (below !== undefined && recover < below) add("recover", "must not be less than below");
    }
    const windowMs = window === undefined ? undefined : parseDuration(window);
    if (windowMs !== undefined && (windowMs < 1_000 || windowMs > windowMaxMs)) add("window", "must be from 1s to 1d");
  }
  if (when.kind === "text") {
    if (when.equals === undefined && when.matches === undefined) add("equals", "equals or matches is required");
    const reason = when.matches === undefined ? undefined : patternFault(when.matches);
    if (reason !== undefined) add("matches", reason);
  }
  if (when.kind === "silent" && when.after !== undefined && (parseDuration(when.after) ?? 0) < 1_000)
    add("after", "must be at least 1s");
  return faults;
}

function patternFault(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof RE2JSException) return `is not an RE2 pattern: ${error.message}`;
    throw error;
  }
}

export function checkChannel(value: unknown, prefix = ""): Checked<Channel> {
  const faults = schemaFaults(schemas.channel, value, prefix);
  if (faults.length > 0) return { ok: false, faults };
  const channel = value as Channel;
  const add = (field: string, message: string): void => {
    faults.push({ path: `${prefix}/${field}`, message });
  };
  const needsUrl = channel.kind !== "email" && channel.kind !== "web_push";
  if (needsUrl && channel.url === undefined) add("url", `is required for ${channel.kind}`);
  if (!needsUrl && channel.url !== undefined) add("url", `is not a field of ${channel.kind}`);
  if (channel.url !== undefined && !URL.canParse(channel.url)) add("url", "is not a URL");
  if (channel.kind === "email" && !isAddressList(channel.to))
    add("to", "must be e-mail addresses, separated by commas");
  if (channel.kind !== "email" && channel.to !== undefined) add("to", `is not a field of ${channel.kind}`);
  if (channel.kind === "webhook" && channel.secret !== undefined && !isWebhookSecret(channel.secret))
    add("secret", "must be whsec_ and 24 to 64 bytes in base64; leave it out to have one made");
  return faults.length === 0 ? { ok: true, value: channel } : { ok: false, faults };
}

function isAddressList(text: string | undefined): boolean {
  const addresses = (text ?? "").split(",").map((each) => each.trim());
  return addresses.every((each) => /^[^\s@,<>"]{1,64}@[^\s@,<>"]{1,255}$/.test(each));
}

function isWebhookSecret(secret: string): boolean {
  if (!/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret)) return false;
  const { length } = Buffer.from(secret.slice("whsec_".length), "base64");
  return length >= 24 && length <= 64;
}

export function checkSilence(value: unknown, prefix = ""): Checked<Silence> {
  const faults = schemaFaults(schemas.silence, value, prefix);
  if (faults.length > 0) return { ok: false, faults };
  const silence = value as Silence;
  const fromMs = silence.from === undefined ? 0 : parseTime(silence.from);
  const toMs = parseTime(silence.to);
  const add = (field: string, message: string): void => {
    faults.push({ path: `${prefix}/${field}`, message });
  };
  if (fromMs === undefined) add("from", "must be an ISO 8601 time");
  if (toMs === undefined) add("to", "must be an ISO 8601 time");
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) add("to", "must be after from");
  const { repeats } = silence;
  if (repeats?.time_zone !== undefined && !isTimeZone(repeats.time_zone))
    add("repeats/time_zone", "is not a time zone of the IANA database");
  if (repeats !== undefined && (parseDuration(repeats.duration) ?? 0) > 7 * 86_400_000)
    add("repeats/duration", "must be at most 7d");
  return faults.length === 0 ? { ok: true, value: silence } : { ok: false, faults };
}

/** ALERTS_FILE, whole: one fault and nothing of it is used. */
export function checkAlertsFile(value: unknown): Checked<AlertsFile> {
  if (!isObject(value)) return { ok: false, faults: [{ path: "", message: "must be an object" }] };
  const faults: BodyFault[] = [];
  const each = (
    field: "rules" | "channels" | "silences",
    check: (item: unknown, prefix: string) => Checked<unknown>,
  ) => {
    const list = value[field];
    if (list === undefined) return;
    if (!Array.isArray(list)) {
      faults.push({ path: `/${field}`, message: "must be an array" });
      return;
    }
    for (const [index, item] of list.entries()) {
      const checked = check(item, `/${field}/${index}`);
      if (!checked.ok) faults.push(...checked.faults);
    }
    if (field === "silences") return;
    const names = list.map((item: unknown) => (isObject(item) ? item.name : undefined));
    const twice = names.find((name, index) => name !== undefined && names.indexOf(name) !== index);
    if (twice !== undefined) faults.push({ path: `/${field}`, message: `the name ${String(twice)} is there twice` });
  };
  each("rules", checkRule);
  each("channels", checkChannel);
  each("silences", checkSilence);
  const known = ["rules", "channels", "silences"];
  for (const name of Object.keys(value))
    if (!known.includes(name)) faults.push({ path: `/${name}`, message: "is not a field here" });
  if (faults.length > 0) return { ok: false, faults };
  const left = schemaFaults(schemas.file, value);
  return left.length > 0 ? { ok: false, faults: left } : { ok: true, value: value as AlertsFile };
}
