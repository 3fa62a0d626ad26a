import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Influxd, influxdPath, startInfluxd } from "../../testing/influxd.ts";
import { type Service, startService } from "../../testing/test-service.ts";
import { until } from "../../testing/until.ts";
import { differences, lineCorpus } from "./line-corpus.ts";

/** An event as docs/protocols.md maps it; times in epoch milliseconds, null where the server gave one. */
interface Mapped {
  readonly event_type: string;
  readonly value_float: number | null;
  readonly value_string: string | null;
  readonly metadata: Record<string, string>;
  readonly time_ms: number | null;
}

const unitsPerMs = { ns: 1_000_000, u: 1_000, ms: 1, s: 1 / 1000, m: 1 / 60_000, h: 1 / 3_600_000 } as const;
const nowMs = Date.now();
const nowIn = (precision: keyof typeof unitsPerMs): string => {
  const units = unitsPerMs[precision];
  // Nanoseconds and microseconds of their own, which a double would not hold.
  if (precision === "ns") return `${nowMs}123456`;
  return precision === "u" ? `${nowMs}123` : String(Math.floor(nowMs * units));
};
const cases = lineCorpus.map(({ body, precision = "ns", differs }, index) => ({
  name: `case${index}`,
  body: body.replaceAll("NOW", nowIn(precision)),
  hasTime: body.includes("NOW"),
  precision,
  differs,
}));

/** What a database of InfluxDB's holds, by the mapping table. */
async function readInflux(influx: Influxd, database: string, hasTime: boolean): Promise<Mapped[]> {
  const [points, tagKeys, fieldKeys] = await Promise.all([
    influx.query("SELECT * FROM /.*/", database),
    influx.query("SHOW TAG KEYS", database),
    influx.query("SHOW FIELD KEYS", database),
  ]);
  const tags = new Map(
    (tagKeys[0]?.series ?? []).map(({ name, values }) => [name, new Set(values.map(([key]) => String(key)))]),
  );
  const integers = new Set(
    (fieldKeys[0]?.series ?? []).flatMap(({ name, values }) =>
      values.filter(([, type]) => type === "integer").map(([key]) => `${name} ${key}`),
    ),
  );
  return (points[0]?.series ?? []).flatMap(({ name, columns, values }) =>
    values.flatMap((row) => {
      const metadata: Record<string, string> = {};
      const fields: [string, unknown][] = [];
      let timeMs = 0;
      for (const [index, column] of columns.entries()) {
        const value = row[index];
        if (column === "time") timeMs = Math.floor(Number(String(value).slice(0, -6)));
        else if (value === null || value === undefined) continue;
        else if (tags.get(name)?.has(column)) metadata[column] = String(value);
        else fields.push([column, value]);
      }
      return fields.map(([key, value]) => ({
        event_type: key === "value" ? name : `${name}_${key}`,
        ...mapValue(value, integers.has(`${name} ${key}`)),
        metadata,
        time_ms: hasTime ? timeMs : null,
      }));
    }),
  );
}

function mapValue(value: unknown, isInteger: boolean): Pick<Mapped, "value_float" | "value_string"> {
  if (typeof value === "boolean") return { value_float: Number(value), value_string: null };
  if (typeof value === "number") return { value_float: value, value_string: null };
  const text = String(value);
  // Digits that a double does not hold: `startInfluxd` keeps them text.
  if (!/^-?\d{16,}$/.test(text)) return { value_float: null, value_string: text };
  const isExact = !isInteger || Number.isSafeInteger(Number(text));
  return { value_float: Number(text), value_string: isExact ? null : text };
}

const key = (event: Mapped): string => `${event.event_type} ${JSON.stringify(event.metadata)} ${event.value_string}`;
const sorted = (events: readonly Mapped[]): Mapped[] => [...events].sort((a, b) => (key(a) < key(b) ? -1 : 1));

describe.skipIf(influxdPath === null)("the same lines to InfluxDB 1.x and to Sluice", () => {
  let influx: Influxd;
  let service: Service;
  const accepted = new Map<string, { influx: boolean; sluice: boolean }>();
  const stored = new Map<string, Mapped[]>();

  beforeAll(async () => {
    // No line has this tag, so the database names the device, and with it the case.
    [influx, service] = await Promise.all([startInfluxd(), startService({ INFLUX_DEVICE_TAGS: "no_such_tag" })]);
    await influx.query(cases.map(({ name }) => `CREATE DATABASE "${name}"`).join(";"));
    let events = 0;
    for (const { name, body, precision } of cases) {
      const [theirs, ours] = await Promise.all(
        [influx.url, service.url].map((url) =>
          fetch(`${url}/write?db=${name}&precision=${precision}`, { method: "POST", body }),
        ),
      );
      accepted.set(name, { influx: theirs?.status === 204, sluice: ours?.status === 204 });
      expect(ours?.status).toBeOneOf([204, 400]);
    }
    await until(
      "everything stored",
      async () => {
        const response = await fetch(`${service.url}/api/pipeline`);
        const { durable, stored: done } = (await response.json()) as { durable: number; stored: number };
        events = durable;
        return durable === done;
      },
      60_000,
    );
    const rows = await service.sql<Mapped & { device_id: string }>(
      `SELECT device_id, event_type, value_float, value_string, metadata, toUnixTimestamp64Milli(timestamp) AS time_ms
       FROM telemetry_events`,
    );
    expect(rows.length).toBe(events);
    for (const { device_id, ...event } of rows) stored.set(device_id, [...(stored.get(device_id) ?? []), event]);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([influx?.dispose(), service?.dispose()]);
  });

  async function compare({ name, hasTime }: (typeof cases)[number]) {
    const ours = (stored.get(name) ?? []).map((event) => ({ ...event, time_ms: hasTime ? event.time_ms : null }));
    const theirs = await readInflux(influx, name, hasTime);
    return {
      influx: { accepted: accepted.get(name)?.influx, events: sorted(theirs) },
      sluice: { accepted: accepted.get(name)?.sluice, events: sorted(ours) },
    };
  }

  test("agree on what is taken and on every value", async () => {
    const alike = cases.filter(({ differs }) => differs === undefined);
    expect(alike.length).toBeGreaterThan(200);
    const disagreements = [];
    for (const each of alike) {
      const outcome = await compare(each);
      if (!Bun.deepEquals(outcome.influx, outcome.sluice))
        disagreements.push({ body: each.body.slice(0, 200), ...outcome });
    }
    expect(disagreements).toEqual([]);
  });

  test("differ where, and only where, the list says so", async () => {
    for (const each of cases.filter(({ differs }) => differs !== undefined)) {
      const { influx: theirs, sluice: ours } = await compare(each);
      expect({ body: each.body, same: Bun.deepEquals(ours, theirs) }).toEqual({ body: each.body, same: false });
    }
  });
});

test("every difference stands in the documentation", () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/protocols.md"), "utf8");
  for (const name of differences) expect(page).toContain(`| ${name} |`);
});
