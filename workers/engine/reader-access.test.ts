import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type AskOptions, credentials, PASSWORD, startTestEngine, type TestEngine } from "../../testing/test-engine.ts";
import { findForbidden, isLocalRequest, readerSettings } from "./reader-access.ts";

let engine: TestEngine;
let listener: ReturnType<typeof Bun.serve>;
/** Requests that reached a server a reader must not reach. */
let reached = 0;
beforeAll(async () => {
  engine = await startTestEngine();
  listener = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      reached++;
      return new Response("1\n");
    },
  });
  await engine.service("CREATE TABLE telemetry (id UInt32, text String) ENGINE = MergeTree ORDER BY id");
  await engine.service("INSERT INTO telemetry VALUES (1, 'kept')");
  await engine.service("CREATE DATABASE private");
  await engine.service("CREATE TABLE private.secrets (text String) ENGINE = MergeTree ORDER BY text");
  await engine.service("INSERT INTO private.secrets VALUES ('hidden')");
  await engine.service("CREATE TABLE telemetry_counts (id UInt32, n UInt64) ENGINE = SummingMergeTree ORDER BY id");
  await engine.service(
    "CREATE MATERIALIZED VIEW counts TO telemetry_counts AS SELECT id, count() AS n FROM telemetry GROUP BY id",
  );
});
afterAll(async () => {
  await listener.stop(true);
  await engine.stop();
});

/** A file that is there and readable; its first word must never come back. */
const FILE = "/etc/passwd";
const here = (path: string) => join(engine.dataDir, path);
const address = () => `127.0.0.1:${listener.port}`;

type Attempt = readonly [name: string, sql: string | (() => string), request?: AskOptions];

const ATTEMPTS: readonly Attempt[] = [
  // Writes.
  ["INSERT", "INSERT INTO telemetry VALUES (2, 'x')"],
  ["INSERT SELECT", "INSERT INTO telemetry SELECT 2, 'x'"],
  ["INSERT in the URL, rows in the body", "2,x", { params: { query: "INSERT INTO telemetry FORMAT CSV" } }],
  ["INSERT into a function", () => `INSERT INTO FUNCTION file('${here("out.csv")}', 'CSV', 'a Int8') SELECT 1`],
  ["INSERT behind WITH", "WITH 1 AS one INSERT INTO telemetry SELECT one, 'x'"],
  ["CREATE TABLE", "CREATE TABLE mine (a Int8) ENGINE = Memory"],
  ["CREATE TABLE AS a file", () => `CREATE TABLE mine ENGINE = File(CSV, '${here("out.csv")}') AS SELECT 1`],
  ["CREATE TEMPORARY TABLE", "CREATE TEMPORARY TABLE mine (a Int8)"],
  ["CREATE VIEW", "CREATE VIEW mine AS SELECT 1"],
  ["CREATE DATABASE", "CREATE DATABASE mine"],
  ["CREATE FUNCTION", "CREATE FUNCTION mine AS (x) -> x"],
  [
    "CREATE DICTIONARY",
    () =>
      `CREATE DICTIONARY mine (a UInt64) PRIMARY KEY a SOURCE(HTTP(url 'http://${address()}/' format TSV)) LAYOUT(FLAT())`,
  ],
  ["CREATE USER", "CREATE USER mine"],
  ["CREATE NAMED COLLECTION", "CREATE NAMED COLLECTION mine AS a = 1"],
  ["ALTER DELETE", "ALTER TABLE telemetry DELETE WHERE 1"],
  ["DELETE", "DELETE FROM telemetry WHERE 1"],
  ["UPDATE", "UPDATE telemetry SET text = 'x' WHERE 1"],
  ["DROP TABLE", "DROP TABLE telemetry"],
  ["DETACH TABLE", "DETACH TABLE telemetry"],
  ["TRUNCATE", "TRUNCATE TABLE telemetry"],
  ["RENAME", "RENAME TABLE telemetry TO gone"],
  ["EXCHANGE", "EXCHANGE TABLES telemetry AND telemetry_counts"],
  ["OPTIMIZE", "OPTIMIZE TABLE telemetry FINAL"],
  // Power.
  ["SYSTEM", "SYSTEM STOP MERGES"],
  ["SYSTEM SHUTDOWN", "SYSTEM SHUTDOWN"],
  ["SYSTEM FLUSH LOGS", "SYSTEM FLUSH LOGS"],
  ["KILL QUERY", "KILL QUERY WHERE 1"],
  ["GRANT", "GRANT ALL ON *.* TO default"],
  ["SET ROLE ALL", "SET ROLE ALL"],
  ["SET ROLE DEFAULT", "SET ROLE DEFAULT"],
  ["EXECUTE AS", "EXECUTE AS default"],
  ["EXECUTE AS with a statement", "EXECUTE AS default SELECT 1"],
  ["BACKUP", () => `BACKUP TABLE telemetry TO File('${here("backup")}')`],
  ["BEGIN", "BEGIN TRANSACTION"],
  ["USE", "USE private"],
  // Settings that widen.
  ["SET readonly", "SET readonly = 0"],
  ["SET anything", "SET max_threads = 64"],
  ["SETTINGS readonly", "SELECT 1 SETTINGS readonly = 0"],
  ["SETTINGS readonly, odd spelling", "sElEcT/**/1\n--\n/*/**/*/SeTTinGs`readonly`=2"],
  ["SETTINGS of a subquery", "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)"],
  ["SETTINGS of a union's first half", "SELECT 1 SETTINGS max_memory_usage = 0 UNION ALL SELECT 2"],
  ["SETTINGS of a function's argument", "SELECT * FROM view(SELECT 1 SETTINGS max_memory_usage = 0)"],
  ["SETTINGS of IN", "SELECT 1 IN (SELECT 1 SETTINGS readonly = 0)"],
  ["SETTINGS of WITH", "WITH a AS (SELECT 1 SETTINGS readonly = 0) SELECT * FROM a"],
  [
    "SETTINGS that allow, inside",
    `SELECT * FROM (SELECT * FROM eval('SELECT file(\\'${FILE}\\')') SETTINGS allow_experimental_eval_table_function = 1)`,
  ],
  ["SETTINGS no limit", "SELECT 1 SETTINGS max_memory_usage = 0"],
  ["SETTINGS with a file", `SELECT 1 FORMAT Template SETTINGS format_template_row = '${FILE}'`],
  ["SETTINGS that allow", "SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1"],
  ["readonly in the URL", "SELECT 1", { params: { readonly: "0" } }],
  ["readonly=2 in the URL", "SELECT 1", { params: { readonly: "2" } }],
  ["a file setting in the URL", "SELECT 1 FORMAT Template", { params: { format_template_row: FILE } }],
  ["a schema file in the URL", "SELECT 1", { params: { output_format_schema: "/tmp/x" } }],
  ["a switch in the URL", "SELECT 1", { params: { allow_experimental_eval_table_function: "1" } }],
  ["a dialect in the URL", "SELECT 1", { params: { dialect: "kusto" } }],
  ["another role in the URL", "SELECT 1", { params: { role: "sluice_service" } }],
  // Several statements.
  ["two statements", "SELECT 1; SELECT 2"],
  ["a second that writes", "SELECT 1; DROP TABLE telemetry"],
  ["a second behind a comment", "SELECT 1 /* ; */; -- \nDROP TABLE telemetry"],
  ["a second behind a heredoc", "SELECT $$ ; $$; DROP TABLE telemetry"],
  ["a second behind a no-break space", "SELECT 1;\u00a0DROP TABLE telemetry"],
  ["half in the URL", "DROP TABLE telemetry", { params: { query: "SELECT 1;" } }],
  ["PARALLEL WITH", "SELECT 1 PARALLEL WITH DROP TABLE telemetry"],
  ["a placeholder that ends its literal", "SELECT {x:String}; DROP TABLE telemetry", { params: { param_x: "'" } }],
  ["a placeholder's name", "SELECT 1", { params: { "param_x = 1; DROP TABLE telemetry; SET param_y": "1" } }],
  ["a database's name", "SELECT 1", { params: { database: "default`; DROP TABLE telemetry; --" } }],
  // Files.
  ["file() as a table", `SELECT * FROM file('${FILE}', 'LineAsString')`],
  ["file() as a function", `SELECT file('${FILE}')`],
  ["file() escaped in backticks", `SELECT \`\\x66ile\`('${FILE}')`],
  ["file() escaped in double quotes", `SELECT "fi\\x6ce"('${FILE}')`],
  ["file() by APPLY", `SELECT * APPLY(file) FROM (SELECT '${FILE}')`],
  ["file() in a lambda", `SELECT arrayMap(x -> file(x), ['${FILE}'])`],
  ["file() in a lambda of APPLY", `SELECT * APPLY(x -> file(x)) FROM (SELECT '${FILE}')`],
  ["file() where arguments are hidden", `SELECT encrypt('aes-128-ecb', file('${FILE}'), '0123456789abcdef')`],
  ["file() in WITH", `WITH file('${FILE}') AS f SELECT f`],
  ["file() in a view", `SELECT * FROM view(SELECT file('${FILE}'))`],
  ["file() under EXPLAIN", `EXPLAIN SELECT file('${FILE}')`],
  ["file() under DESCRIBE", `DESCRIBE TABLE (SELECT file('${FILE}') AS x)`],
  ["file() in ORDER BY", `SELECT 1 ORDER BY file('${FILE}')`],
  ["file() in a LIMIT", `SELECT number FROM numbers(10) LIMIT length(file('${FILE}'))`],
  ["file() under eval", `SELECT * FROM eval('SELECT file(\\'${FILE}\\')')`],
  ["a file as a table's name", `SELECT * FROM \`${FILE}\``],
  ["a file as a qualified name", `SELECT * FROM default.\`${FILE}\``],
  ["a file as a placeholder", "SELECT * FROM {t:Identifier}", { params: { param_t: FILE } }],
  ["DESCRIBE of a file", `DESCRIBE TABLE file('${FILE}', 'CSV')`],
  ["FROM first", `FROM file('${FILE}', 'LineAsString') SELECT *`],
  ["filesystem()", "SELECT * FROM filesystem('/etc')"],
  ["fileCluster()", `SELECT * FROM fileCluster('default', '${FILE}', 'CSV', 'a String')`],
  ["sqlite()", `SELECT * FROM sqlite('${FILE}', 't')`],
  ["executable()", "SELECT * FROM executable('/bin/id', 'TSV', 'a String')"],
  ["input()", "SELECT * FROM input('a String')"],
  ["catboostEvaluate()", `SELECT catboostEvaluate('${FILE}', 1)`],
  ["icebergLocal()", "SELECT * FROM icebergLocal('/etc')"],
  ["deltaLakeLocal()", "SELECT * FROM deltaLakeLocal('/etc')"],
  ["INTO OUTFILE", () => `SELECT 1 INTO OUTFILE '${here("out.csv")}'`],
  ["INTO OUTFILE of a union", () => `SELECT 1 UNION ALL SELECT 2 INTO OUTFILE '${here("out.csv")}'`],
  ["INTO OUTFILE in brackets", () => `(SELECT 1) INTO OUTFILE '${here("out.csv")}' TRUNCATE`],
  ["INTO OUTFILE of SHOW", () => `SHOW TABLES INTO OUTFILE '${here("out.csv")}'`],
  ["INTO OUTFILE, odd spelling", () => `select 1 iNtO/**/OuTfIlE '${here("out.csv")}' AND STDOUT`],
  // Network.
  ["url()", () => `SELECT * FROM url('http://${address()}/', 'TSV', 'a String')`],
  ["url() described", () => `DESCRIBE TABLE url('http://${address()}/', 'TSV')`],
  ["url() explained", () => `EXPLAIN SELECT * FROM url('http://${address()}/', 'TSV', 'a String')`],
  ["url() in IN", () => `SELECT 1 IN (SELECT a FROM url('http://${address()}/', 'TSV', 'a Int8'))`],
  ["a URL as a table's name", () => `SELECT * FROM \`http://${address()}/x.csv\``],
  ["s3()", () => `SELECT * FROM s3('http://${address()}/b/x.csv', NOSIGN, 'TSV', 'a String')`],
  ["remote()", () => `SELECT * FROM remote('${address()}', system.one)`],
  ["remoteSecure()", () => `SELECT * FROM remoteSecure('${address()}', system.one)`],
  ["mysql()", () => `SELECT * FROM mysql('${address()}', 'a', 'b', 'c', 'd')`],
  ["postgresql()", () => `SELECT * FROM postgresql('${address()}', 'a', 'b', 'c', 'd')`],
  ["mongodb()", () => `SELECT * FROM mongodb('${address()}', 'a', 'b', 'c', 'd', 'a String')`],
  ["redis()", () => `SELECT * FROM redis('${address()}', 'a', 'a String')`],
  ["odbc()", "SELECT * FROM odbc('DSN=x', 'a', 'b')"],
  ["hdfs()", () => `SELECT * FROM hdfs('hdfs://${address()}/x', 'TSV', 'a String')`],
  ["aiGenerate()", "SELECT aiGenerate('collection', 'prompt')"],
  ["cluster()", "SELECT * FROM clusterAllReplicas('default', system.one)"],
  // What is not the reader's to read.
  ["another database", "SELECT * FROM private.secrets"],
  ["another database by merge()", "SELECT text FROM merge('private', 'secrets')"],
  ["another database as current", "SELECT * FROM secrets", { params: { database: "private" } }],
  ["users", "SELECT * FROM system.users"],
  ["addresses of code", "SELECT addressToLine(1)"],
  ["SHOW CREATE of another database", "SHOW CREATE TABLE private.secrets"],
];

describe("without credentials", () => {
  test("every way to write, to widen, or to reach a file or the network is refused, and the engine serves on", async () => {
    expect(ATTEMPTS.length).toBeGreaterThan(100);
    const secret = readFileSync(FILE, "utf8").slice(0, 12);
    const pid = engine.clickhouse.status().pid;
    for (const [name, sql, request] of ATTEMPTS) {
      const answer = await engine.reader(typeof sql === "string" ? sql : sql(), request);
      const refused = answer.status >= 400 && answer.headers.get("x-clickhouse-exception-code") !== null;
      expect([name, refused, answer.text]).toEqual([name, true, expect.stringMatching(/^Code: \d+\. DB::Exception: /)]);
      expect([name, answer.text.includes(secret), answer.text.includes("hidden")]).toEqual([name, false, false]);
      expect([name, (await engine.reader("SELECT count() FROM telemetry")).text]).toEqual([name, "1\n"]);
    }
    expect(reached).toBe(0);
    for (const file of ["out.csv", "backup"]) expect([file, existsSync(here(file))]).toEqual([file, false]);
    expect((await engine.service("SELECT * FROM telemetry")).text).toBe("1\tkept\n");
    expect((await engine.service("SHOW DATABASES")).text).not.toContain("mine");
    expect((await engine.service("SHOW TABLES")).text).toBe("counts\ntelemetry\ntelemetry_counts\n");
    expect(engine.clickhouse.status()).toMatchObject({ state: "running", restarts: 0, pid });
  }, 60_000);

  test("with credentials the same file and the same server are reached, so the attempts above could have worked", async () => {
    const secret = readFileSync(FILE, "utf8").slice(0, 12);
    for (const sql of [
      `SELECT file('${FILE}')`,
      `SELECT * FROM file('${FILE}', 'RawBLOB')`,
      `SELECT * APPLY(file) FROM (SELECT '${FILE}')`,
    ])
      expect([sql, (await engine.service(sql)).text.startsWith(secret)]).toEqual([sql, true]);
    const before = reached;
    expect((await engine.service(`SELECT * FROM url('http://${address()}/', 'TSV', 'a String')`)).text).toBe("1\n");
    expect(reached).toBeGreaterThan(before);
    expect((await engine.service("SELECT * FROM private.secrets")).text).toBe("hidden\n");
    expect((await engine.service(`SELECT 1 INTO OUTFILE '${here("allowed.csv")}'`)).status).toBe(200);
    expect(readFileSync(here("allowed.csv"), "utf8")).toBe("1\n");
  });

  test("reading is what a reader is for", async () => {
    const allowed: [string, AskOptions?][] = [
      ["SELECT * FROM telemetry"],
      ["SELECT * FROM telemetry;"],
      ["WITH 1 AS one SELECT one, count() FROM telemetry GROUP BY one"],
      ["FROM telemetry SELECT count()"],
      ["SELECT 'file', 'INTO OUTFILE', 'a; b' -- file()"],
      ["SHOW TABLES"],
      ["SHOW SETTINGS LIKE 'max_threads'"],
      ["SELECT count() FROM (SELECT name FROM system.settings)"],
      ["SELECT count() FROM (SELECT Settings FROM system.processes)"],
      ["SHOW CREATE TABLE telemetry"],
      ["DESCRIBE TABLE telemetry"],
      ["EXPLAIN SELECT * FROM telemetry"],
      ["EXISTS TABLE telemetry"],
      ["SELECT name FROM system.columns WHERE table = 'telemetry'"],
      ["SELECT table_name FROM information_schema.tables"],
      ["SELECT * FROM numbers(3)"],
      ["SELECT n FROM telemetry_counts"],
      ["SELECT * FROM system.parts", { params: { database: "system" } }],
      ["SELECT * FROM telemetry", { method: "GET" }],
      ["SELECT 1", { headers: { Authorization: `Basic ${btoa("default:")}` } }],
      ["SELECT 1", { params: { user: "default" } }],
      ["SELECT query_id FROM system.processes AS p JOIN system.processes USING query_id WHERE p.elapsed >= 0"],
    ];
    for (const [sql, request] of allowed) expect([sql, (await engine.reader(sql, request)).status]).toEqual([sql, 200]);
  });

  test("a setting that only changes how a result looks is taken, and a limit can only be lowered", async () => {
    const quoted = await engine.reader("SELECT toUInt64(1) AS n FORMAT JSONEachRow", {
      params: { output_format_json_quote_64bit_integers: "1" },
    });
    expect(quoted.text).toBe('{"n":"1"}\n');
    const limit = async (value: string) =>
      (await engine.reader("SELECT getSetting('max_execution_time')", { params: { max_execution_time: value } })).text;
    expect(await limit("5")).toBe("5\n");
    for (const value of ["0", "100000", "-1", "x"]) expect([value, await limit(value)]).toEqual([value, "60\n"]);
  });

  test("a reader's statement has bounds on time, memory, rows and spilled bytes", async () => {
    const rows = await engine.reader("SELECT number FROM numbers(200000)", { params: { max_result_rows: "100000" } });
    expect(rows.headers.get("x-clickhouse-exception-code")).toBe("396");
    const memory = await engine.reader("SELECT length(groupArray(number)) FROM numbers(500000000)");
    expect(memory.headers.get("x-clickhouse-exception-code")).toBe("241");
    const time = await engine.reader("SELECT sum(sipHash64(number)) FROM numbers(100000000000)", {
      params: { max_execution_time: "1" },
    });
    expect([time.status, time.headers.get("x-clickhouse-exception-code")]).toEqual([408, "159"]);
    for (const name of ["max_result_rows", "max_result_bytes", "max_temporary_data_on_disk_size_for_query"])
      expect([name, (await engine.reader(`SELECT toUInt64(getSetting('${name}')) > 0`)).text]).toEqual([name, "1\n"]);
  }, 20_000);

  test("nothing one request does is there for the next", async () => {
    await engine.reader("SELECT {x:String}", { params: { param_x: "1", database: "system", max_threads: "1" } });
    expect((await engine.reader("SELECT currentDatabase()")).text).toBe("default\n");
    expect((await engine.reader("SELECT {x:String}")).headers.get("x-clickhouse-exception-code")).toBe("456");
    // Some clients always name a session: a reader has nothing that one would keep.
    const params = { session_id: "of-a-reader" };
    await engine.reader("SELECT 1", { params: { ...params, database: "system" } });
    expect((await engine.reader("SELECT currentDatabase()", { params })).text).toBe("default\n");
    expect((await engine.reader("SET max_threads = 1", { params })).headers.get("x-clickhouse-exception-code")).toBe(
      "164",
    );
    await engine.service("CREATE TEMPORARY TABLE ours (a Int8)");
    expect((await engine.service("SELECT * FROM ours")).status).toBe(404);
  });
});

describe("web pages", () => {
  test("a request that a page of another site made is refused, with credentials and without", async () => {
    const evil = [
      { Host: "evil.example" },
      { Host: "127.0.0.1.evil.example" },
      { Host: "localhost.evil.example:8123" },
      { Host: "user@localhost" },
      { Origin: "https://evil.example" },
      { Origin: "http://localhost.evil.example" },
      { Origin: "null" },
      { Origin: "file://" },
      { "Sec-Fetch-Site": "cross-site" },
    ];
    for (const headers of evil)
      for (const more of [{}, credentials(PASSWORD)]) {
        const answer = await engine.reader("SELECT 1", { headers: { ...headers, ...more } as Record<string, string> });
        // A Host that no client sends does not get as far as being asked who it is.
        expect([headers, answer.status]).toEqual([
          headers,
          "Host" in headers && headers.Host.includes("@") ? 400 : 403,
        ]);
        expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      }
    const preflight = await fetch(engine.url, { method: "OPTIONS", headers: { Origin: "http://localhost:8000" } });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([404, null]);
  });

  test("a program on this machine is let in by every name of it", () => {
    for (const host of ["localhost", "localhost:8123", "LOCALHOST:1", "127.0.0.1:8123", "[::1]:8123"])
      expect([host, isLocalRequest(new Headers({ host, origin: `http://${host}` }))]).toEqual([host, true]);
  });
});

test("an outside function or a SETTINGS clause is found wherever it stands, and not inside a string or a name", () => {
  for (const sql of ["SELECT `fi\\x6ce`('x')", "SELECT FILE('x')", "SELECT * APPLY(file)"])
    expect([sql, findForbidden(sql)?.kind]).toEqual([sql, "function"]);
  for (const sql of [
    "SELECT 1 SETTINGS a = 1",
    "SELECT * FROM (SELECT 1 SETTINGS a = 1)",
    "SELECT 'SHOW', 1 SETTINGS a = 1",
  ])
    expect([sql, findForbidden(sql)?.kind]).toEqual([sql, "settings"]);
  for (const sql of [
    "SELECT 'file(1) SETTINGS', profile",
    "SELECT Settings FROM system.settings",
    "SHOW CHANGED SETTINGS",
  ])
    expect([sql, findForbidden(sql)]).toEqual([sql, null]);
});

test("a setting that is not on the list stops the request, whatever stands around it", () => {
  const limits = {
    max_execution_time: 60,
    max_result_rows: 10,
    max_result_bytes: 10,
    max_memory_usage: 10,
    max_temporary_data_on_disk_size_for_query: 10,
    max_threads: 2,
  };
  expect(
    readerSettings(
      [
        ["join_use_nulls", "1"],
        ["format_schema", "x"],
      ],
      limits,
    ),
  ).toEqual({ ok: false, name: "format_schema" });
  expect(readerSettings([["readonly", "1"]], limits)).toMatchObject({ ok: true });
});
