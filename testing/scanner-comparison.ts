/** The scanner beside its oracle, the slow path: what the one takes, the other makes the same rows of. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { decodeRow, LoneSurrogateError, RowBinaryReader, RowEncoder } from "../contract/row.ts";
import { EventScanner } from "../server/ingest/json/event-scanner.ts";
import { parseJson, parseNdjson } from "../server/ingest/json/parse.ts";
import { boundsFault, eventTimeMs, isEvent } from "../server/ingest/validate.ts";
import { nowMs } from "./json-bodies.ts";

const limits = { maxClockSkewFutureMs: 300_000, maxEventAgeMs: 30 * 86_400_000 };
const bounds = { oldestMs: nowMs - limits.maxEventAgeMs, newestMs: nowMs + limits.maxClockSkewFutureMs };
const encoder = new RowEncoder();
export const whole = new EventScanner();

export type Taken = { rows: string; seen: unknown[] };

export function scan(
  bytes: Uint8Array,
  ndjson: boolean,
  scanner = whole,
  devicePrefix: string | null = null,
): Taken | null {
  const rows: Buffer[] = [];
  const seen: unknown[] = [];
  scanner.open(bytes, ndjson, { ...bounds, nowMs, devicePrefix });
  for (;;) {
    const step = scanner.next();
    if (step === "doubt") return null;
    const { rowsStart, rowsLength, rowStarts, memory } = scanner;
    const taken = Buffer.from(memory.slice(rowsStart, rowsStart + rowsLength));
    rows.push(taken);
    const reader = new RowBinaryReader(taken);
    const met = new Set([...scanner.metTypes.subarray(0, scanner.metTypeCount)].map((type) => scanner.typeName(type)));
    for (let at = 0; at < scanner.count; at++) {
      strictEqual(reader.offset, rowStarts[at]);
      const row = decodeRow(reader);
      const type = scanner.typeName(scanner.types[at] as number);
      ok(met.has(type));
      const hashes = [scanner.hashesA[at], scanner.hashesB[at]];
      seen.push([type, scanner.values[at], ...hashes, row.device_id, scanner.seconds[at]]);
    }
    if (step === "end") return { rows: Buffer.concat(rows).toString("hex"), seen };
  }
}

/** Null: refused. */
export function parse(text: string, ndjson: boolean, maxEvents = 1000): Taken | null {
  encoder.reset();
  const seen: unknown[] = [];
  const parsed = ndjson ? parseNdjson(text, false, maxEvents) : parseJson(text);
  if (!parsed.ok) return null;
  for (const event of parsed.events) {
    if (!isEvent(event)) return null;
    const timeMs = eventTimeMs(event, nowMs, limits);
    if (typeof timeMs !== "number" || boundsFault(event)) return null;
    try {
      encoder.encode(event, timeMs, nowMs);
    } catch (error) {
      if (error instanceof LoneSurrogateError) return null;
      throw error;
    }
    seen.push([
      event.event_type,
      event.value_float ?? Number.NaN,
      encoder.deviceHashA,
      encoder.deviceHashB,
      event.device_id,
      Math.floor(timeMs / 1000),
    ]);
  }
  return { rows: Buffer.from(encoder.bytes()).toString("hex"), seen };
}

export const counts = { taken: 0, doubted: 0, refused: 0 };

export function compare(text: string, ndjson: boolean): void {
  const bytes = Buffer.from(text);
  const scanned = scan(bytes, ndjson);
  // Text that is not well-formed has another in its bytes.
  const parsed = parse(bytes.toString(), ndjson);
  if (scanned === null) {
    if (parsed === null) counts.refused++;
    else counts.doubted++;
    return;
  }
  counts.taken++;
  deepStrictEqual(scanned, parsed);
}
