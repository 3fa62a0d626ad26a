import type { Evaluator, Metadata, SeriesTransition } from "../evaluation/evaluator.ts";
import type { Series } from "../evaluation/series.ts";
import { alertId, transitionId } from "../identity.ts";
import { messageText } from "../message-text.ts";
import type { Labelled } from "../muting/muting.ts";
import type { AcknowledgementRecord, AlertNotice, InstanceRecord, TransitionRecord } from "../state/records.ts";
import type { ChangeMaker } from "../state/repository.ts";
import type { RowChange } from "../state/rows.ts";

/** What is known of an alarm beside its series. */
interface Known {
  readonly metadata: Metadata;
  acknowledged: AcknowledgementRecord | null;
}

/** A transition with what is told of it. */
export interface Decided {
  readonly record: TransitionRecord;
  readonly notice: AlertNotice | null;
}

/** A series at rest is kept so long, so that events that are read again do not raise its last alarm once more. */
const restKeptMs = 3_600_000;

/** Alarms as rows and as people see them. */
export class Instances {
  readonly #make: ChangeMaker;
  readonly #metadataOf: (deviceId: string) => Metadata | undefined;
  readonly #known = new Map<string, Known>();
  /** Series whose row is that of a series at rest, and since when. */
  readonly #resting = new Map<string, number>();

  constructor(deps: { readonly make: ChangeMaker; readonly metadataOf: (deviceId: string) => Metadata | undefined }) {
    this.#make = deps.make;
    this.#metadataOf = deps.metadataOf;
  }

  restore(evaluator: Evaluator, records: readonly InstanceRecord[], pausedMs: number): void {
    for (const record of records) {
      const series = evaluator.restore(record.ruleId, record.deviceId, record.group, {
        ...record,
        // JSON has no infinity.
        clockMs: (record.clockMs as number | null) ?? Number.NEGATIVE_INFINITY,
        pausedMs: record.pausedMs + pausedMs,
      });
      if (record.phase === "inactive" || series === undefined) this.#resting.set(record.series, record.changedMs);
      else this.#known.set(record.series, { metadata: record.metadata, acknowledged: record.acknowledged });
    }
  }

  labelled(series: Series): Labelled {
    const { rule, deviceId, group } = series;
    return { rule: rule.name, severity: rule.severity, deviceId, group, metadata: this.#of(series).metadata };
  }

  message(series: Series, value = series.value): string {
    const { rule, deviceId, group } = series;
    return messageText({ rule: rule.rule, deviceId, group, value, metadata: this.#of(series).metadata });
  }

  acknowledgement(series: Series): AcknowledgementRecord | null {
    return this.#known.get(series.key)?.acknowledged ?? null;
  }

  acknowledge(series: Series, record: AcknowledgementRecord | null, nowMs: number): RowChange {
    this.#of(series).acknowledged = record;
    return this.row(series, nowMs);
  }

  /** What a transition is called, and whether somebody has to be told. */
  decide({ series, from, to, atMs, value, startedMs }: SeriesTransition, nowMs: number): Decided {
    if (from === "inactive") this.#known.delete(series.key);
    const alert = alertId(series.key, startedMs);
    const { rule, deviceId, group } = series;
    const named = { ruleId: rule.id, rule: rule.name, severity: rule.severity, deviceId, group };
    const message = this.message(series, value);
    const record: TransitionRecord = {
      id: transitionId(alert, to, atMs),
      alertId: alert,
      atMs,
      decidedMs: nowMs,
      ...named,
      from,
      to,
      value,
      message,
    };
    const begins = to === "firing" && (from === "pending" || from === "inactive");
    if (!begins && to !== "resolved") return { record, notice: null };
    const notice: AlertNotice = {
      id: alert,
      ...named,
      metadata: this.#of(series).metadata,
      state: to === "resolved" ? "resolved" : "firing",
      startedMs,
      atMs,
      value,
      message,
      runbook: rule.rule.runbook ?? null,
    };
    return { record, notice };
  }

  /** The series' row as it is now. */
  row(series: Series, nowMs: number): RowChange {
    const isAtRest = series.phase === "inactive";
    const { metadata, acknowledged } = this.#of(series);
    if (isAtRest) {
      this.#known.delete(series.key);
      // Behind the others: they are gone through in the order in which they came to rest.
      this.#resting.delete(series.key);
      this.#resting.set(series.key, nowMs);
    } else this.#resting.delete(series.key);
    return this.#make.instance({
      ...series.record(),
      series: series.key,
      ruleId: series.rule.id,
      deviceId: series.deviceId,
      group: series.group,
      metadata: isAtRest ? {} : metadata,
      acknowledged: isAtRest ? null : acknowledged,
      changedMs: nowMs,
    });
  }

  /** Rows of series that have been at rest for long; at most `max`. */
  expired(nowMs: number, max: number): RowChange[] {
    const changes: RowChange[] = [];
    for (const [series, sinceMs] of this.#resting) {
      if (changes.length >= max || sinceMs > nowMs - restKeptMs) break;
      this.#resting.delete(series);
      changes.push({ table: "alert_instances", remove: { series } });
    }
    return changes;
  }

  #of(series: Series): Known {
    let known = this.#known.get(series.key);
    if (known === undefined) {
      const metadata = series.deviceId !== null ? (this.#metadataOf(series.deviceId) ?? {}) : groupMetadata(series);
      known = { metadata, acknowledged: null };
      if (series.phase !== "inactive") this.#known.set(series.key, known);
    }
    return known;
  }
}

/** A group by metadata has that one key. */
function groupMetadata({ rule: { test }, group }: Series): Metadata {
  return test.kind === "value" && test.by.by === "meta" && group !== null ? { [test.by.key]: group } : {};
}
