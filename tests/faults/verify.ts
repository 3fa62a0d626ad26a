import { join } from "node:path";
import type { Update } from "../../contract/stream.ts";
import { until } from "../../testing/until.ts";
import type { DeadLetter } from "../../workers/writer/dead-letter.ts";
import { readDeadLetters } from "../../workers/writer/dead-letter.ts";
import { idExpression, idOf, type SentEvent, type SentRequest } from "./ledger.ts";
import type { Rig } from "./rig.ts";

/** Far more than it takes: a machine may be busy with other things. */
const settleTimeoutMs = 90_000;
const liveTimeoutMs = 15_000;
const shown = 5;

export interface Verdict {
  readonly acknowledged: number;
  readonly unheard: number;
  readonly refused: number;
  readonly deadLettered: number;
  readonly lost: number;
  readonly doubled: number;
  /** In words; none when all is well. */
  readonly violations: readonly string[];
}

interface PipelineAnswer {
  accepted: number;
  durable: number;
  pending: number;
  journal: { segments: number };
}

/** Waits until everything that was accepted is stored, and compares every table and the live view with the ledger. */
export async function verify(rig: Rig, timeoutMs: number = settleTimeoutMs): Promise<Verdict> {
  let seen = "nothing";
  const violations: string[] = [];
  try {
    await until(
      "everything that was accepted is stored",
      async () => {
        try {
          const pipeline = (await rig.get("/api/pipeline")) as PipelineAnswer;
          seen = JSON.stringify(pipeline).slice(0, 600);
          return pipeline.pending === 0 && pipeline.durable === pipeline.accepted && pipeline.journal.segments === 0;
        } catch (error) {
          seen = String(error);
          return false;
        }
      },
      timeoutMs,
      () => seen,
    );
  } catch (error) {
    violations.push(`not settled: ${String(error)}`);
  }

  const stored = new Map<string, number>();
  const wrong: string[] = [];
  for (const row of await rig.rows(
    `SELECT ${idExpression} AS id, count(), any(device_id), any(event_type), any(value_float), any(value_string)
     FROM telemetry_events GROUP BY id`,
  )) {
    const [id, count, deviceId, eventType, value, text] = row;
    stored.set(String(id), Number(count));
    const event = rig.ledger.find(String(id))?.sent.event;
    if (!event) wrong.push(`${id}: never sent`);
    else if (
      deviceId !== event.device_id ||
      eventType !== event.event_type ||
      value !== (event.value_float ?? null) ||
      text !== (event.value_string ?? null)
    ) {
      wrong.push(`${id}: stored as ${JSON.stringify(row).slice(0, 200)}`);
    }
  }
  const letters = [...readDeadLetters(join(rig.dataDir, "dead-letter"))];
  const poisoned = new Map<string, DeadLetter[]>();
  for (const letter of letters) {
    const id = idOf(letter.event);
    poisoned.set(id, [...(poisoned.get(id) ?? []), letter]);
    if (rig.ledger.find(id)?.sent.poison !== true)
      wrong.push(`${id}: a good event was dead-lettered: ${letter.reason}`);
  }

  const lost: string[] = [];
  const doubled: string[] = [];
  const torn: string[] = [];
  for (const request of rig.ledger.requests) {
    const found = new Set<number>();
    for (const sent of request.events) {
      const times = timesKept(sent, stored, poisoned);
      found.add(times > 0 ? 1 : 0);
      if (times === 0 && request.outcome === "acknowledged") lost.push(describe(sent, request));
      if (times > 1) doubled.push(describe(sent, request));
      if (times > 0 && request.outcome === "refused") wrong.push(`${sent.id}: stored although it was refused`);
      if (sent.poison && stored.has(sent.id)) wrong.push(`${sent.id}: poison was stored`);
    }
    if (found.size > 1) torn.push(request.events[0]?.id ?? "");
  }
  const list = (what: string, ids: readonly string[]): void => {
    if (ids.length > 0) violations.push(`${ids.length} ${what}: ${ids.slice(0, shown).join(", ")}`);
  };
  list("lost", lost);
  list("doubled", doubled);
  list("requests kept in part", torn);
  list("wrong", wrong);
  const poisonedDevices = letters.map(({ event }) => event.device_id);
  violations.push(...(await compareRollups(rig)), ...(await compareLive(rig, poisonedDevices)));
  return {
    acknowledged: rig.ledger.count("acknowledged"),
    unheard: rig.ledger.count("unheard"),
    refused: rig.ledger.count("refused"),
    deadLettered: letters.length,
    lost: lost.length,
    doubled: doubled.length,
    violations,
  };
}

const timesKept = (
  sent: SentEvent,
  stored: ReadonlyMap<string, number>,
  poisoned: ReadonlyMap<string, readonly DeadLetter[]>,
): number => (stored.get(sent.id) ?? 0) + (poisoned.get(sent.id)?.length ?? 0);

const describe = (sent: SentEvent, request: SentRequest): string =>
  `${sent.id} (${request.key === null ? "" : "keyed, "}${request.events.length} events)`;

const rollups = [
  ["telemetry_1s", "toDateTime(timestamp, 'UTC')"],
  ["telemetry_1m", "toStartOfMinute(toDateTime(timestamp, 'UTC'))"],
  ["telemetry_1h", "toStartOfHour(toDateTime(timestamp, 'UTC'))"],
] as const;
/** Both sides of the comparison are within 1 % of the truth. */
const quantileTolerance = 0.021;

/** Every rollup row against the same made anew from the raw rows: all figures exactly, quantiles within their error. */
async function compareRollups(rig: Rig): Promise<string[]> {
  const violations: string[] = [];
  const compare = async (table: string, kept: string, fresh: string): Promise<void> => {
    const [row] = await rig.rows(
      `SELECT (SELECT count() FROM (${kept} EXCEPT ${fresh})), (SELECT count() FROM (${fresh} EXCEPT ${kept}))`,
    );
    const [surplus, missing] = [Number(row?.[0]), Number(row?.[1])];
    if (surplus + missing > 0) violations.push(`${table}: ${surplus} rows are wrong, ${missing} are missing`);
  };
  for (const [table, time] of rollups) {
    await compare(
      table,
      `SELECT time AS t, event_type, sum(event_count), sum(value_count), sum(value_sum), min(value_min), max(value_max)
       FROM ${table} GROUP BY t, event_type`,
      `SELECT ${time} AS t, event_type, count(), count(value_float), ifNull(sum(value_float), 0), min(value_float),
              max(value_float)
       FROM telemetry_events GROUP BY t, event_type`,
    );
    const [row] = await rig.rows(
      `SELECT countIf(arrayExists((a, b) -> abs(a - b) > ${quantileTolerance} * greatest(abs(a), abs(b)), kept, fresh))
       FROM (SELECT time AS t, event_type, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(value_quantiles) AS kept
             FROM ${table} GROUP BY t, event_type) AS k
       INNER JOIN (SELECT ${time} AS t, event_type, quantilesDD(0.01, 0.5, 0.95, 0.99)(value_float) AS fresh
                   FROM telemetry_events GROUP BY t, event_type) AS f USING (t, event_type)`,
    );
    if (Number(row?.[0]) > 0) violations.push(`${table}: the quantiles of ${row?.[0]} rows are wrong`);
  }
  await compare(
    "devices",
    "SELECT device_id, min(first_seen), max(last_seen), sum(event_count) FROM devices GROUP BY device_id",
    "SELECT device_id, min(timestamp), max(timestamp), count() FROM telemetry_events GROUP BY device_id",
  );
  return violations;
}

interface LiveType {
  count: number;
  sum: number;
  min: number | null;
  max: number | null;
}

/** What the stream shows, once it has had time to settle, against the rows of its window. */
async function compareLive(rig: Rig, poisonedDevices: readonly string[]): Promise<string[]> {
  // Old events are days old and all others minutes, so the exact edge of the window does not matter.
  const recent = "timestamp > now64(3) - INTERVAL 1 DAY";
  const wanted = new Map<string, LiveType>();
  let total = 0;
  for (const [type, count, sum, min, max] of await rig.rows(
    `SELECT event_type, count(), sum(value_float), min(value_float), max(value_float)
     FROM telemetry_events WHERE ${recent} GROUP BY event_type`,
  )) {
    wanted.set(String(type), {
      count: Number(count),
      sum: Number(sum ?? 0),
      min: min as number | null,
      max: max as number | null,
    });
    total += Number(count);
  }
  const stored = (await rig.rows(`SELECT DISTINCT device_id FROM telemetry_events WHERE ${recent}`)).flat().map(String);
  // A device whose only event was dead-lettered was active all the same; after a restart nothing tells of it.
  // After a step of the clock the service counts devices anew, and ClickHouse may tell of some a minute later only.
  const devices = {
    least: rig.clockWasStepped ? 0 : stored.length,
    most: new Set([...stored, ...poisonedDevices]).size,
  };
  let difference = "no update came";
  const deadline = performance.now() + liveTimeoutMs;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), liveTimeoutMs);
  try {
    for await (const update of updates(rig, abort.signal)) {
      difference = differenceOf(update, total, devices, wanted);
      if (difference === "") return [];
      if (performance.now() > deadline) break;
    }
  } catch (error) {
    if (!abort.signal.aborted) difference += `; the stream ended: ${String(error)}`;
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
  return [`live view: ${difference}`];
}

function differenceOf(
  update: Update,
  total: number,
  devices: { least: number; most: number },
  wanted: ReadonlyMap<string, LiveType>,
): string {
  const { totals } = update;
  const found: string[] = [];
  if (totals.event_count !== total) found.push(`event_count ${totals.event_count}, rows ${total}`);
  if (totals.active_devices < devices.least || totals.active_devices > devices.most) {
    found.push(`active_devices ${totals.active_devices}, rows ${JSON.stringify(devices)}`);
  }
  for (const shownType of update.aggregations) {
    const rows = wanted.get(shownType.event_type);
    if (!rows) found.push(`${shownType.event_type}: not in the rows`);
    else if (
      shownType.event_count !== rows.count ||
      shownType.min_value !== rows.min ||
      shownType.max_value !== rows.max
    ) {
      found.push(`${shownType.event_type}: ${JSON.stringify(shownType)}, rows ${JSON.stringify(rows)}`);
    }
  }
  if (update.aggregations.length !== wanted.size) {
    found.push(`${update.aggregations.length} types, rows ${wanted.size}`);
  }
  return found.slice(0, shown).join("; ");
}

/** The updates of the live stream as they come, with their event ids. */
export async function* streamEvents(
  rig: Pick<Rig, "url">,
  signal: AbortSignal,
): AsyncGenerator<{ id: string; update: Update }> {
  const response = await fetch(`${rig.url}/dashboard-stream?limit=200`, { signal, keepalive: false });
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const lines = event.split("\n");
      if (!lines.includes("event: update")) continue;
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data) yield { id: field("id") ?? "", update: JSON.parse(data) };
    }
  }
}

export async function* updates(rig: Pick<Rig, "url">, signal: AbortSignal): AsyncGenerator<Update> {
  for await (const { update } of streamEvents(rig, signal)) yield update;
}
