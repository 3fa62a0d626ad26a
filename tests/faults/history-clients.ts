import { checkHistory, type Entry, type PostEntry } from "./history-check.ts";
import { idExpression } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Rig } from "./rig.ts";
import { streamEvents } from "./verify.ts";

const writers = 3;
const answerTimeoutMs = 35_000;
const readEveryMs = 60;

export interface HistoryRun {
  /** Ends the writers' and readers' work, reads the table once more, and decides. Only after everything has settled. */
  check(): Promise<string[]>;
}

/**
 * Clients that write down a history while a round is under way: writers that wait for ClickHouse's confirmation, or repeat
 * a request under its key; readers of the table, of the rollups and of the live stream. All events have a type of their
 * own, so that counts are of this history alone.
 */
export function recordHistory(rig: Rig, random: Random, options: { prefix: string; overMs: number }): HistoryRun {
  const history: Entry[] = [];
  const eventType = `history-${options.prefix}`;
  const startedAt = Date.now();
  const endMs = performance.now() + options.overMs;
  const stop = new AbortController();
  const under = (): boolean => performance.now() < endMs;

  const writer = async (name: string, own: Random): Promise<void> => {
    for (let n = 0; under(); n++) {
      const size = own.integer(1, 8);
      const ids = Array.from({ length: size }, (_, at) => `${options.prefix}-${name}-${n}-${at}`);
      const key = own.chance(0.4) ? `history-${ids[0]}` : null;
      const wait = own.chance(0.5);
      const request = {
        events: ids.map((id) => ({
          id,
          event: { device_id: `history-${name}`, event_type: eventType, metadata: { id } },
          poison: false,
          old: false,
        })),
        key,
        outcome: "unheard" as "unheard" | "acknowledged" | "refused",
      };
      rig.ledger.add(request);
      const entries: PostEntry[] = [];
      const events = request.events.map(({ event }) => event);
      const ask = (): Promise<PostEntry> => post(rig.url, events, { ids, key, wait });
      // A key says that it is the same request, so whoever has one asks again until there is an answer.
      do {
        entries.push(await ask());
      } while (key !== null && under() && !isAccepted(entries.at(-1)));
      // As a device whose answer was lost on the way: the same again, which has to be answered the same.
      if (key !== null && own.chance(0.5)) entries.push(await ask());
      history.push(...entries);
      // With a key, one attempt that was heard of decides for all; one that nobody heard of may have been accepted.
      if (entries.some(isAccepted)) request.outcome = "acknowledged";
      else if (entries.every(({ outcome }) => outcome === "refused")) request.outcome = "refused";
    }
  };

  const readTable = async (): Promise<void> => {
    const invokedMs = performance.now();
    const rows = await rig.rows(
      `SELECT ${idExpression} AS id, count() FROM telemetry_events WHERE event_type = '${eventType}' GROUP BY id`,
    );
    const counts = new Map(rows.map(([id, times]) => [String(id), Number(times)]));
    history.push({ kind: "table", invokedMs, completedMs: performance.now(), counts });
  };
  const tableReader = async (): Promise<void> => {
    while (under()) {
      await readTable().catch(ignoreBrokenService);
      await Bun.sleep(readEveryMs);
    }
  };

  const readRollups = async (): Promise<void> => {
    const invokedMs = performance.now();
    const range = [startedAt - 3_600_000, Date.now() + 3_600_000].map((ms) => new Date(ms).toISOString());
    const answer = await fetch(
      `${rig.url}/api/history?event_type=${encodeURIComponent(eventType)}&from=${range[0]}&to=${range[1]}&step=3600`,
      { signal: AbortSignal.timeout(5_000), keepalive: false },
    );
    if (!answer.ok) return;
    const { series } = (await answer.json()) as { series: { points: { count: number }[] }[] };
    const count = series.flatMap(({ points }) => points).reduce((sum, point) => sum + point.count, 0);
    // A stepped clock stamps events outside of any range that is asked for.
    if (rig.clockWasStepped) return;
    history.push({ kind: "count", source: "history", invokedMs, completedMs: performance.now(), count, sinceMs: 0 });
  };
  const rollupReader = async (): Promise<void> => {
    while (under()) {
      await readRollups().catch(ignoreBrokenService);
      await Bun.sleep(readEveryMs);
    }
  };

  const streamReader = async (): Promise<void> => {
    while (under()) {
      let epoch = "";
      let sinceMs = 0;
      try {
        for await (const { id, update } of streamEvents(rig, stop.signal)) {
          const completedMs = performance.now();
          const now = id.split("-", 1)[0] ?? "";
          // What an earlier run had acknowledged comes back while its journal is read; this run's own counts from here on.
          if (now !== epoch) sinceMs = completedMs;
          epoch = now;
          if (rig.clockWasStepped) continue;
          const shown = update.aggregations.find((each) => each.event_type === eventType);
          const count = shown?.event_count ?? 0;
          const certainSinceMs = rig.viewMayBeShort ? null : sinceMs;
          history.push({
            kind: "count",
            source: "stream",
            invokedMs: completedMs,
            completedMs,
            count,
            sinceMs: certainSinceMs,
          });
        }
      } catch (error) {
        ignoreBrokenService(error);
      }
      if (!stop.signal.aborted) await Bun.sleep(20);
    }
  };

  const work = Promise.all([
    ...Array.from({ length: writers }, (_, n) => writer(`w${n}`, random.fork())),
    tableReader(),
    rollupReader(),
  ]);
  const streaming = streamReader();
  return {
    async check() {
      await work;
      stop.abort();
      await streaming;
      await readTable();
      await readRollups().catch(ignoreBrokenService);
      return checkHistory(history);
    },
  };
}

const isAccepted = (entry: PostEntry | undefined): boolean =>
  entry?.outcome === "stored" || entry?.outcome === "queued";

/** Being refused, cut off and not answered is what the round is about. What is no answer of a network is a bug of this file. */
function ignoreBrokenService(error: unknown): void {
  if (error instanceof TypeError && !/fetch|socket|connect|terminated|network/i.test(error.message)) throw error;
}

async function post(
  url: string,
  events: readonly object[],
  { ids, key, wait }: { ids: readonly string[]; key: string | null; wait: boolean },
): Promise<PostEntry> {
  const invokedMs = performance.now();
  const entry = { kind: "post", ids, key, invokedMs } as const;
  try {
    const response = await fetch(`${url}/ingest${wait ? "?wait=stored" : ""}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(key === null ? {} : { "Idempotency-Key": key }) },
      body: JSON.stringify({ events }),
      signal: AbortSignal.timeout(answerTimeoutMs),
      keepalive: false,
    });
    const body = await response.text();
    const completedMs = performance.now();
    if (response.status === 200) return { ...entry, completedMs, outcome: "stored", body };
    if (response.status === 202) return { ...entry, completedMs, outcome: "queued", body };
    return { ...entry, completedMs, outcome: "refused", body };
  } catch {
    return { ...entry, completedMs: null, outcome: "unheard", body: "" };
  }
}
