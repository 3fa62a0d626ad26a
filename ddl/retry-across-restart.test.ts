import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@clickhouse/client";
import { createTestFolder, PASSWORD, startTestEngine, type TestEngine } from "../testing/test-engine.ts";
import { applySchema } from "./apply.ts";
import { insertSettings } from "./insert-settings.ts";

setDefaultTimeout(120_000);

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
const newFolder = (create: () => string): string => {
  const folder = create();
  folders.push(folder);
  return folder;
};

const files = readdirSync(import.meta.dir)
  .filter((name) => /^\d{3}_.*\.sql$/.test(name))
  .sort();

/** The schema of a release that had only the files up to and including `last`. */
function schemaUpTo(last: string): string {
  const directory = newFolder(() => mkdtempSync(join(tmpdir(), "sluice-schema-")));
  for (const name of files.filter((each) => each <= last)) cpSync(join(import.meta.dir, name), join(directory, name));
  return directory;
}

async function apply(engine: TestEngine, directory: string): Promise<void> {
  const client = createClient({ url: engine.url, username: "default", password: PASSWORD });
  await applySchema({ client, database: "default", retentionDays: 30, directory });
  await client.close();
}

/** 400 events of 40 devices, days apart: several parts of one batch, as after a device's outage. */
function batchText(): string {
  const startMs = Date.now() - 3_600_000;
  const time = (ms: number): string => new Date(ms).toISOString().slice(0, 23).replace("T", " ");
  return Array.from({ length: 400 }, (_, n) =>
    JSON.stringify({
      timestamp: time(startMs + n - (n % 10 === 0 ? 6 * 86_400_000 : 0)),
      received_at: time(startMs + n),
      device_id: `device-${n % 40}`,
      event_type: `type-${n % 7}`,
      value_float: n / 4,
      metadata: n % 3 === 0 ? {} : { site: `site-${n % 5}` },
    }),
  ).join("\n");
}

async function insert(engine: TestEngine, body: string): Promise<void> {
  const settings = Object.fromEntries(Object.entries(insertSettings).map(([name, value]) => [name, String(value)]));
  const params = { ...settings, deduplicate_insert: "enable", insert_deduplication_token: "journal-1" };
  const answer = await engine.service(`INSERT INTO telemetry_events FORMAT JSONEachRow\n${body}`, { params });
  expect([answer.status, answer.text]).toEqual([200, ""]);
}

async function countEvents(engine: TestEngine): Promise<Record<string, number>> {
  const tables = ["telemetry_events", "telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"];
  const counts = tables.map(async (table) => {
    const count = table === "telemetry_events" ? "count()" : "sum(event_count)";
    return [table, Number((await engine.service(`SELECT ${count} FROM ${table}`)).text)] as const;
  });
  return Object.fromEntries(await Promise.all(counts));
}

const once = { telemetry_events: 400, telemetry_1s: 400, telemetry_1m: 400, telemetry_1h: 400, devices: 400 };

// The first is a new installation; the others are upgrades with a batch under way, from each earlier schema.
for (const tried of files.toReversed().filter((name) => name >= "003")) {
  test(`a batch tried under the schema of ${tried} and again after a restart is counted once`, async () => {
    const dataDir = newFolder(createTestFolder);
    const body = batchText();
    const before = await startTestEngine({ dataDir });
    await apply(before, schemaUpTo(tried));
    await insert(before, body);
    await before.clickhouse.stop();

    const after = await startTestEngine({ dataDir });
    await apply(after, import.meta.dir);
    await insert(after, body);
    expect(await countEvents(after)).toEqual(once);
    await after.clickhouse.stop();

    const last = await startTestEngine({ dataDir });
    await insert(last, body);
    expect(await countEvents(last)).toEqual(once);
    await last.clickhouse.stop();
  });
}
