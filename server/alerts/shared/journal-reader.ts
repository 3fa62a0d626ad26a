import { hashDeviceId, RowBinaryReader } from "../../../contract/row.ts";
import type { HeardBefore } from "../center/heard-before.ts";
import type { Evaluator, Metadata, TypeRules } from "../evaluation/evaluator.ts";
import { passed, type Subject } from "../evaluation/subject-table.ts";

export interface JournalReaderDeps {
  readonly evaluator: Evaluator;
  readonly directory: Pick<HeardBefore, "hear">;
  readonly subjectsMax: number;
  readonly onError: (error: unknown) => void;
}

/** `fill`: the entry was decided on by the holder before; it is part of windows. */
export type Purpose = "decide" | "fill";

/**
 * Rows of an entry of the shared journal, as the evaluator wants them. The way that `Staging` takes on one instance alone, but for rows
 * that other instances have encoded. A row of a type without rules costs its two names.
 */
export function readJournalRows(deps: JournalReaderDeps, rows: Uint8Array, atMs: number, purpose: Purpose): void {
  const reader = new RowBinaryReader(rows);
  while (!reader.done) {
    const timeMs = reader.int64();
    reader.int64();
    const deviceId = reader.string();
    const rules = deps.evaluator.typeRules(reader.string());
    const value = reader.uint8() === 0 ? reader.float64() : Number.NaN;
    const text = reader.uint8() === 0 ? readText(reader, rules) : null;
    const metadataAt = reader.offset;
    for (let left = reader.length(); left > 0; left--) {
      reader.skipString();
      reader.skipString();
    }
    deps.directory.hear(deviceId, atMs);
    if (rules === undefined) continue;
    try {
      pass(deps, rules, { deviceId, timeMs, atMs, value, text, rows, metadataAt }, purpose);
    } catch (error) {
      // A fault in a rule must not end the reading of the others.
      deps.onError(error);
    }
  }
}

interface JournalEvent {
  readonly deviceId: string;
  readonly timeMs: number;
  readonly atMs: number;
  readonly value: number;
  readonly text: string | null;
  readonly rows: Uint8Array;
  readonly metadataAt: number;
}

function pass(
  { evaluator, subjectsMax }: JournalReaderDeps,
  rules: TypeRules,
  event: JournalEvent,
  purpose: Purpose,
): void {
  const { subjects } = rules;
  const [hashA, hashB] = hashDeviceId(event.deviceId);
  const { timeMs, atMs, value, text } = event;
  const isWithin = !rules.needsText && value >= rules.quietFrom && value <= rules.quietTo;
  const slot = isWithin ? subjects.passQuietly(hashA, hashB, timeMs) : subjects.locate(hashA, hashB);
  if (slot === passed) return;
  let subject: Subject;
  if (slot !== -1) subject = subjects.at(slot);
  else {
    if (subjects.size >= subjectsMax) return;
    const describe = () => ({ deviceId: event.deviceId, metadata: metadataOf(event) });
    subject = evaluator.subject(rules, hashA, hashB, describe);
  }
  if (subject.series.length === 0) return;
  if (purpose === "fill") {
    evaluator.fill(subject, timeMs, value);
    return;
  }
  subjects.expect(subject);
  evaluator.decide(rules, subject, timeMs, atMs, value, text);
}

function readText(reader: RowBinaryReader, rules: TypeRules | undefined): string | null {
  if (rules?.needsText === true) return reader.string();
  reader.skipString();
  return null;
}

function metadataOf({ rows, metadataAt }: JournalEvent): Metadata {
  const reader = new RowBinaryReader(rows, metadataAt);
  const pairs: [string, string][] = [];
  for (let left = reader.length(); left > 0; left--) pairs.push([reader.string(), reader.string()]);
  return Object.fromEntries(pairs);
}
