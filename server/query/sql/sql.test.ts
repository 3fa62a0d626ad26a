import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Compile } from "typebox/compile";
import { SqlAnswer } from "../../../contract/sql.ts";
import { PASSWORD } from "../../../testing/test-engine.ts";
import { startTestStore, type TestStore } from "../../../testing/test-store.ts";
import { connectClickHouse } from "../../../workers/clickhouse-client.ts";
import { createGate } from "../gate.ts";
import { createSqlRoutes } from "./routes.ts";
import { createSqlRunner } from "./sql-runner.ts";

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(240_000);

let store: TestStore;
/** As a reader of the embedded engine, and as the service's own user, as on a server of one's own. */
let apps: { readonly name: string; readonly app: ReturnType<typeof createSqlRoutes> }[];
/** Requests that reached a server that no query may reach. */
let reached = 0;
let listener: ReturnType<typeof Bun.serve>;

beforeAll(async () => {
  store = await startTestStore();
  listener = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      reached++;
      return new Response("1\n");
    },
  });
  const database = await store.createDatabase();
  await database.insert(
    Array.from({ length: 5_000 }, (_, index) => ({
      device_id: `d${index % 10}`,
      event_type: "temperature",
      timestamp: Date.now() - index * 1_000,
      value_float: index % 100,
    })),
    "one",
  );
  await database.run("CREATE TABLE secrets (text String) ENGINE = MergeTree ORDER BY text");
  await database.run("INSERT INTO secrets VALUES ('hidden')");
  await database.run("CREATE DATABASE private");
  await database.run("CREATE TABLE private.devices (text String) ENGINE = MergeTree ORDER BY text");
  await database.run("INSERT INTO private.devices VALUES ('hidden')");
  // Readers of the engine get its own database; here it is the tests'.
  await database.run("CREATE TABLE default.devices AS devices");
  await database.run("INSERT INTO default.devices SELECT * FROM devices");
  await database.run("CREATE TABLE default.telemetry_events AS telemetry_events");
  await database.run("INSERT INTO default.telemetry_events SELECT * FROM telemetry_events");
  await database.run("CREATE TABLE default.secrets (text String) ENGINE = MergeTree ORDER BY text");
  await database.run("INSERT INTO default.secrets VALUES ('hidden')");
  const create = (user: { user: string; password: string }, embedded: boolean) => {
    const address = { urls: [store.engine.url], database: "default", ...user };
    const client = connectClickHouse(address, { url: store.engine.url, database: "default", requestTimeoutMs: 60_000 });
    const runner = createSqlRunner(
      { client, gate: createGate(2, 8, 5_000), starting: () => false },
      { database: "default", embedded },
    );
    return createSqlRoutes({ runner });
  };
  apps = [
    { name: "as a reader of the embedded engine", app: create({ user: "default", password: "" }, true) },
    { name: "as a server's user", app: create({ user: "default", password: PASSWORD }, false) },
  ];
});
afterAll(async () => {
  await listener.stop(true);
  await store.stop();
});

async function ask(app: (typeof apps)[number]["app"], body: unknown) {
  const response = await app.handle(
    new Request("http://sluice.test/api/sql", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  );
  return { status: response.status, text: await response.text() };
}

const isAnswer = Compile(SqlAnswer);

async function rows(app: (typeof apps)[number]["app"], query: string, limit?: number): Promise<SqlAnswer> {
  const { status, text } = await ask(app, { query, ...(limit === undefined ? {} : { limit }) });
  expect([query, status, status === 200 ? "" : text]).toEqual([query, 200, ""]);
  const body: unknown = JSON.parse(text);
  if (!isAnswer.Check(body)) throw new Error(`not as the contract says: ${text.slice(0, 300)}`);
  return body;
}

const file = "/etc/passwd";
const address = (): string => `127.0.0.1:${listener.port}`;

/** What must not be run. None of them may answer 200, and none may have an effect. */
const attempts: readonly (string | (() => string))[] = [
  "INSERT INTO devices (device_id) VALUES ('x')",
  "INSERT INTO FUNCTION file('/tmp/x', 'CSV', 'a Int8') SELECT 1",
  "WITH 1 AS one INSERT INTO secrets SELECT 'x'",
  "ALTER TABLE devices DELETE WHERE 1",
  "DROP TABLE devices",
  "TRUNCATE TABLE devices",
  "OPTIMIZE TABLE devices FINAL",
  "RENAME TABLE devices TO mine",
  "CREATE TABLE mine (a Int8) ENGINE = Memory",
  "CREATE TEMPORARY TABLE mine (a Int8)",
  "CREATE FUNCTION mine AS x -> x",
  "SYSTEM SHUTDOWN",
  "SYSTEM RELOAD CONFIG",
  "KILL QUERY WHERE 1",
  "SET max_execution_time = 0",
  "SET ROLE ALL",
  "GRANT ALL ON *.* TO default",
  "USE system",
  "EXPLAIN SELECT 1",
  "EXPLAIN AST SELECT 1",
  "DESCRIBE devices",
  "SHOW TABLES",
  "EXISTS TABLE secrets",
  "CHECK TABLE devices",
  "BACKUP TABLE devices TO File('/tmp/x')",
  "ATTACH TABLE devices",
  "SELECT 1; DROP TABLE devices",
  "SELECT 1; SELECT 2",
  "SELECT 1 -- \n; DROP TABLE devices",
  "SELECT 1 /* ; */; DROP TABLE devices",
  "SELECT * FROM secrets",
  "SELECT * FROM default.secrets",
  "SELECT * FROM private.devices",
  'SELECT * FROM "private"."devices"',
  "SELECT * FROM `secrets`",
  "SELECT * FROM system.tables",
  "SELECT * FROM system.one, system.users",
  "SELECT * FROM information_schema.tables",
  "SELECT (SELECT text FROM secrets)",
  "SELECT 1 WHERE 'hidden' IN (SELECT text FROM secrets)",
  "SELECT 1 WHERE 'hidden' IN secrets",
  "SELECT 1 WHERE 'hidden' IN (secrets)",
  "SELECT 1 WHERE ('hidden') GLOBAL NOT IN private.devices",
  "SELECT d.device_id FROM devices AS d JOIN secrets AS s ON d.device_id = s.text",
  "SELECT device_id FROM devices UNION ALL SELECT text FROM secrets",
  "SELECT device_id FROM devices EXCEPT SELECT text FROM secrets",
  "WITH x AS (SELECT * FROM secrets) SELECT * FROM x",
  "SELECT * FROM (WITH secrets AS (SELECT 1) SELECT * FROM secrets) AS q, secrets",
  "WITH secrets AS (SELECT 1 AS a) SELECT * FROM secrets, default.secrets AS s",
  "SELECT count() FROM devices WINDOW secrets AS (PARTITION BY device_id) UNION ALL SELECT length(text) FROM secrets",
  "SELECT * FROM merge('default', '.*')",
  "SELECT * FROM merge(REGEXP('private'), '.*')",
  "SELECT * FROM view(SELECT * FROM secrets)",
  "SELECT * FROM viewIfPermitted(SELECT 1 ELSE null('a Int8'))",
  () => `SELECT * FROM file('${file}', 'LineAsString')`,
  () => `SELECT file('${file}')`,
  () => `SELECT FILE('${file}')`,
  () => `SELECT arrayMap(file, ['${file}'])`,
  () => `SELECT arrayFilter(FILE, ['${file}'])`,
  "SELECT arrayMap(sleep, [1])",
  "SELECT arrayMap(reverseDNSQuery, ['127.0.0.1'])",
  () => `WITH file AS f SELECT arrayMap(f, ['${file}'])`,
  () => `SELECT arrayFold((a, x) -> file(x), ['${file}'], '')`,
  () => `SELECT arrayMap(x -> file(x), ['${file}'])`,
  () => `SELECT '${file}' AS p, "file"(p)`,
  () => `SELECT * APPLY(file) FROM (SELECT '${file}')`,
  () => `SELECT * APPLY(x -> file(x)) FROM (SELECT '${file}')`,
  () => `SELECT COLUMNS('p') APPLY(file) FROM (SELECT '${file}' AS p)`,
  () => `SELECT * REPLACE(file('${file}') AS p) FROM (SELECT 1 AS p)`,
  () => `SELECT * FROM url('http://${address()}/', 'CSV', 'a Int8')`,
  () => `SELECT * FROM urlCluster('default', 'http://${address()}/', 'CSV', 'a Int8')`,
  () => `SELECT * FROM remote('${address()}', system.one)`,
  () => `SELECT * FROM remoteSecure('${address()}', system.one)`,
  () => `SELECT * FROM mysql('${address()}', 'a', 'b', 'c', 'd')`,
  () => `SELECT * FROM postgresql('${address()}', 'a', 'b', 'c', 'd')`,
  () => `SELECT * FROM s3('http://${address()}/x', 'CSV')`,
  () => `SELECT * FROM hdfs('hdfs://${address()}/x', 'CSV')`,
  () => `SELECT * FROM jdbc('x', 'y')`,
  "SELECT * FROM executable('id', TabSeparated, 'a String')",
  "SELECT * FROM sqlite('/tmp/x.db', 't')",
  "SELECT * FROM input('a Int8')",
  "SELECT * FROM cluster('default', system.one)",
  "SELECT * FROM clusterAllReplicas('default', system.one)",
  "SELECT * FROM dictionary('x')",
  "SELECT * FROM loop(secrets)",
  "SELECT * FROM mergeTreeIndex('default', 'secrets')",
  "SELECT * FROM generateRandom('a Int8')",
  "SELECT dictGet('private.x', 'a', 1)",
  "SELECT joinGet('private.x', 'a', 1)",
  "SELECT hasColumnInTable('private', 'devices', 'text')",
  "SELECT sleep(3)",
  "SELECT sleepEachRow(1) FROM devices",
  "SELECT getSetting('max_threads')",
  "SELECT getMacro('shard')",
  "SELECT hostName()",
  "SELECT currentUser()",
  "SELECT serverUUID()",
  "SELECT filesystemAvailable()",
  "SELECT addressToLine(1)",
  "SELECT encrypt('aes-128-ecb', 'a', '1234567890123456')",
  "SELECT reverseDNSQuery('127.0.0.1')",
  "SELECT catboostEvaluate('/x', 1)",
  "SELECT __actionName(1, 'a')",
  "SELECT 1 SETTINGS max_execution_time = 1000",
  "SELECT * FROM (SELECT 1 SETTINGS max_threads = 64)",
  "SELECT 1 FORMAT CSV",
  "SELECT 1 INTO OUTFILE '/tmp/sluice-sql-attempt.csv'",
  "SELECT 1 INTO OUTFILE '/tmp/sluice-sql-attempt.csv' FORMAT CSV",
  "SELECT {sql:String}",
  "SELECT {table:Identifier} FROM devices",
  "SELEC 1",
  "",
  " ",
  "-- nothing",
  `SELECT ${"(".repeat(2_000)}1${")".repeat(2_000)}`,
  `SELECT ${"1+".repeat(9_000)}1 FROM nowhere`,
  "SELECT '\nTableIdentifier devices' FROM secrets",
  "SELECT 1 AS `x\n TABLE id: 1, table_name: default.devices` FROM secrets",
  "SELECT text AS `a (children 1)` FROM secrets",
];

describe("POST /api/sql", () => {
  test("runs what reads Sluice's tables", async () => {
    for (const { app } of apps) {
      expect((await rows(app, "SELECT count() FROM telemetry_events")).data).toEqual([[5_000]]);
      const answer = await rows(
        app,
        `WITH busy AS (SELECT device_id, sum(event_count) AS events FROM devices GROUP BY device_id)
         SELECT device_id, events, toTypeName(events) AS type, CASE WHEN events > 1 THEN 'many' ELSE 'few' END AS word
         FROM busy WHERE device_id IN (SELECT device_id FROM telemetry_events) AND device_id LIKE 'd%'
         ORDER BY device_id LIMIT 2 -- the end`,
      );
      expect(answer).toMatchObject({
        meta: [
          { name: "device_id", type: "String" },
          { name: "events", type: "UInt64" },
          { name: "type", type: "String" },
          { name: "word", type: "String" },
        ],
        data: [
          ["d0", 500, "UInt64", "many"],
          ["d1", 500, "UInt64", "many"],
        ],
        rows: 2,
        truncated: false,
      });
      expect(
        (await rows(app, "SELECT arrayMap(x -> x * 2, [1, 2]), toStartOfHour(now()) > 0, INTERVAL 1 DAY")).rows,
      ).toBe(1);
      expect(
        (await rows(app, "SELECT quantileIf(0.5)(value_float, value_float > 1) FROM default.telemetry_events")).rows,
      ).toBe(1);
      expect(
        (
          await rows(
            app,
            "SELECT row_number() OVER (PARTITION BY device_id ORDER BY timestamp) FROM telemetry_events",
            3,
          )
        ).rows,
      ).toBe(3);
      expect((await rows(app, "SELECT number FROM numbers(3) UNION ALL SELECT 7")).rows).toBe(4);
      expect((await rows(app, "SELECT argMaxMerge(newest_metadata) FROM devices FINAL GROUP BY device_id;")).rows).toBe(
        10,
      );
    }
  });

  test("gives so many rows and says that there are more", async () => {
    for (const { app } of apps) {
      const answer = await rows(app, "SELECT timestamp, device_id FROM telemetry_events ORDER BY timestamp", 7);
      expect([answer.rows, answer.data.length, answer.truncated]).toEqual([7, 7, true]);
      const all = await rows(app, "SELECT number FROM numbers(1000000000)", 10_000);
      expect([all.rows, all.truncated, all.data.at(-1)]).toEqual([10_000, true, [9_999]]);
      expect((await rows(app, "SELECT device_id FROM telemetry_events")).rows).toBe(1_000);
    }
  });

  test("runs nothing else, and nothing that it refuses leaves a trace", async () => {
    for (const { name, app } of apps) {
      for (const attempt of attempts) {
        const query = typeof attempt === "string" ? attempt : attempt();
        const { status, text } = await ask(app, { query });
        expect([name, query.slice(0, 200), status >= 400 && status < 500 ? "refused" : status]).toEqual([
          name,
          query.slice(0, 200),
          "refused",
        ]);
        expect(text).not.toContain("root:");
      }
      expect(await rows(app, "SELECT uniqExact(device_id) FROM devices")).toMatchObject({ data: [[10]] });
    }
    expect(reached).toBe(0);
    expect(await Bun.file("/tmp/sluice-sql-attempt.csv").exists()).toBe(false);
  });

  test("a query that takes too long, or too much, ends", async () => {
    const [{ app }] = apps as [(typeof apps)[number]];
    const slow = await ask(app, { query: "SELECT sum(sipHash64(number)) FROM numbers(100000000000)" });
    expect([slow.status, JSON.parse(slow.text).error.code]).toEqual([504, "query_timeout"]);
    const wide = await ask(app, { query: "SELECT repeat('x', 100000000) FROM numbers(100)" });
    expect(wide.status).toBe(400);
  });

  test("names what is wrong with the request", async () => {
    const [{ app }] = apps as [(typeof apps)[number]];
    for (const [body, code] of [
      ["{", "malformed_json"],
      [{}, "invalid_body"],
      [{ query: 1 }, "invalid_body"],
      [{ query: "SELECT 1", limit: 10_001 }, "invalid_body"],
      [{ query: "SELECT 1", format: "CSV" }, "invalid_body"],
      [{ query: "x".repeat(200_000) }, "body_too_large"],
      [{ query: "SELECT nothing FROM devices" }, "query_refused"],
    ] as const) {
      const { text } = await ask(app, body);
      expect(JSON.parse(text).error.code).toBe(code);
    }
    const { text } = await ask(app, { query: "SELECT devise_id FROM devices" });
    expect(JSON.parse(text).error.message).toContain("devise_id");
    expect(JSON.parse(text).error.message).not.toContain("version");
  });
});
