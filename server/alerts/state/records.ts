import type { AlertState, Channel, Rule, Severity, Silence } from "../../../contract/alerts.ts";
import type { SeriesRecord } from "../evaluation/series.ts";

/** Where it comes from; what comes from ALERTS_FILE changes with the file alone. */
export type Source = "api" | "file";

export interface RuleRecord {
  readonly id: string;
  readonly source: Source;
  readonly rule: Rule;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface ChannelRecord {
  readonly id: string;
  readonly source: Source;
  readonly channel: Channel;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly health: ChannelHealth;
}

export interface ChannelHealth {
  /** Why nothing is sent; null: it is. The receiver said that it is gone (410). */
  readonly disabled: string | null;
  readonly delivered: number;
  readonly dropped: number;
  readonly lastError: { readonly atMs: number; readonly message: string } | null;
  /** The newest attempt failed. */
  readonly failing: boolean;
}

export interface SilenceRecord {
  readonly id: string;
  readonly source: Source;
  readonly silence: Silence;
  readonly fromMs: number;
  readonly toMs: number;
  readonly createdMs: number;
  readonly createdBy: string;
}

export interface AcknowledgementRecord {
  readonly atMs: number;
  readonly by: string;
  readonly comment: string;
}

/** A series that is not at rest, or was not a while ago. */
export interface InstanceRecord extends SeriesRecord {
  readonly series: string;
  readonly ruleId: string;
  readonly deviceId: string | null;
  readonly group: string | null;
  /** Of the device when the alarm began. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly acknowledged: AcknowledgementRecord | null;
  readonly changedMs: number;
}

export interface TransitionRecord {
  readonly id: string;
  readonly alertId: string;
  readonly atMs: number;
  readonly decidedMs: number;
  readonly ruleId: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly deviceId: string | null;
  readonly group: string | null;
  readonly from: "inactive" | AlertState;
  readonly to: "inactive" | "resolved" | AlertState;
  readonly value: number | string | null;
  readonly message: string;
}

/** An alarm as a receiver is told of it. */
export interface AlertNotice {
  readonly id: string;
  readonly ruleId: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly deviceId: string | null;
  readonly group: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly state: "firing" | "resolved";
  readonly startedMs: number;
  readonly atMs: number;
  readonly value: number | string | null;
  readonly message: string;
  readonly runbook: string | null;
}

export interface NoticeRecord {
  readonly channelId: string;
  readonly alertId: string;
  readonly groupKey: string;
  readonly wanted: "firing" | "resolved";
  readonly told: "nothing" | "firing";
  readonly notice: AlertNotice;
}

export interface GroupRecord {
  readonly channelId: string;
  readonly groupKey: string;
  readonly lastSentMs: number;
  readonly intervalMs: number;
  readonly repeats: number;
}

/** One message on its way. `content` never changes once it is written: every attempt sends the same. */
export interface OutboxRecord {
  readonly id: string;
  readonly channelId: string;
  readonly sequence: number;
  readonly content: MessageContent;
  readonly delivery: DeliveryState;
}

export interface MessageContent {
  readonly type: "alert.firing" | "alert.resolved";
  readonly createdMs: number;
  /** What the alerts have in common, by the channel's grouping. */
  readonly labels: Readonly<Record<string, string>>;
  readonly groupKey: string;
  readonly repeat: boolean;
  /** A message that a person asked for, to see whether it arrives. */
  readonly test: boolean;
  readonly alerts: readonly AlertNotice[];
}

export interface DeliveryState {
  readonly attempts: number;
  readonly nextMs: number;
  /** The receiver refuses this message, not every one: others need not wait for it. */
  readonly refused: boolean;
}

export interface PushRecord {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
  readonly severities: readonly Severity[] | null;
  readonly createdMs: number;
}

export interface AuditRecord {
  readonly atMs: number;
  readonly who: string;
  readonly action: string;
  readonly target: string;
  readonly detail: unknown;
}
