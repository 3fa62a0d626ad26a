import type { AlertsFile, Channel, Rule, Silence } from "../../../contract/alerts.ts";
import { alertLimits } from "../../../contract/alerts.ts";
import { parseTime } from "../../query/parameters.ts";
import { type CompiledRule, compileRule } from "../evaluation/compiled-rule.ts";
import { fileId, randomId } from "../identity.ts";
import { createWebhookSecret } from "../notify/webhook-signature.ts";
import type { ChannelHealth, ChannelRecord, RuleRecord, SilenceRecord, Source } from "../state/records.ts";
import type { ChangeMaker } from "../state/repository.ts";
import type { RowChange } from "../state/rows.ts";

/** A change that is not made, and why; for the person who asked. */
export type Refused = {
  readonly ok: false;
  readonly code: "not_found" | "conflict" | "limit_reached";
  readonly message: string;
};
export type Outcome<T> = { readonly ok: true; readonly value: T; readonly changes: RowChange[] } | Refused;

const unused: ChannelHealth = { disabled: null, delivered: 0, dropped: 0, lastError: null, failing: false };

/**
 * Rules, channels and silences as they are in force, in memory. A change is decided here and returned as rows; the caller writes
 * them, and calls `apply` once they are durable.
 */
export class Registry {
  readonly #make: ChangeMaker;
  readonly rules = new Map<string, RuleRecord>();
  readonly channels = new Map<string, ChannelRecord>();
  readonly silences = new Map<string, SilenceRecord>();

  constructor(
    make: ChangeMaker,
    kept: { rules: readonly RuleRecord[]; channels: readonly ChannelRecord[]; silences: readonly SilenceRecord[] },
  ) {
    this.#make = make;
    for (const record of kept.rules) this.rules.set(record.id, record);
    for (const record of kept.channels) this.channels.set(record.id, record);
    for (const record of kept.silences) this.silences.set(record.id, record);
  }

  compiled(): CompiledRule[] {
    return [...this.rules.values()]
      .filter(({ rule }) => rule.enabled !== false)
      .map(({ id, rule }) => compileRule(id, rule));
  }

  putRule(id: string | null, rule: Rule, nowMs: number): Outcome<RuleRecord> {
    const before = id === null ? undefined : this.rules.get(id);
    const refused = this.#refusal(
      "rule",
      id,
      before,
      this.rules,
      rule.name,
      ({ rule: { name } }) => name,
      alertLimits.rules,
    );
    if (refused) return refused;
    const missing = (rule.channels ?? []).find(
      (name) => ![...this.channels.values()].some((each) => each.channel.name === name),
    );
    if (missing !== undefined)
      return { ok: false, code: "conflict", message: `channels: there is no channel ${missing}` };
    const record: RuleRecord = {
      id: before?.id ?? randomId("rule"),
      source: "api",
      rule,
      createdMs: before?.createdMs ?? nowMs,
      updatedMs: nowMs,
    };
    return { ok: true, value: record, changes: [this.#make.rule(record)] };
  }

  putChannel(id: string | null, channel: Channel, nowMs: number): Outcome<ChannelRecord> {
    const before = id === null ? undefined : this.channels.get(id);
    const refused = this.#refusal(
      "channel",
      id,
      before,
      this.channels,
      channel.name,
      (record) => record.channel.name,
      alertLimits.channels,
    );
    if (refused) return refused;
    // What is not said again stays: a secret is never read back, so nobody could repeat it.
    const secret = channel.secret ?? (before?.channel.kind === channel.kind ? before.channel.secret : undefined);
    const record: ChannelRecord = {
      id: before?.id ?? randomId("channel"),
      source: "api",
      channel: withSecret(channel, secret),
      createdMs: before?.createdMs ?? nowMs,
      updatedMs: nowMs,
      // Who saves a channel wants it to work again.
      health: before === undefined ? unused : { ...before.health, disabled: null, failing: false },
    };
    return { ok: true, value: record, changes: [this.#make.channel(record)] };
  }

  putSilence(silence: Silence, by: string, nowMs: number): Outcome<SilenceRecord> {
    if (this.silences.size >= alertLimits.silences)
      return { ok: false, code: "limit_reached", message: `there are ${alertLimits.silences} silences; end some` };
    const record = silenceRecord(randomId("silence"), "api", silence, by, nowMs);
    return { ok: true, value: record, changes: [this.#make.silence(record)] };
  }

  remove(kind: "rule" | "channel" | "silence", id: string): Outcome<string> {
    const records = { rule: this.rules, channel: this.channels, silence: this.silences }[kind];
    const record = records.get(id);
    if (record === undefined) return { ok: false, code: "not_found", message: `there is no ${kind} ${id}` };
    if (record.source === "file") return fromFile(kind);
    if (kind === "channel") {
      const { name } = (record as ChannelRecord).channel;
      const user = [...this.rules.values()].find(({ rule }) => rule.channels?.includes(name));
      if (user !== undefined)
        return { ok: false, code: "conflict", message: `the rule ${user.rule.name} sends to ${name}; change it first` };
    }
    return { ok: true, value: id, changes: [{ table: tableOf[kind], remove: { id } }] };
  }

  /** Everything of the file in place of what was in it before. */
  replaceFile(file: AlertsFile, nowMs: number): Outcome<null> {
    const changes: RowChange[] = [];
    const rules = (file.rules ?? []).map((rule) => this.#fileRule(rule, nowMs));
    const channels = (file.channels ?? []).map((channel) => this.#fileChannel(channel, nowMs));
    const silences = (file.silences ?? []).map((silence) =>
      silenceRecord(fileId("silence", JSON.stringify(silence)), "file", silence, "ALERTS_FILE", nowMs),
    );
    const names = [...channels, ...[...this.channels.values()].filter(({ source }) => source === "api")].map(
      ({ channel }) => channel.name,
    );
    for (const { rule } of rules) {
      const missing = rule.channels?.find((name) => !names.includes(name));
      if (missing !== undefined)
        return {
          ok: false,
          code: "conflict",
          message: `the rule ${rule.name} names a channel ${missing} that does not exist`,
        };
    }
    const clash =
      clashOf(rules, this.rules, ({ rule }) => rule.name) ??
      clashOf(channels, this.channels, ({ channel }) => channel.name);
    if (clash !== undefined)
      return { ok: false, code: "conflict", message: `${clash} exists already, made over the API` };
    const staying = new Set([...rules, ...channels, ...silences].map(({ id }) => id));
    for (const [kind, records] of [
      ["rule", this.rules],
      ["channel", this.channels],
      ["silence", this.silences],
    ] as const)
      for (const { id, source } of records.values())
        if (source === "file" && !staying.has(id)) changes.push({ table: tableOf[kind], remove: { id } });
    for (const record of rules) changes.push(this.#make.rule(record));
    for (const record of channels) changes.push(this.#make.channel(record));
    for (const record of silences) changes.push(this.#make.silence(record));
    return { ok: true, value: null, changes };
  }

  /** Silences that ended long ago. */
  expired(nowMs: number): RowChange[] {
    return [...this.silences.values()]
      .filter(({ source, toMs }) => source === "api" && toMs < nowMs - 86_400_000)
      .map(({ id }) => ({ table: "alert_silences", remove: { id } }));
  }

  /** Rows that are durable now become what is in force. True when rules or channels are among them. */
  apply(changes: readonly RowChange[]): void {
    for (const change of changes) {
      const records = { alert_rules: this.rules, alert_channels: this.channels, alert_silences: this.silences }[
        change.table as "alert_rules"
      ] as Map<string, unknown> | undefined;
      if (records === undefined) continue;
      if ("put" in change) records.set(String(change.put.id), JSON.parse(String(change.put.body)));
      else if ("remove" in change) records.delete(String(change.remove.id));
    }
  }

  #refusal<T extends { readonly id: string; readonly source: Source }>(
    kind: "rule" | "channel",
    id: string | null,
    before: T | undefined,
    records: ReadonlyMap<string, T>,
    name: string,
    nameOf: (record: T) => string,
    max: number,
  ): Refused | undefined {
    if (id !== null && before === undefined)
      return { ok: false, code: "not_found", message: `there is no ${kind} ${id}` };
    if (before?.source === "file") return fromFile(kind);
    if (before === undefined && records.size >= max)
      return { ok: false, code: "limit_reached", message: `there are ${max} ${kind}s; remove one first` };
    const same = [...records.values()].find((record) => nameOf(record) === name && record.id !== before?.id);
    return same && { ok: false, code: "conflict", message: `name: there is a ${kind} ${name} already` };
  }

  #fileRule(rule: Rule, nowMs: number): RuleRecord {
    const id = fileId("rule", rule.name);
    const before = this.rules.get(id);
    const isSame = before !== undefined && JSON.stringify(before.rule) === JSON.stringify(rule);
    return {
      id,
      source: "file",
      rule,
      createdMs: before?.createdMs ?? nowMs,
      updatedMs: isSame ? before.updatedMs : nowMs,
    };
  }

  #fileChannel(channel: Channel, nowMs: number): ChannelRecord {
    const id = fileId("channel", channel.name);
    const before = this.channels.get(id);
    const kept = withSecret(channel, channel.secret ?? before?.channel.secret);
    const isSame = before !== undefined && JSON.stringify(before.channel) === JSON.stringify(kept);
    return {
      id,
      source: "file",
      channel: kept,
      createdMs: before?.createdMs ?? nowMs,
      updatedMs: isSame ? before.updatedMs : nowMs,
      health: isSame ? before.health : { ...(before?.health ?? unused), disabled: null },
    };
  }
}

const tableOf = { rule: "alert_rules", channel: "alert_channels", silence: "alert_silences" } as const;

const fromFile = (kind: string): Refused => ({
  ok: false,
  code: "conflict",
  message: `this ${kind} is from ALERTS_FILE; change the file and send SIGHUP`,
});

/** A webhook is always signed. */
function withSecret(channel: Channel, secret: string | undefined): Channel {
  const kept = secret ?? (channel.kind === "webhook" ? createWebhookSecret() : undefined);
  return kept === undefined ? channel : { ...channel, secret: kept };
}

function silenceRecord(id: string, source: Source, silence: Silence, createdBy: string, nowMs: number): SilenceRecord {
  const fromMs = silence.from === undefined ? nowMs : (parseTime(silence.from) ?? nowMs);
  return { id, source, silence, fromMs, toMs: parseTime(silence.to) ?? nowMs, createdMs: nowMs, createdBy };
}

function clashOf<T extends { readonly source: Source }>(
  given: readonly T[],
  known: ReadonlyMap<string, T>,
  nameOf: (record: T) => string,
): string | undefined {
  const taken = new Set([...known.values()].filter(({ source }) => source === "api").map(nameOf));
  return given.map(nameOf).find((name) => taken.has(name));
}
