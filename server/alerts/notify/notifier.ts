import type { Inhibitor } from "../../../contract/alerts.ts";
import { messageId } from "../identity.ts";
import { labelOf, type Mutes } from "../muting/muting.ts";
import type { AlertNotice, ChannelRecord, GroupRecord, MessageContent, NoticeRecord } from "../state/records.ts";
import type { ChangeMaker } from "../state/repository.ts";
import type { RowChange } from "../state/rows.ts";
import { groupFieldsOf, groupTimingOf } from "./group-timing.ts";

/** Alerts in one message; what is past it goes into the next one. */
export const messageAlertsMax = 10_000;
const alertsPerTurn = 2_000;
/** Alarms that a channel may owe news of; past it an alarm is not told, and counted. */
export const noticesPerChannelMax = 100_000;
/** How often a group whose alerts are all muted is looked at again. */
const mutedLookMs = 5_000;

export interface NotifierDeps {
  readonly make: ChangeMaker;
  readonly channels: () => Iterable<ChannelRecord>;
  readonly inhibitorsOf: (ruleId: string) => readonly Inhibitor[];
  readonly isAcknowledged: (alertId: string) => boolean;
}

export interface Message {
  readonly id: string;
  readonly channelId: string;
  readonly content: MessageContent;
}

interface Group {
  readonly channelId: string;
  readonly key: string;
  readonly members: Map<string, NoticeRecord>;
  /** When it is looked at; Infinity: not by itself. */
  dueMs: number;
  /** Since when something waits to be told. */
  waitingSinceMs: number | null;
  lastSentMs: number;
  intervalMs: number;
  repeats: number;
}

/**
 * Which channel is told what, and when. It keeps, for each channel and alarm, what has been told; so a recovery goes to those alone
 * who heard of the alarm, and one that ends before anybody was told is not mentioned. Pure but for its memory: time, mutes and
 * channels are arguments, and what changes is returned as rows for the caller's transaction.
 */
export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #groups = new Map<string, Group>();
  /** The group of each notice. */
  readonly #places = new Map<string, Group>();
  readonly #owed = new Map<string, number>();
  /** Alarms that were not told because a channel owed too many. */
  dropped = 0;

  constructor(deps: NotifierDeps, notices: readonly NoticeRecord[], groups: readonly GroupRecord[], nowMs: number) {
    this.#deps = deps;
    for (const record of groups) {
      const group = this.#group(record.channelId, record.groupKey);
      group.lastSentMs = record.lastSentMs;
      group.intervalMs = record.intervalMs;
      group.repeats = record.repeats;
    }
    for (const record of notices) {
      const group = this.#group(record.channelId, record.groupKey);
      this.#put(group, record);
      group.dueMs = nowMs;
      if (record.wanted !== record.told) group.waitingSinceMs = nowMs;
    }
  }

  get nextDueMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#groups.values()) if (dueMs < next) next = dueMs;
    return next;
  }

  /** An alarm began or ended. `names`: the channels of its rule; undefined: all. */
  tell(notice: AlertNotice, names: readonly string[] | undefined, nowMs: number): RowChange[] {
    const changes: RowChange[] = [];
    for (const record of this.#deps.channels()) {
      const { channel } = record;
      const known = this.#places.get(`${record.id}\0${notice.id}`);
      if (notice.state === "resolved") {
        if (known !== undefined) changes.push(this.#resolve(known, record, notice, nowMs));
        continue;
      }
      const isWanted = names === undefined || names.includes(channel.name);
      if (known !== undefined || !isWanted || channel.enabled === false) continue;
      if ((this.#owed.get(record.id) ?? 0) >= noticesPerChannelMax) {
        this.dropped++;
        continue;
      }
      const key = JSON.stringify(groupFieldsOf(channel).map((field) => labelOf(notice, field) ?? null));
      const group = this.#group(record.id, key);
      changes.push(
        this.#put(group, {
          channelId: record.id,
          alertId: notice.id,
          groupKey: key,
          wanted: "firing",
          told: "nothing",
          notice,
        }),
      );
      this.#wait(group, record, nowMs);
    }
    return changes;
  }

  /** Messages of the groups that are due, at most `max` alerts' worth, and the rows that say that they have been told. */
  flush(nowMs: number, mutes: () => Mutes): { messages: Message[]; changes: RowChange[] } {
    const messages: Message[] = [];
    const changes: RowChange[] = [];
    const channels = new Map([...this.#deps.channels()].map((record) => [record.id, record]));
    for (const group of this.#groups.values()) {
      if (group.dueMs > nowMs) continue;
      // A storm goes to one channel a turn: ten thousand alarms are megabytes to write down.
      if (messages.reduce((sum, { content }) => sum + content.alerts.length, 0) >= alertsPerTurn) break;
      const channel = channels.get(group.channelId);
      if (channel === undefined) this.#forget(group, changes);
      else this.#flushGroup(group, channel, nowMs, mutes(), messages, changes);
    }
    return { messages, changes };
  }

  /** A channel is no more, or is not told any more. */
  forgetChannel(channelId: string): RowChange[] {
    const changes: RowChange[] = [];
    for (const group of [...this.#groups.values()]) if (group.channelId === channelId) this.#forget(group, changes);
    return changes;
  }

  /** Something that mutes has changed: everything that waits is looked at. */
  reconsider(nowMs: number): void {
    for (const group of this.#groups.values())
      if (group.waitingSinceMs !== null) group.dueMs = Math.min(group.dueMs, nowMs);
  }

  #flushGroup(
    group: Group,
    channel: ChannelRecord,
    nowMs: number,
    mutes: Mutes,
    messages: Message[],
    changes: RowChange[],
  ): void {
    const timing = groupTimingOf(channel.channel);
    const isMuted = ({ notice }: NoticeRecord): boolean =>
      mutes.isMuted(notice, this.#deps.inhibitorsOf(notice.ruleId));
    const waiting = [...group.members.values()].filter(({ wanted, told }) => wanted !== told);
    const free = waiting.filter((record) => !isMuted(record));
    const firing = free.filter(({ wanted }) => wanted === "firing").slice(0, messageAlertsMax);
    const resolved = free.filter(({ wanted }) => wanted === "resolved").slice(0, messageAlertsMax);
    const hasSent = group.lastSentMs > Number.NEGATIVE_INFINITY;
    const isRepeatDue = free.length === 0 && hasSent && nowMs >= group.lastSentMs + timing.repeatMs;
    if (firing.length > 0) messages.push(message(group, channel, "alert.firing", firing, nowMs));
    if (resolved.length > 0) messages.push(message(group, channel, "alert.resolved", resolved, nowMs));
    this.#markTold(group, waiting, firing, changes);
    this.#markEnded(group, waiting, resolved, changes);
    if (isRepeatDue) {
      const still = [...group.members.values()]
        .filter((record) => record.told === "firing" && record.wanted === "firing" && !isMuted(record))
        .filter(({ alertId }) => !this.#deps.isAcknowledged(alertId))
        .slice(0, messageAlertsMax);
      group.repeats++;
      if (still.length > 0) messages.push(message(group, channel, "alert.firing", still, nowMs, group.repeats));
      this.#sent(group, nowMs, timing.intervalMs, changes);
    } else if (firing.length + resolved.length > 0) {
      // A group that goes on changing is told of less and less often.
      const isRestless = nowMs - group.lastSentMs < 2 * group.intervalMs + timing.waitMaxMs;
      const intervalMs = isRestless ? Math.min(timing.intervalMaxMs, group.intervalMs * 2) : timing.intervalMs;
      this.#sent(group, nowMs, intervalMs, changes);
    }
    const left = waiting.length - firing.length - resolved.length;
    const isCut = free.length > firing.length + resolved.length;
    if (left === 0) group.waitingSinceMs = null;
    if (group.members.size === 0) {
      this.#rest(group, nowMs, timing.intervalMaxMs, changes);
      return;
    }
    group.dueMs = isCut
      ? nowMs
      : Math.min(left > 0 ? nowMs + mutedLookMs : Number.POSITIVE_INFINITY, group.lastSentMs + timing.repeatMs);
  }

  /** Where all that waits was told, one statement says so instead of ten thousand. */
  #markTold(
    group: Group,
    waiting: readonly NoticeRecord[],
    firing: readonly NoticeRecord[],
    changes: RowChange[],
  ): void {
    for (const record of firing) group.members.set(record.alertId, { ...record, told: "firing" });
    const { channelId: channel_id, key: group_key } = group;
    if (firing.length > 1 && firing.length === waiting.filter(({ wanted }) => wanted === "firing").length) {
      const where = { channel_id, group_key, wanted: "firing", told: "nothing" };
      changes.push({ table: "alert_notices", update: { told: "firing" }, where });
      return;
    }
    for (const { alertId: alert_id } of firing) {
      changes.push({ table: "alert_notices", update: { told: "firing" }, where: { channel_id, alert_id } });
    }
  }

  #markEnded(
    group: Group,
    waiting: readonly NoticeRecord[],
    resolved: readonly NoticeRecord[],
    changes: RowChange[],
  ): void {
    const removals = resolved.map((record) => this.#remove(group, record));
    const { channelId: channel_id, key: group_key } = group;
    if (resolved.length > 1 && resolved.length === waiting.filter(({ wanted }) => wanted === "resolved").length)
      changes.push({ table: "alert_notices", remove: { channel_id, group_key, wanted: "resolved" } });
    else changes.push(...removals);
  }

  #sent(group: Group, nowMs: number, intervalMs: number, changes: RowChange[]): void {
    group.lastSentMs = nowMs;
    group.intervalMs = intervalMs;
    changes.push(
      this.#deps.make.group({
        channelId: group.channelId,
        groupKey: group.key,
        lastSentMs: nowMs,
        intervalMs,
        repeats: group.repeats,
      }),
    );
  }

  /** A group without alarms is remembered for as long as its interval may matter. */
  #rest(group: Group, nowMs: number, intervalMaxMs: number, changes: RowChange[]): void {
    const untilMs = group.lastSentMs + 3 * intervalMaxMs;
    if (nowMs >= untilMs) this.#forget(group, changes);
    else group.dueMs = untilMs;
  }

  #resolve(group: Group, channel: ChannelRecord, notice: AlertNotice, nowMs: number): RowChange {
    const record = group.members.get(notice.id) as NoticeRecord;
    if (record.told === "nothing" || channel.channel.send_resolved === false) return this.#remove(group, record);
    this.#wait(group, channel, nowMs);
    return this.#put(group, { ...record, wanted: "resolved", notice });
  }

  #wait(group: Group, { channel }: ChannelRecord, nowMs: number): void {
    const timing = groupTimingOf(channel);
    group.waitingSinceMs ??= nowMs;
    if (group.intervalMs === 0) group.intervalMs = timing.intervalMs;
    const quietMs = Math.min(nowMs + timing.waitMs, group.waitingSinceMs + timing.waitMaxMs);
    group.dueMs = Math.max(quietMs, group.lastSentMs + group.intervalMs);
  }

  #group(channelId: string, key: string): Group {
    const name = `${channelId}\0${key}`;
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = {
        channelId,
        key,
        members: new Map(),
        dueMs: Number.POSITIVE_INFINITY,
        waitingSinceMs: null,
        lastSentMs: Number.NEGATIVE_INFINITY,
        intervalMs: 0,
        repeats: 0,
      };
      this.#groups.set(name, group);
    }
    return group;
  }

  #put(group: Group, record: NoticeRecord): RowChange {
    if (!group.members.has(record.alertId)) this.#owed.set(group.channelId, (this.#owed.get(group.channelId) ?? 0) + 1);
    group.members.set(record.alertId, record);
    this.#places.set(`${group.channelId}\0${record.alertId}`, group);
    return this.#deps.make.notice(record);
  }

  #remove(group: Group, { channelId, alertId }: NoticeRecord): RowChange {
    group.members.delete(alertId);
    this.#places.delete(`${channelId}\0${alertId}`);
    this.#owed.set(channelId, (this.#owed.get(channelId) ?? 1) - 1);
    return { table: "alert_notices", remove: { channel_id: channelId, alert_id: alertId } };
  }

  #forget(group: Group, changes: RowChange[]): void {
    for (const record of [...group.members.values()]) changes.push(this.#remove(group, record));
    this.#groups.delete(`${group.channelId}\0${group.key}`);
    changes.push({ table: "alert_groups", remove: { channel_id: group.channelId, group_key: group.key } });
  }
}

function message(
  group: Group,
  { id, channel }: ChannelRecord,
  type: MessageContent["type"],
  records: readonly NoticeRecord[],
  nowMs: number,
  repeat = 0,
): Message {
  const fields = groupFieldsOf(channel);
  const first = (records[0] as NoticeRecord).notice;
  const labels: Record<string, string> = {};
  for (const field of fields) {
    const value = labelOf(first, field);
    if (value !== undefined) labels[field] = value;
  }
  const alerts = records.map(({ notice }) => notice);
  return {
    id: messageId(id, type, repeat, ...alerts.map((alert) => alert.id).sort()),
    channelId: id,
    content: { type, createdMs: nowMs, labels, groupKey: group.key, repeat: repeat > 0, test: false, alerts },
  };
}
