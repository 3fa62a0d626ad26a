import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { credentials, PASSWORD, startTestEngine, type TestEngine } from "../../testing/test-engine.ts";
import { until } from "../../testing/until.ts";

let engine: TestEngine;
let client: ClickHouseClient;
beforeAll(async () => {
  engine = await startTestEngine();
  client = createClient({
    url: engine.url,
    username: "default",
    password: PASSWORD,
    log: { level: ClickHouseLogLevel.OFF },
  });
});
afterAll(async () => {
  await client.close();
  await engine.stop();
});

/** `count` rows of (id UInt32, type String, value Float64) from `first` on, with every byte a type can hold. */
function encodeRows(first: number, count: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(count * 14);
  for (let row = 0; row < count; row++) {
    const at = row * 14;
    bytes.writeUInt32LE(first + row, at);
    bytes[at + 4] = 1;
    bytes[at + 5] = (first + row) % 256;
    bytes.writeDoubleLE(first + row, at + 6);
  }
  return bytes;
}

const COLUMNS = "(id UInt32, type String, value Float64)";
/** What the journal pins so that a retry is cut into the same blocks. */
const PINNED = {
  async_insert: 0,
  max_insert_block_size: "1000",
  min_insert_block_size_rows: "1000",
  min_insert_block_size_bytes: "0",
  deduplicate_blocks_in_dependent_materialized_views: 1,
} as const;

async function insert(
  table: string,
  body: Buffer<ArrayBuffer>,
  settings: Record<string, string | number> = {},
): Promise<string> {
  const result = await client.exec({
    query: `INSERT INTO ${table} FORMAT RowBinary`,
    values: Readable.from([body]),
    clickhouse_settings: settings,
  });
  for await (const _ of result.stream) throw new Error("an INSERT has no result");
  return result.summary?.written_rows ?? "none";
}

async function rows(sql: string): Promise<unknown[]> {
  return (await client.query({ query: sql, format: "JSONCompactEachRow" })).json();
}

test("RowBinary goes in unchanged, with every byte value, and says how many rows", async () => {
  await engine.service(`CREATE TABLE bytes ${COLUMNS} ENGINE = MergeTree ORDER BY id`);
  expect(await insert("bytes", encodeRows(0, 10_000))).toBe("10000");
  expect(await rows("SELECT count(), sum(id), sum(value), uniqExact(type) FROM bytes")).toEqual([
    [10_000, 49_995_000, 49_995_000, 256],
  ]);
  expect(await rows("SELECT count() FROM bytes WHERE type != char(id % 256)")).toEqual([[0]]);
});

test("a token makes an insert of several blocks happen once, in the table and in every view behind it", async () => {
  const window = "SETTINGS non_replicated_deduplication_window = 1000";
  await engine.service(`CREATE TABLE events ${COLUMNS} ENGINE = MergeTree ORDER BY id ${window}`);
  await engine.service(
    `CREATE TABLE by_type (type String, n UInt64, v Float64) ENGINE = SummingMergeTree ORDER BY type ${window}`,
  );
  await engine.service(`CREATE TABLE total (one UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY one ${window}`);
  await engine.service(
    "CREATE MATERIALIZED VIEW by_type_view TO by_type AS SELECT type, count() AS n, sum(value) AS v FROM events GROUP BY type",
  );
  // Chained: fed by the first view's target, not by the table.
  await engine.service(
    "CREATE MATERIALIZED VIEW total_view TO total AS SELECT 1 AS one, sum(n) AS n FROM by_type GROUP BY one",
  );
  const totals =
    "SELECT (SELECT count() FROM events), (SELECT sum(n) FROM by_type), (SELECT sum(v) FROM by_type), (SELECT sum(n) FROM total)";
  const once = [[5_500, 5_500, 15_122_250, 5_500]];

  const body = encodeRows(0, 5_500);
  const settings = { ...PINNED, insert_deduplication_token: "journal'1-\\segment 7" };
  await insert("events", body, settings);
  expect(await rows(totals)).toEqual(once);
  expect(await rows("SELECT count() > 1 FROM system.parts WHERE table = 'events' AND level = 0")).toEqual([[1]]);
  for (let retry = 0; retry < 3; retry++) await insert("events", body, settings);
  expect(await rows(totals)).toEqual(once);

  // The same rows under another token are other rows: only the token decides.
  await insert("events", body, { ...settings, insert_deduplication_token: "segment 8" });
  expect(await rows(totals)).toEqual([[11_000, 11_000, 30_244_500, 11_000]]);

  // And it holds across a restart of the engine.
  process.kill(engine.clickhouse.status().pid ?? 0, "SIGKILL");
  await until(
    "the engine runs again",
    () => engine.clickhouse.status().restarts === 1 && engine.clickhouse.status().state === "running",
  );
  await insert("events", body, settings);
  expect(await rows(totals)).toEqual([[11_000, 11_000, 30_244_500, 11_000]]);
}, 20_000);

test("an insert that the engine refuses is its exception, and leaves neither rows nor a file", async () => {
  await engine.service(
    `CREATE TABLE strict (id UInt32, CONSTRAINT small CHECK id < 10) ENGINE = MergeTree ORDER BY id`,
  );
  const words = (values: number[]) => Buffer.from(new Uint32Array(values).buffer);
  await expect(insert("strict", words([1, 2, 300]))).rejects.toMatchObject({ code: "469" });
  await expect(insert("strict", Buffer.from([1, 0, 0]))).rejects.toMatchObject({ code: "33" });
  await expect(insert("no_such_table", words([1]))).rejects.toMatchObject({ code: "60" });
  await expect(insert("strict", words([1]), { no_such_setting: 1 })).rejects.toMatchObject({ code: "115" });
  expect(await rows("SELECT count() FROM strict")).toEqual([[0]]);
  expect(readdirSync(join(engine.dataDir, "clickhouse", "spool"))).toEqual([]);
});

test("a body that is cut off inserts nothing, with a length and without", async () => {
  await engine.service("CREATE TABLE cut (id UInt32) ENGINE = MergeTree ORDER BY id");
  const target = `/?query=${encodeURIComponent("INSERT INTO cut FORMAT RowBinary")}`;
  const auth = `Authorization: Basic ${btoa(`default:${PASSWORD}`)}`;
  const spool = join(engine.dataDir, "clickhouse", "spool");
  for (const framing of [
    "Content-Length: 8\r\n\r\n\x01\0\0\0",
    "Transfer-Encoding: chunked\r\n\r\n4\r\n\x01\0\0\0\r\n",
  ]) {
    const socket = connect(Number(new URL(engine.url).port), "127.0.0.1");
    socket.write(`POST ${target} HTTP/1.1\r\nHost: localhost\r\n${auth}\r\n${framing}`);
    await until("the body is on its way in", () => readdirSync(spool).length === 1);
    socket.destroy();
    await until("the half body is gone", () => readdirSync(spool).length === 0);
  }
  // A half is never handed to the engine; what comes after it is.
  expect(await insert("cut", Buffer.from([7, 0, 0, 0]))).toBe("1");
  expect(await rows("SELECT id FROM cut")).toEqual([[7]]);
});

test("rows may come in any of the places and formats that ClickHouse takes", async () => {
  await engine.service("CREATE TABLE places (id UInt32, text String) ENGINE = MergeTree ORDER BY id");
  const url = (query: string, more: Record<string, string> = {}) =>
    `${engine.url}?${new URLSearchParams({ query, ...more })}`;
  const post = async (to: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => {
    const answer = await fetch(to, { method: "POST", body, headers: { ...credentials(PASSWORD), ...headers } });
    expect([to, answer.status, await answer.text()]).toEqual([to, 200, ""]);
  };
  const row = (id: number) => Buffer.from([id, 0, 0, 0, 3, 0xc3, 0xa9, 0x0a]);
  await post(url("INSERT INTO places FORMAT RowBinary"), row(1));
  await post(
    url("insert into `default` . places(text,/* FORMAT */ id) -- values\nsettings max_threads=1 # select\nformat CSV"),
    "é\n,2\n".replace("\n,", ","),
  );
  await post(url("INSERT INTO places FORMAT RowBinary"), gzipSync(row(3)), { "Content-Encoding": "gzip" });
  await post(url("INSERT INTO places FORMAT RowBinary"), zstdCompressSync(row(4)), { "Content-Encoding": "zstd" });
  await post(engine.url, Buffer.concat([Buffer.from("INSERT INTO places FORMAT RowBinary\n"), row(5)]));
  await post(engine.url, gzipSync(Buffer.concat([Buffer.from("INSERT INTO places FORMAT RowBinary\n"), row(6)])), {
    "Content-Encoding": "gzip",
  });
  await post(engine.url, "INSERT INTO places VALUES (7, 'VALUES (1), \\'FORMAT'), (8, 'é')");
  await post(engine.url, 'INSERT INTO places FORMAT JSONEachRow {"id":9,"text":"é"}\n{"id":10,"text":"ü"}');
  await post(url("INSERT INTO places VALUES"), "(11, 'é')");
  await post(engine.url, "INSERT INTO places SELECT 12, 'é'");
  await post(url("INSERT INTO {table:Identifier} FORMAT RowBinary", { param_table: "places" }), row(13));
  // Much longer than what is looked at to find where the rows begin.
  await post(
    engine.url,
    `INSERT INTO places VALUES ${Array.from({ length: 30_000 }, (_, at) => `(${100 + at}, 'x')`).join(",")}`,
  );
  await post(url("INSERT INTO places FORMAT RowBinary"), new Uint8Array(0));
  expect(await rows("SELECT id FROM places WHERE id < 100 ORDER BY id")).toEqual(
    Array.from({ length: 13 }, (_, at) => [at + 1]),
  );
  expect(await rows("SELECT DISTINCT text FROM places WHERE id IN (1, 3, 4, 5, 6, 13)")).toEqual([["é\n"]]);
  expect(await rows("SELECT text FROM places WHERE id IN (2, 7)")).toEqual([["é"], ["VALUES (1), 'FORMAT"]]);
  expect(await rows("SELECT count(), sum(id) FROM places WHERE id >= 100")).toEqual([[30_000, 452_985_000]]);
  await client.insert({ table: "places", values: [{ id: 14, text: "client" }], format: "JSONEachRow" });
  expect(await rows("SELECT text FROM places WHERE id = 14")).toEqual([["client"]]);
  expect(readdirSync(join(engine.dataDir, "clickhouse", "spool"))).toEqual([]);
});

test("an insert cannot name a file of its own", async () => {
  await engine.service("CREATE TABLE plain (line String) ENGINE = MergeTree ORDER BY line");
  const query = "INSERT INTO plain FROM INFILE '/etc/passwd' FORMAT LineAsString";
  const answer = await engine.reader(query);
  expect(answer.headers.get("x-clickhouse-exception-code")).toBe("164");
  expect(await rows("SELECT count() FROM plain")).toEqual([[0]]);
});
