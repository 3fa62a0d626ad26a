import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { ClickHouseClient } from "@clickhouse/client";
import { createRandom } from "../base/random.ts";
import { startTestStore, type TestDatabase, type TestStore } from "../testing/test-store.ts";
import { until } from "../testing/until.ts";
import { applySchema } from "./apply.ts";

/** A schema that was being applied when the service or the engine died, at any of its statements, is completed by the next start. */
setDefaultTimeout(120_000);

let store: TestStore;
let statements = 0;
let reference = "";
beforeAll(async () => {
  store = await startTestStore();
  const database = await store.createDatabase({ schema: false });
  const client = watched(database.client, () => void statements++);
  await applySchema({ client, database: database.name, retentionDays: 30 });
  reference = await schemaOf(database);
});
afterAll(() => store.stop());

/** Tells of each statement that changes something, before it is sent. */
function watched(client: ClickHouseClient, before: (index: number) => void): ClickHouseClient {
  let index = 0;
  const told = (method: "command" | "insert") => (options: never) => {
    before(index++);
    return client[method](options);
  };
  return new Proxy(client, {
    get(target, name, receiver) {
      return name === "command" || name === "insert" ? told(name) : Reflect.get(target, name, receiver);
    },
  });
}

async function schemaOf(database: TestDatabase): Promise<string> {
  const tables = await database.rows<{ name: string; sql: string }>(
    "SELECT name, create_table_query AS sql FROM system.tables WHERE database = currentDatabase() ORDER BY name",
  );
  const records = await database.rows("SELECT number, name, checksum FROM sluice_schema FINAL ORDER BY number");
  return JSON.stringify([tables, records]).replaceAll(database.name, "DATABASE");
}

const apply = (database: TestDatabase, client = database.client) =>
  applySchema({ client, database: database.name, retentionDays: 30 });

/** Every statement takes half a minute; each run takes every eighth, from another one on. */
const stride = 8;
const engineKills = 1;
const seed = Date.now() % 1_000_000;
const random = createRandom(seed);

test("the service dies before any of the statements", async () => {
  expect(statements).toBeGreaterThan(15);
  for (let at = Math.floor(random() * stride); at < statements; at += stride) {
    const database = await store.createDatabase({ schema: false });
    const dying = watched(database.client, (index) => {
      if (index === at) throw new Error("the service is dead");
    });
    await expect(apply(database, dying)).rejects.toThrow("the service is dead");
    await apply(database);
    expect(`${at}: ${await schemaOf(database)}`).toBe(`${at}: ${reference}`);
  }
});

test("the engine is killed in the middle of a statement", async () => {
  for (let round = 0; round < engineKills; round++) {
    const at = Math.floor(random() * statements);
    const delayMs = random() * 8;
    const database = await store.createDatabase({ schema: false });
    const { pid, restarts } = store.engine.clickhouse.status();
    const dying = watched(database.client, (index) => {
      if (index === at) setTimeout(() => process.kill(pid as number, "SIGKILL"), delayMs);
    });
    await apply(database, dying).catch(() => undefined);
    await until(
      "the engine to be back",
      () =>
        store.engine.clickhouse.status().restarts > restarts && store.engine.clickhouse.status().state === "running",
    );
    await apply(database);
    expect(`seed ${seed}, ${at}: ${await schemaOf(database)}`).toBe(`seed ${seed}, ${at}: ${reference}`);
  }
});
