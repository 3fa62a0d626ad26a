import type { Log } from "../../base/log.ts";
import { hashDeviceId } from "../../contract/row.ts";
import type { AskPast } from "./backtest/past.ts";
import type { Evaluator } from "./evaluation/evaluator.ts";

/** An event that an earlier run took this long before its last sign of life may not have been decided on. */
const overlapMs = 30_000;
const eventsMax = 2_000_000;
const sliceEvents = 5_000;

/**
 * Reads again what came before the start: events that were acknowledged and perhaps not decided on, and what windows held. Deciding
 * twice is harmless, as a series knows up to when it has decided. False: there was too much of it; windows fill anew.
 */
export async function replayPast(
  deps: { readonly ask: AskPast; readonly evaluator: Evaluator; readonly log: Log },
  options: {
    readonly startedMs: number;
    readonly lastAliveMs: number | null;
    /** What was received later is not read; `startedMs` where it is not given. */
    readonly receivedBeforeMs?: number;
    /** Whether what was read may be used; asked once it is there. */
    readonly isSound?: () => Promise<boolean>;
  },
): Promise<boolean> {
  const { evaluator } = deps;
  const types = new Map<string, number>();
  for (const { test } of evaluator.rules.values()) {
    if (test.kind !== "value" && test.kind !== "text") continue;
    const windowMs = test.kind === "value" && test.measure !== "last" ? (test.windowMs ?? 0) : 0;
    types.set(test.eventType, Math.max(types.get(test.eventType) ?? 0, windowMs));
  }
  if (types.size === 0 || options.lastAliveMs === null) return true;
  const sinceMs = Math.min(options.startedMs, options.lastAliveMs) - overlapMs;
  const windowMs = Math.max(...types.values());
  const reader = await deps.ask(
    `SELECT device_id, event_type, toUnixTimestamp64Milli(timestamp), toUnixTimestamp64Milli(received_at) AS heard,
       toUInt8(isNull(value_float)), ifNull(value_float, 0), toUInt8(isNull(value_string)), ifNull(value_string, ''), metadata
     FROM telemetry_events
     WHERE event_type IN {types:Array(String)}
       AND received_at < fromUnixTimestamp64Milli({started:Int64}, 'UTC')
       AND (received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
         OR timestamp >= fromUnixTimestamp64Milli({window:Int64}, 'UTC'))
       AND timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC')
     ORDER BY heard, timestamp LIMIT {limit:UInt32}`,
    {
      types: [...types.keys()],
      started: options.receivedBeforeMs ?? options.startedMs,
      since: sinceMs,
      window: options.startedMs - windowMs,
      oldest: Math.min(sinceMs, options.startedMs - windowMs) - 86_400_000,
      limit: eventsMax + 1,
    },
    AbortSignal.timeout(30_000),
  );
  if (options.isSound !== undefined && !(await options.isSound())) return false;
  let events = 0;
  while (!reader.done) {
    if (++events > eventsMax) {
      deps.log("warn", "too many events came shortly before the start; windows of alert rules fill anew", {});
      return false;
    }
    const deviceId = reader.string();
    const rules = evaluator.typeRules(reader.string());
    const timeMs = reader.int64();
    const heardMs = reader.int64();
    const hasNoValue = reader.uint8() === 1;
    const figure = reader.float64();
    const hasNoText = reader.uint8() === 1;
    const text = reader.string();
    const metadata: Record<string, string> = {};
    for (let keys = reader.length(); keys > 0; keys--) metadata[reader.string()] = reader.string();
    if (rules === undefined) continue;
    const [hashA, hashB] = hashDeviceId(deviceId);
    const subject = evaluator.subject(rules, hashA, hashB, () => ({ deviceId, metadata }));
    const value = hasNoValue ? Number.NaN : figure;
    evaluator.fill(subject, timeMs, value);
    if (heardMs >= sinceMs) evaluator.observeNewest(subject, timeMs, heardMs, value, hasNoText ? null : text);
    if (events % sliceEvents === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return true;
}
