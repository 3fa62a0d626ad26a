import type { Store } from "../../store/store.ts";
import type {
  AuditRecord,
  ChannelRecord,
  GroupRecord,
  InstanceRecord,
  NoticeRecord,
  OutboxRecord,
  PushRecord,
  RuleRecord,
  SilenceRecord,
  TransitionRecord,
} from "./records.ts";
import { createRowWriter, type RowChange } from "./rows.ts";

/** Transitions kept; the oldest go first. 0.5 KB each. */
export const transitionsMax = 500_000;
export const auditMax = 50_000;

export interface TransitionQuery {
  readonly fromMs: number;
  readonly toMs: number;
  readonly ruleId?: string | undefined;
  readonly deviceId?: string | undefined;
  /** Before this one; the newest when it is not given. */
  readonly beforeSequence?: number | undefined;
  readonly limit: number;
}

/** Everything that the alerts keep, read once at the start; afterwards only history is read from here. */
export interface Repository {
  rules(): RuleRecord[];
  channels(): ChannelRecord[];
  silences(): SilenceRecord[];
  instances(): InstanceRecord[];
  notices(): NoticeRecord[];
  groups(): GroupRecord[];
  outbox(): OutboxRecord[];
  /** A message that waits. */
  message(id: string): OutboxRecord | undefined;
  pushes(): PushRecord[];
  fact(name: string): string | null;
  transitions(query: TransitionQuery): { sequence: number; transition: TransitionRecord }[];
  audit(limit: number): AuditRecord[];
  /** All of them, or none; durable when it returns, or with several instances once `whenDurable` says so. */
  commit(changes: readonly RowChange[]): void;
  /** Runs once everything that was committed is durable, at once where it is. Never, where another instance has taken over. */
  whenDurable(run: () => void): void;
  /** Rows for history are numbered in the order in which they are made. */
  readonly make: ChangeMaker;
  /** Changes that forget the oldest history, when there is more than is kept. */
  expired(): RowChange[];
}

/** Turns records into rows. */
export interface ChangeMaker {
  rule(record: RuleRecord): RowChange;
  channel(record: ChannelRecord): RowChange;
  silence(record: SilenceRecord): RowChange;
  instance(record: InstanceRecord): RowChange;
  transition(record: TransitionRecord): RowChange;
  notice(record: NoticeRecord): RowChange;
  group(record: GroupRecord): RowChange;
  outbox(record: OutboxRecord): RowChange;
  push(record: PushRecord): RowChange;
  fact(name: string, value: string): RowChange;
  audit(record: AuditRecord): RowChange;
}

interface BodyRow {
  body: string;
}

export interface RepositoryOptions {
  readonly transitionsMax: number;
  readonly write: (changes: readonly RowChange[]) => void;
  readonly whenDurable: (run: () => void) => void;
}

export function createRepository(store: Store, options: Partial<RepositoryOptions> = {}): Repository {
  const { database } = store;
  const write = options.write ?? createRowWriter(store);
  const maxOf = (table: string): number =>
    database.query<{ top: number | null }, []>(`SELECT max(sequence) AS top FROM ${table}`).get()?.top ?? 0;
  let nextTransition = maxOf("alert_transitions") + 1;
  let nextAudit = maxOf("alert_audit") + 1;
  // Bodies are written by `make` alone, so they are what their records say.
  const bodies = <T>(sql: string): T[] =>
    database
      .query<BodyRow, []>(sql)
      .all()
      .map(({ body }) => JSON.parse(body) as T);

  return {
    rules: () => bodies("SELECT body FROM alert_rules ORDER BY created_ms, id"),
    channels: () => bodies("SELECT body FROM alert_channels ORDER BY created_ms, id"),
    silences: () => bodies("SELECT body FROM alert_silences ORDER BY created_ms, id"),
    instances: () => bodies("SELECT body FROM alert_instances"),
    // What was told is in a column of its own, so that ten thousand can be marked at once.
    notices: () =>
      database
        .query<BodyRow & { told: string }, []>("SELECT body, told FROM alert_notices")
        .all()
        .map(({ body, told }) => ({ ...JSON.parse(body), told }) as NoticeRecord),
    groups: () => bodies("SELECT body FROM alert_groups"),
    outbox: () =>
      database
        .query<BodyRow & { delivery: string }, []>("SELECT body, delivery FROM alert_outbox ORDER BY sequence")
        .all()
        .map(({ body, delivery }) => ({ ...JSON.parse(body), delivery: JSON.parse(delivery) }) as OutboxRecord),
    message(id) {
      const row = database
        .query<BodyRow & { delivery: string }, [string]>("SELECT body, delivery FROM alert_outbox WHERE id = ?")
        .get(id);
      return row === null
        ? undefined
        : ({ ...JSON.parse(row.body), delivery: JSON.parse(row.delivery) } as OutboxRecord);
    },
    pushes: () => bodies("SELECT body FROM alert_push ORDER BY created_ms"),
    fact: (name) =>
      database.query<{ value: string }, [string]>("SELECT value FROM alert_facts WHERE name = ?").get(name)?.value ??
      null,
    transitions(query) {
      const conditions = ["decided_ms >= ?", "decided_ms < ?"];
      const values: (string | number)[] = [query.fromMs, query.toMs];
      const add = (condition: string, value: string | number | undefined): void => {
        if (value === undefined) return;
        conditions.push(condition);
        values.push(value);
      };
      add("rule_id = ?", query.ruleId);
      add("device_id = ?", query.deviceId);
      add("sequence < ?", query.beforeSequence);
      const sql = `SELECT sequence, body FROM alert_transitions WHERE ${conditions.join(" AND ")} ORDER BY sequence DESC LIMIT ?`;
      return database
        .query<BodyRow & { sequence: number }, (string | number)[]>(sql)
        .all(...values, query.limit)
        .map(({ sequence, body }) => ({ sequence, transition: JSON.parse(body) as TransitionRecord }));
    },
    audit: (limit) =>
      database
        .query<BodyRow, [number]>("SELECT body FROM alert_audit ORDER BY sequence DESC LIMIT ?")
        .all(limit)
        .map(({ body }) => JSON.parse(body) as AuditRecord),
    commit: write,
    whenDurable: options.whenDurable ?? ((run) => run()),
    expired() {
      const oldest = (table: "alert_transitions" | "alert_audit", next: number, max: number): RowChange[] =>
        database
          .query<{ sequence: number }, [number]>(`SELECT sequence FROM ${table} WHERE sequence < ? LIMIT 1000`)
          .all(next - max)
          .map(({ sequence }) => ({ table, remove: { sequence } }));
      return [
        ...oldest("alert_transitions", nextTransition, options.transitionsMax ?? transitionsMax),
        ...oldest("alert_audit", nextAudit, auditMax),
      ];
    },
    make: {
      rule: (record) => sourced("alert_rules", record),
      channel: (record) => sourced("alert_channels", record),
      silence: (record) => ({
        table: "alert_silences",
        put: {
          id: record.id,
          source: record.source,
          body: JSON.stringify(record),
          created_ms: record.createdMs,
          created_by: record.createdBy,
        },
      }),
      instance: (record) => ({
        table: "alert_instances",
        put: {
          series: record.series,
          rule_id: record.ruleId,
          phase: record.phase,
          changed_ms: Math.round(record.changedMs),
          body: JSON.stringify(record),
        },
      }),
      transition: (record) => ({
        table: "alert_transitions",
        put: {
          sequence: nextTransition++,
          id: record.id,
          decided_ms: Math.round(record.decidedMs),
          rule_id: record.ruleId,
          device_id: record.deviceId,
          body: JSON.stringify(record),
        },
      }),
      notice: (record) => ({
        table: "alert_notices",
        put: {
          channel_id: record.channelId,
          alert_id: record.alertId,
          group_key: record.groupKey,
          wanted: record.wanted,
          told: record.told,
          body: JSON.stringify(record),
        },
      }),
      group: (record) => ({
        table: "alert_groups",
        put: { channel_id: record.channelId, group_key: record.groupKey, body: JSON.stringify(record) },
      }),
      outbox: ({ delivery, ...message }) => ({
        table: "alert_outbox",
        put: {
          id: message.id,
          channel_id: message.channelId,
          sequence: message.sequence,
          body: JSON.stringify(message),
          delivery: JSON.stringify(delivery),
        },
      }),
      push: (record) => ({
        table: "alert_push",
        put: { endpoint: record.endpoint, body: JSON.stringify(record), created_ms: record.createdMs },
      }),
      fact: (name, value) => ({ table: "alert_facts", put: { name, value } }),
      audit: (record) => ({
        table: "alert_audit",
        put: {
          sequence: nextAudit++,
          at_ms: record.atMs,
          who: record.who,
          action: record.action,
          target: record.target,
          body: JSON.stringify(record),
        },
      }),
    },
  };
}

function sourced(table: "alert_rules" | "alert_channels", record: RuleRecord | ChannelRecord): RowChange {
  const { id, source, createdMs, updatedMs } = record;
  return {
    table,
    put: { id, source, body: JSON.stringify(record), created_ms: createdMs, updated_ms: updatedMs },
  };
}
