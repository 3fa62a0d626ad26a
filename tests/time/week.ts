/**
 * A week's clock in minutes: the real service and the real engine, whose wall clock is moved from one boundary to the next. Events
 * come across each of them, and the live view, the history and the table have to agree with what was sent, throughout.
 *
 *   bun tests/time/week.ts              every hour of a week, about five minutes
 *   bun tests/time/week.ts --short      six boundaries, as in CI
 *
 * The engine's `now()` stays the machine's: libchdb asks the kernel past the C library. Nothing of Sluice's SQL uses it. What the
 * engine decides by its clock, which parts have passed their TTL, follows the moved one.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findFreePort } from "../../base/free-port.ts";
import type { History } from "../../contract/read.ts";
import type { Update } from "../../contract/stream.ts";
import { ask, credentials } from "../../testing/test-engine.ts";
import { type Service, startService, until, updateWhere } from "../../testing/test-service.ts";
import { createEngine } from "../faults/processes.ts";
import { createMovedClock, type MovedClock } from "./moved-clock.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Friday. The Sunday after it has the change to summer time in Europe; Wednesday begins a month. */
const startMs = Date.UTC(2026, 2, 27, 4);
const weekHours = 7 * 24;
/** Each is a boundary of more than an hour: a day, the missing hour of Central Europe, a week's partition, a month's, a year's. */
const shortBoundaries = [
  startMs,
  Date.UTC(2026, 2, 28),
  Date.UTC(2026, 2, 29, 1),
  Date.UTC(2026, 2, 30),
  Date.UTC(2026, 3, 1),
  Date.UTC(2027, 0, 1),
];
const retentionDays = 20;
const password = "week";
/** Sent before a boundary and behind it. */
const sideMs = 700;
const sendEveryMs = 35;

export interface WeekReport {
  readonly boundaries: number;
  readonly events: number;
  readonly seconds: number;
  readonly faults: readonly string[];
}

interface Sent {
  readonly atMs: number;
  readonly value: number;
}

interface World {
  readonly clock: MovedClock;
  readonly service: Service;
  sql(text: string): Promise<(string | number | null)[][]>;
  /** Events with a time of their own. */
  readonly dated: Sent[];
  /** Events that the service dated: how many, in each hop. */
  readonly undated: number[];
  readonly faults: string[];
}

/** Null where the clock cannot be moved. */
export async function runWeek(short: boolean, progress: (line: string) => void): Promise<WeekReport | null> {
  const startedMs = performance.now();
  const directory = mkdtempSync(join(tmpdir(), "sluice-week-"));
  const clock = createMovedClock(directory);
  if (clock === null) {
    rmSync(directory, { recursive: true });
    return null;
  }
  const boundaries = short ? shortBoundaries : Array.from({ length: weekHours }, (_, hour) => startMs + hour * hourMs);
  clock.set((boundaries[0] as number) - 10_000);
  const port = findFreePort();
  const logFile = join(directory, "engine.log");
  const engine = createEngine({ port, dataDir: directory, password, logFile, env: clock.environment });
  engine.spawn();
  await engine.ready();
  const service = await startService({
    ...clock.environment,
    CLICKHOUSE_URL: `http://127.0.0.1:${port}`,
    CLICKHOUSE_PASSWORD: password,
    RETENTION_DAYS: String(retentionDays),
    FLUSH_INTERVAL: "0.1",
    AGGREGATION_INTERVAL: "0.2",
  });
  const sql: World["sql"] = async (text) => {
    const params = { output_format_json_quote_64bit_integers: "0", default_format: "JSONCompactEachRow" };
    const answer = await ask(`http://127.0.0.1:${port}/`, text, { headers: credentials(password), params });
    if (answer.status !== 200) throw new Error(answer.text);
    return answer.text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as (string | number | null)[]);
  };
  const world: World = { clock, service, sql, dated: [], undated: [], faults: [] };
  try {
    for (const [index, boundary] of boundaries.entries()) {
      await crossBoundary(world, boundary);
      progress(`${new Date(boundary).toISOString()}  ${index + 1}/${boundaries.length}  ${world.faults.length} faults`);
    }
    await compareAll(world, boundaries);
    await passRetention(world, boundaries.at(-1) as number);
    await expectNoRestart(world);
  } catch (error) {
    throw new Error(`${error}\n${service.log().slice(-2_000)}\n${readFileSync(logFile, "utf8").slice(-2_000)}`);
  } finally {
    await service.dispose();
    await engine.kill();
    rmSync(directory, { recursive: true, force: true });
  }
  const events = world.dated.length + world.undated.reduce((sum, count) => sum + count, 0);
  return {
    boundaries: boundaries.length,
    events,
    seconds: (performance.now() - startedMs) / 1000,
    faults: world.faults,
  };
}

/** Events on both sides of a boundary; then everything that shows the hours around it is compared. */
async function crossBoundary(world: World, boundary: number): Promise<void> {
  const { clock, service, dated, undated } = world;
  clock.set(boundary - sideMs);
  const here: Sent[] = [];
  let count = 0;
  for (let n = 0; clock.now() < boundary + sideMs; n++) {
    const atMs = clock.now();
    const sent = { atMs: Math.floor(atMs), value: (n % 17) - 8 };
    const timestamp = n % 2 === 0 ? sent.atMs : new Date(sent.atMs + 2 * hourMs).toISOString().replace("Z", "+02:00");
    const answer = await service.ingest([
      { device_id: `d${n % 5}`, event_type: "dated", value_float: sent.value, timestamp },
      { device_id: `d${n % 5}`, event_type: "undated", value_float: n },
    ]);
    if (answer.status === 202) {
      here.push(sent);
      count++;
    } else world.faults.push(`${new Date(atMs).toISOString()}: ${answer.status} ${await answer.text()}`);
    await Bun.sleep(sendEveryMs);
  }
  dated.push(...here);
  undated.push(count);
  await stored(service);
  await compareLive(world, here);
  await compareHistory(world, boundary);
}

const stored = (service: Service): Promise<unknown> =>
  until("everything to be stored", async () => {
    const pipeline = (await (await fetch(`${service.url}/api/pipeline`)).json()) as { pending: number };
    return pipeline.pending === 0;
  });

/** The last ten minutes are this hop's and no other's. */
async function compareLive(world: World, here: readonly Sent[]): Promise<void> {
  const wanted = figuresOf(here);
  let last: Update | null = null;
  const agrees = (update: Update): boolean => {
    last = update;
    const dated = update.aggregations.find(({ event_type }) => event_type === "dated");
    return (
      update.totals.event_count === here.length * 2 &&
      dated?.event_count === wanted.count &&
      dated.min_value === wanted.min &&
      dated.max_value === wanted.max &&
      Math.abs((dated.avg_value ?? Number.NaN) - wanted.sum / wanted.count) < 1e-9
    );
  };
  try {
    await updateWhere<Update>(`${world.service.url}/dashboard-stream`, agrees, 10_000);
  } catch {
    world.faults.push(`live view: ${JSON.stringify(last)}; sent ${JSON.stringify(wanted)}`);
  }
}

interface Figures {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

function figuresOf(sent: readonly Sent[]): Figures {
  const values = sent.map(({ value }) => value);
  const sum = values.reduce((total, value) => total + value, 0);
  return { count: values.length, sum, min: Math.min(...values), max: Math.max(...values) };
}

/** From the boundary's hour before to the one behind it, in steps of a second, a minute and an hour. */
async function compareHistory(world: World, boundary: number): Promise<void> {
  for (const step of [1, 60, 3600]) {
    const around = step === 1 ? 10_000 : hourMs;
    await compareRange(world, { fromMs: boundary - around, toMs: boundary + around, step });
  }
  const text = (atMs: number) => new Date(atMs).toISOString().replace("T", " ").replace("Z", "");
  const [row] = await world.sql(
    `SELECT count(), sum(value_float), min(timestamp), max(timestamp) FROM telemetry_events WHERE event_type = 'dated'
     AND timestamp >= '${text(boundary - hourMs)}' AND timestamp < '${text(boundary + hourMs)}'`,
  );
  const sent = world.dated.filter(({ atMs }) => atMs >= boundary - hourMs && atMs < boundary + hourMs);
  const wanted = [sent.length, figuresOf(sent).sum, text(sent[0]?.atMs ?? 0), text(sent.at(-1)?.atMs ?? 0)];
  if (JSON.stringify(row) !== JSON.stringify(wanted)) world.faults.push(`table: ${row}; sent ${wanted}`);
}

interface Range {
  readonly fromMs: number;
  readonly toMs: number;
  readonly step: number;
}

async function compareRange(world: World, { fromMs, toMs, step }: Range): Promise<void> {
  const range = new URLSearchParams({
    event_type: "dated",
    from: String(fromMs),
    to: String(toMs),
    step: String(step),
  });
  const answer = await fetch(`${world.service.url}/api/history?${range}`);
  if (!answer.ok) {
    world.faults.push(`history: ${answer.status} ${await answer.text()}`);
    return;
  }
  const history = (await answer.json()) as History;
  const stepMs = history.step_seconds * 1000;
  const sent = world.dated.filter(({ atMs }) => atMs >= Date.parse(history.from) && atMs < Date.parse(history.to));
  const wanted = Map.groupBy(sent, ({ atMs }) => Math.floor(atMs / stepMs) * stepMs);
  const points = history.series[0]?.points ?? [];
  const describe = (entries: [number, Figures][]): string => JSON.stringify(entries.toSorted(([a], [b]) => a - b));
  const found = describe(
    points.map(({ time, count, avg, min, max }) => [
      Date.parse(time),
      { count, sum: Math.round((avg ?? 0) * count), min: min ?? 0, max: max ?? 0 },
    ]),
  );
  const expected = describe([...wanted].map(([time, events]) => [time, figuresOf(events)]));
  if (found !== expected) world.faults.push(`history by ${step} s (${history.source}): ${found}; sent ${expected}`);
}

/** The whole span at once, and the totals of every table. */
async function compareAll(world: World, boundaries: readonly number[]): Promise<void> {
  const fromMs = (boundaries[0] as number) - hourMs;
  const toMs = (boundaries.at(-1) as number) + hourMs;
  const step = Math.ceil((toMs - fromMs) / 2_000_000 / 3600) * 3600;
  await compareRange(world, { fromMs, toMs, step });
  const rows = await world.sql(
    "SELECT event_type, sum(event_count) FROM telemetry_1h GROUP BY event_type ORDER BY event_type",
  );
  const undated = world.undated.reduce((sum, count) => sum + count, 0);
  const wanted = [
    ["dated", world.dated.length],
    ["undated", undated],
  ];
  if (JSON.stringify(rows) !== JSON.stringify(wanted)) world.faults.push(`telemetry_1h: ${JSON.stringify(rows)}`);
}

/** What has passed its time goes, and only that: seconds after a week, raw events after RETENTION_DAYS; minutes and hours stay. */
async function passRetention({ clock, sql, dated, undated, faults }: World, last: number): Promise<void> {
  const count = async (table: string, what = "sum(event_count)"): Promise<number> =>
    Number((await sql(`SELECT ${what} FROM ${table}`))[0]?.[0] ?? 0);
  const sent = dated.length + undated.reduce((sum, each) => sum + each, 0);
  const lastHop = (undated.at(-1) ?? 0) * 2;
  const expect = (what: string, found: number, wanted: number): void => {
    if (found !== wanted) faults.push(`${what}: ${found}, not ${wanted}`);
  };
  const expire = async (days: number): Promise<void> => {
    clock.set(last + days * dayMs);
    for (const table of ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h"])
      await sql(`OPTIMIZE TABLE ${table} FINAL SETTINGS optimize_skip_merged_partitions = 0`);
  };
  await expire(6);
  if ((await count("telemetry_1s")) < lastHop) faults.push("telemetry_1s: seconds of the last six days are gone");
  await expire(9);
  expect("telemetry_1s after nine days", await count("telemetry_1s"), 0);
  if ((await count("telemetry_events", "count()")) < lastHop) faults.push("telemetry_events: gone before their time");
  // A part holds a week, and goes when all of it has passed its time.
  await expire(retentionDays + 8);
  expect("telemetry_events after their time", await count("telemetry_events", "count()"), 0);
  expect("telemetry_1h", await count("telemetry_1h"), sent);
  if ((await count("telemetry_1m")) < lastHop) faults.push("telemetry_1m: minutes of this month are gone");
}

async function expectNoRestart({ service, faults }: World): Promise<void> {
  const ready = await fetch(`${service.url}/readyz`);
  if (ready.status !== 200) faults.push(`readyz: ${ready.status} ${await ready.text()}`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { short: { type: "boolean", default: false } } });
  const report = await runWeek(values.short, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(
    `${report === null ? "libfaketime is not installed (Debian: faketime)" : JSON.stringify(report, null, 2)}\n`,
  );
  process.exit(report === null || report.faults.length > 0 ? 1 : 0);
}
