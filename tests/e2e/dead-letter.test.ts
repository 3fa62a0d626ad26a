import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Update } from "../../contract/stream.ts";
import { type Service, startService, updateWhere } from "../../testing/test-service.ts";

let service: Service;
const password = "poison";
beforeAll(async () => {
  service = await startService({ CLICKHOUSE_PASSWORD: password });
}, 60_000);
afterAll(() => service.dispose());

async function admin(statement: string): Promise<void> {
  const response = await fetch(`${service.clickHouseUrl}/?user=default&password=${password}`, {
    method: "POST",
    body: statement,
  });
  expect([response.status, await response.text()]).toEqual([200, ""]);
}

async function command(...words: string[]): Promise<{ code: number; out: string }> {
  const child = Bun.spawn([process.execPath, "cli/sluice.ts", "dead-letters", ...words, "--url", service.url], {
    cwd: join(import.meta.dir, "../.."),
    env: { PATH: process.env.PATH ?? "", DATA_DIR: service.dataDirectory },
    stdout: "pipe",
    stderr: "ignore",
  });
  const out = await new Response(child.stdout).text();
  return { code: await child.exited, out };
}

const events = async (): Promise<number[]> =>
  (await service.sql<{ value_float: number }>("SELECT value_float FROM telemetry_events ORDER BY value_float")).map(
    (row) => row.value_float,
  );

test("a row that ClickHouse refuses holds nothing up: listed, shown, and replayed once when it may go in", async () => {
  await service.ingest({ device_id: "first", event_type: "t", value_float: 0 }, { query: "?wait=stored" });
  await admin("ALTER TABLE telemetry_events ADD CONSTRAINT poison CHECK value_float IS NULL OR value_float != 666");
  const batch = [1, 2, 666, 3, 4].map((value_float) => ({ device_id: "d", event_type: "t", value_float }));
  // Not all of it is stored, so the answer does not say so.
  expect((await service.ingest(batch, { query: "?wait=stored" })).status).toBe(202);
  expect(await events()).toEqual([0, 1, 2, 3, 4]);
  const update = await updateWhere<Update>(
    `${service.url}/dashboard-stream`,
    (candidate) => candidate.pipeline.dead_lettered === 1 && candidate.pipeline.pending === 0,
  );
  expect(update.pipeline).toMatchObject({ accepted: 6, durable: 6, stored: 5, clickhouse: "ok" });

  const { out } = await command("list");
  const [id] = out.split("\t") as [string];
  expect(out.trim().split("\n")).toHaveLength(1);
  expect(JSON.parse((await command("show", id)).out)).toMatchObject({ id, code: 469, event: { value_float: 666 } });

  await admin("ALTER TABLE telemetry_events DROP CONSTRAINT poison");
  expect(await command("replay", "--all")).toMatchObject({ code: 0, out: "1 of 1 replayed\n" });
  await service.ingest({ device_id: "last", event_type: "t", value_float: 1000 }, { query: "?wait=stored" });
  expect(await events()).toEqual([0, 1, 2, 3, 4, 666, 1000]);
  expect((await command("list")).out).toBe("");
}, 60_000);
