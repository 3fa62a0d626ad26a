import type { Fired } from "../../../contract/alerts.ts";
import { hashDeviceId } from "../../../contract/row.ts";
import type { CompiledRule } from "../evaluation/compiled-rule.ts";
import { Evaluator, type Metadata, type SeriesTransition } from "../evaluation/evaluator.ts";
import type { Subject } from "../evaluation/subject-table.ts";

export interface PastEvent {
  readonly deviceId: string;
  readonly timeMs: number;
  /** NaN: none. */
  readonly value: number;
  readonly text: string | null;
}

export interface Replay {
  /** Events in the order of their time. */
  event(event: PastEvent): void;
  /** A verdict on silence: the device had been silent for its time at `atMs`, or was heard again. */
  silence(deviceId: string, isSilent: boolean, silentSeconds: number | null, atMs: number): void;
  /** The intervals in which the rule fired, oldest first. */
  end(toMs: number): { fired: Fired[]; series: number };
}

interface Episode {
  readonly deviceId: string | null;
  readonly group: string | null;
  readonly fromMs: number;
  toMs: number | null;
  value: number | string | null;
}

const iso = (ms: number): string => new Date(ms).toISOString();

/**
 * One rule over past events: the evaluator that decides live, with the events' own times for the clock. An alarm lasts from firing to
 * resolved; recovering and stale are parts of it.
 */
export function createReplay(rule: CompiledRule, metadataOf: (deviceId: string) => Metadata | undefined): Replay {
  const episodes: Episode[] = [];
  const open = new Map<string, Episode>();
  const subjects = new Map<string, Subject>();

  const note = ({ series, from, to, atMs, value }: SeriesTransition): void => {
    if (to === "firing" && (from === "pending" || from === "inactive")) {
      const { deviceId, group } = series;
      const episode: Episode = { deviceId, group, fromMs: atMs, toMs: null, value };
      episodes.push(episode);
      open.set(series.key, episode);
    } else if (to === "resolved") {
      const episode = open.get(series.key);
      if (episode !== undefined) episode.toMs = atMs;
      open.delete(series.key);
    }
  };
  const evaluator = new Evaluator({ onTransition: note, metadataOf });
  evaluator.setRules([rule], 0);
  const { test } = rule;
  const type = test.kind === "value" || test.kind === "text" ? evaluator.typeRules(test.eventType) : undefined;

  function subjectOf(deviceId: string): Subject | undefined {
    const known = subjects.get(deviceId);
    if (known !== undefined || type === undefined) return known;
    const [hashA, hashB] = hashDeviceId(deviceId);
    const subject = evaluator.subject(type, hashA, hashB, () => ({ deviceId, metadata: {} }));
    subjects.set(deviceId, subject);
    return subject;
  }

  return {
    event({ deviceId, timeMs, value, text }) {
      const subject = subjectOf(deviceId);
      if (subject === undefined || subject.series.length === 0) return;
      // What is due at the very moment of an event waits for what the event says.
      if (evaluator.nextDueMs < timeMs) evaluator.advance(timeMs - 1);
      evaluator.observe(subject, timeMs, timeMs, value, text);
    },
    silence(deviceId, isSilent, silentSeconds, atMs) {
      evaluator.advance(atMs - 1);
      evaluator.judge(rule, deviceId, isSilent, silentSeconds, atMs);
    },
    end(toMs) {
      evaluator.advance(toMs);
      const fired = episodes
        .sort((a, b) => a.fromMs - b.fromMs)
        .map(({ deviceId, group, fromMs, toMs: endMs, value }) => ({
          ...(deviceId === null ? {} : { device_id: deviceId }),
          ...(group === null ? {} : { group }),
          from: iso(fromMs),
          to: endMs === null ? null : iso(endMs),
          value,
        }));
      return { fired, series: evaluator.seriesCount };
    },
  };
}
