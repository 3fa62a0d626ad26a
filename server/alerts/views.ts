import {
  type Alert,
  type AlertState,
  type Alerts,
  type AlertsUpdate,
  alertLimits,
  type Severity,
  type StoredChannel,
  type StoredRule,
  type StoredSilence,
  type Transition,
} from "../../contract/alerts.ts";
import type { AlertCenter } from "./center/alert-center.ts";
import type { Series } from "./evaluation/series.ts";
import { alertId } from "./identity.ts";
import { isActive, type Mutes } from "./muting/muting.ts";
import type { ChannelRecord, RuleRecord, SilenceRecord, TransitionRecord } from "./state/records.ts";

/** What people read of the alerts. Times are ISO 8601. */

const iso = (ms: number): string => new Date(ms).toISOString();
const severityRank: Readonly<Record<Severity, number>> = { critical: 0, warning: 1, info: 2 };

export interface AlertFilter {
  readonly state?: AlertState | undefined;
  readonly severity?: Severity | undefined;
  /** Id or name. */
  readonly rule?: string | undefined;
  readonly deviceId?: string | undefined;
}

function viewAlert(center: AlertCenter, series: Series, mutes: Mutes): Alert {
  const { rule, deviceId, group, phase } = series;
  const acknowledgement = center.instances.acknowledgement(series);
  const labelled = center.instances.labelled(series);
  return {
    id: alertId(series.key, series.startedMs),
    rule_id: rule.id,
    rule: rule.name,
    severity: rule.severity,
    ...(deviceId === null ? {} : { device_id: deviceId }),
    ...(group === null ? {} : { group }),
    // Only those that are not at rest are viewed.
    state: phase as AlertState,
    since: iso(series.sinceMs),
    started_at: iso(series.startedMs),
    value: series.value,
    message: center.instances.message(series),
    ...(rule.rule.runbook === undefined ? {} : { runbook: rule.rule.runbook }),
    silenced: mutes.isMuted(labelled, rule.rule.inhibited_by ?? []),
    acknowledged:
      acknowledgement === null
        ? null
        : { at: iso(acknowledgement.atMs), by: acknowledgement.by, comment: acknowledgement.comment },
  };
}

/** Worst first, then the newest; pending ones last. */
function compare(a: Series, b: Series): number {
  const pending = Number(a.phase === "pending") - Number(b.phase === "pending");
  if (pending !== 0) return pending;
  const severity = severityRank[a.rule.severity] - severityRank[b.rule.severity];
  return severity !== 0 ? severity : b.startedMs - a.startedMs || (a.key < b.key ? -1 : 1);
}

function countBySeverity(list: readonly Series[]): Alerts["counts"] {
  const counts = { critical: 0, warning: 0, info: 0 };
  for (const { rule, phase } of list) if (phase !== "pending") counts[rule.severity]++;
  return counts;
}

export function viewAlerts(center: AlertCenter, filter: AlertFilter, offset: number, limit: number): Alerts {
  const list = [...center.evaluator.active()].filter(
    ({ rule, phase, deviceId }) =>
      (filter.state === undefined || phase === filter.state) &&
      (filter.severity === undefined || rule.severity === filter.severity) &&
      (filter.rule === undefined || rule.id === filter.rule || rule.name === filter.rule) &&
      (filter.deviceId === undefined || deviceId === filter.deviceId),
  );
  const mutes = center.mutes();
  const end = offset + limit;
  return {
    alerts: list
      .sort(compare)
      .slice(offset, end)
      .map((series) => viewAlert(center, series, mutes)),
    total: list.length,
    counts: countBySeverity(list),
    cursor: end < list.length ? String(end) : null,
  };
}

export function viewUpdate(center: AlertCenter): AlertsUpdate {
  const active = [...center.evaluator.active()];
  const firing = active.filter(({ phase }) => phase !== "pending");
  const mutes = center.mutes();
  const isMuted = (series: Series): boolean => {
    const inhibitors = series.rule.rule.inhibited_by ?? [];
    // Ten thousand alarms are looked at several times a second while they begin.
    if (!mutes.hasSilences && inhibitors.length === 0) return false;
    return mutes.isMuted(center.instances.labelled(series), inhibitors);
  };
  return {
    firing: firing
      .sort(compare)
      .slice(0, alertLimits.streamAlerts)
      .map((series) => viewAlert(center, series, mutes)),
    total: firing.length,
    pending: active.length - firing.length,
    silenced: firing.filter(isMuted).length,
    counts: countBySeverity(firing),
  };
}

export function viewRules(center: AlertCenter): StoredRule[] {
  const firing = new Map<string, number>();
  for (const { rule, phase } of center.evaluator.active())
    if (phase !== "pending") firing.set(rule.id, (firing.get(rule.id) ?? 0) + 1);
  return [...center.registry.rules.values()].map((record) => viewRule(center, record, firing.get(record.id) ?? 0));
}

export function viewRule(center: AlertCenter, record: RuleRecord, firing: number): StoredRule {
  const { id, source, rule, createdMs, updatedMs } = record;
  return {
    ...rule,
    id,
    source,
    created_at: iso(createdMs),
    updated_at: iso(updatedMs),
    firing,
    series: center.watchedBy(id),
    skipped_series: center.evaluator.skippedOf(id),
  };
}

export function viewChannel(center: AlertCenter, record: ChannelRecord, subscriptions: number): StoredChannel {
  const { id, source, channel, createdMs, updatedMs, health } = record;
  const { secret, ...shown } = channel;
  const next = center.postOffice.nextAttemptMs(id);
  const isOff = health.disabled !== null || channel.enabled === false;
  return {
    ...shown,
    id,
    source,
    created_at: iso(createdMs),
    updated_at: iso(updatedMs),
    has_secret: secret !== undefined,
    status: isOff ? "disabled" : health.failing ? "failing" : health.delivered > 0 ? "ok" : "unused",
    waiting: center.postOffice.waiting(id),
    delivered: health.delivered,
    dropped: health.dropped,
    last_error:
      health.lastError === null ? null : { at: iso(health.lastError.atMs), message: health.lastError.message },
    next_attempt_at: next === null || isOff ? null : iso(next),
    subscriptions: channel.kind === "web_push" ? subscriptions : 0,
  };
}

export function viewSilence(record: SilenceRecord, nowMs: number): StoredSilence {
  const { silence, source, id, fromMs, toMs, createdMs, createdBy } = record;
  return {
    ...silence,
    from: iso(fromMs),
    to: iso(toMs),
    comment: silence.comment ?? "",
    id,
    source,
    created_at: iso(createdMs),
    created_by: createdBy,
    active: isActive(record, nowMs),
  };
}

export function viewTransition(record: TransitionRecord): Transition {
  const { deviceId, group } = record;
  return {
    id: record.id,
    alert_id: record.alertId,
    at: iso(record.atMs),
    decided_at: iso(record.decidedMs),
    rule_id: record.ruleId,
    rule: record.rule,
    severity: record.severity,
    ...(deviceId === null ? {} : { device_id: deviceId }),
    ...(group === null ? {} : { group }),
    from: record.from,
    to: record.to,
    value: record.value,
    message: record.message,
  };
}
