import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import http from "node:http";
import { Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import {
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
  ClickHouseError,
  createClient,
  type DataFormat,
  TupleParam,
} from "@clickhouse/client";
import { PASSWORD, startTestEngine, type TestEngine } from "../../testing/test-engine.ts";

/**
 * What ClickHouse's own client for JavaScript is promised by a server, subject by subject, asked of the embedded engine. What
 * needs users, roles, clusters or `query_log` is left out: the engine has none.
 */
let engine: TestEngine;
let client: ClickHouseClient;
let table = 0;
const clients: ClickHouseClient[] = [];

function connect(options: ClickHouseClientConfigOptions = {}): ClickHouseClient {
  const made = createClient({
    url: engine.url,
    username: "default",
    password: PASSWORD,
    ...options,
    clickhouse_settings: { output_format_json_quote_64bit_integers: 1, ...options.clickhouse_settings },
  });
  clients.push(made);
  return made;
}

beforeAll(async () => {
  engine = await startTestEngine();
  client = connect();
});
afterAll(async () => {
  for (const each of clients) await each.close();
  await engine.stop();
});

async function createTable(columns = "id UInt64, name String, sku Array(UInt8)"): Promise<string> {
  const name = `t${++table}`;
  await client.command({ query: `CREATE TABLE ${name} (${columns}) ENGINE = MergeTree ORDER BY id` });
  return name;
}

const rows = [
  { id: "42", name: "hello", sku: [0, 1] },
  { id: "43", name: "world", sku: [3, 4] },
];
const meta = [
  { name: "id", type: "UInt64" },
  { name: "name", type: "String" },
  { name: "sku", type: "Array(UInt8)" },
];
const all = async (name: string): Promise<unknown> =>
  (await client.query({ query: `SELECT * FROM ${name} ORDER BY id`, format: "JSONEachRow" })).json();
const one = async (query: string, params: Record<string, unknown> = {}, more = {}): Promise<string> =>
  (await (await client.query({ query, query_params: params, format: "TabSeparated", ...more })).text()).trim();

describe("ping", () => {
  test("succeeds, by /ping and by a query", async () => {
    expect(await client.ping()).toEqual({ success: true });
    expect(await client.ping({ select: true })).toEqual({ success: true });
  });
  test("by a query tells wrong credentials", async () => {
    const result = await connect({ username: "wrong", password: "wrong" }).ping({ select: true });
    expect(result).toMatchObject({ success: false, error: { code: "516", type: "AUTHENTICATION_FAILED" } });
  });
  test("fails without a server, as a result", async () => {
    expect(await connect({ url: "http://127.0.0.1:1" }).ping()).toMatchObject({ success: false });
  });
});

describe("select", () => {
  const query = "SELECT number, number + 1 AS next FROM numbers(3)";
  const compact = [
    ["0", "1"],
    ["1", "2"],
    ["2", "3"],
  ];
  const objects = compact.map(([number, next]) => ({ number, next }));
  const names = ["number", "next"];
  const types = ["UInt64", "UInt64"];
  test.each([
    ["JSONEachRow", objects],
    ["JSONStringsEachRow", objects],
    ["JSONCompactEachRow", compact],
    ["JSONCompactStringsEachRow", compact],
    ["JSONCompactEachRowWithNames", [names, ...compact]],
    ["JSONCompactEachRowWithNamesAndTypes", [names, types, ...compact]],
    ["JSONCompactStringsEachRowWithNames", [names, ...compact]],
    ["JSONCompactStringsEachRowWithNamesAndTypes", [names, types, ...compact]],
    ["JSONObjectEachRow", { row_1: objects[0], row_2: objects[1], row_3: objects[2] }],
    [
      "JSONColumnsWithMetadata",
      expect.objectContaining({ data: { number: ["0", "1", "2"], next: ["1", "2", "3"] }, rows: 3 }),
    ],
    ["JSON", expect.objectContaining({ data: objects, rows: 3, meta: expect.any(Array) })],
    ["JSONStrings", expect.objectContaining({ data: objects, rows: 3 })],
    ["JSONCompact", expect.objectContaining({ data: compact, rows: 3 })],
    ["JSONCompactStrings", expect.objectContaining({ data: compact, rows: 3 })],
  ] as const)("%s", async (format, expected) => {
    expect(await (await client.query({ query, format })).json()).toEqual(expected);
  });
  test.each([
    ["CSV", "0,1\n1,2\n2,3\n"],
    ["CSVWithNames", '"number","next"\n0,1\n1,2\n2,3\n'],
    ["CSVWithNamesAndTypes", '"number","next"\n"UInt64","UInt64"\n0,1\n1,2\n2,3\n'],
    ["TabSeparated", "0\t1\n1\t2\n2\t3\n"],
    ["TabSeparatedRaw", "0\t1\n1\t2\n2\t3\n"],
    ["TabSeparatedWithNames", "number\tnext\n0\t1\n1\t2\n2\t3\n"],
    ["TabSeparatedWithNamesAndTypes", "number\tnext\nUInt64\tUInt64\n0\t1\n1\t2\n2\t3\n"],
    ["CustomSeparated", "0\t1\n1\t2\n2\t3\n"],
  ] as const)("%s, as text and as a stream of lines", async (format, expected) => {
    expect(await (await client.query({ query, format })).text()).toBe(expected);
    let streamed = "";
    for await (const lines of (await client.query({ query, format })).stream())
      for (const { text } of lines) streamed += `${text}\n`;
    expect(streamed).toBe(expected);
  });
  test("a hundred thousand rows stream through, whole and in order", async () => {
    const result = await client.query({ query: "SELECT number FROM numbers(100000)", format: "JSONCompactEachRow" });
    let expected = 0;
    for await (const lines of result.stream())
      for (const line of lines) expect(line.json<[string]>()[0]).toBe(String(expected++));
    expect(expected).toBe(100_000);
  });
  test("totals and extremes", async () => {
    const result = await client.query({
      query: "SELECT number % 2 AS k, sum(number) AS s FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k",
      format: "JSON",
      clickhouse_settings: { extremes: 1 },
    });
    expect(await result.json()).toMatchObject({
      totals: { k: 0, s: "45" },
      extremes: { min: { k: 0 }, max: { k: 1 } },
    });
  });
  test("the format of the FORMAT clause is left to exec and default_format", async () => {
    const { stream } = await client.exec({
      query: "SELECT 1 AS a",
      clickhouse_settings: { default_format: "JSONCompactEachRow" },
    });
    expect(await textOf(stream)).toBe("[1]\n");
  });
  test("Parquet and RowBinary are streamed as they are", async () => {
    const { stream } = await client.exec({ query: "SELECT toUInt32(7) FORMAT RowBinary" });
    expect([...Buffer.concat(await Array.fromAsync(stream))]).toEqual([7, 0, 0, 0]);
    const parquet = await client.exec({ query: "SELECT number FROM numbers(9) FORMAT Parquet" });
    expect(
      Buffer.concat(await Array.fromAsync(parquet.stream))
        .subarray(0, 4)
        .toString(),
    ).toBe("PAR1");
  });
  test("JSONEachRowWithProgress: progress, the columns, rows, and an exception in its middle", async () => {
    const query = "SELECT number, sleepEachRow(0.02) AS s FROM numbers(5)";
    const result = await client.query({
      query,
      format: "JSONEachRowWithProgress",
      clickhouse_settings: { max_block_size: "1" },
    });
    const lines = await result.json<{ number: string }>();
    expect(lines.filter((line) => "row" in line).map((line) => ("row" in line ? line.row.number : ""))).toEqual([
      "0",
      "1",
      "2",
      "3",
      "4",
    ]);
    expect(lines[0]).toMatchObject({ progress: { total_rows_to_read: "5" } });
    const failing = await client.query({
      query: "SELECT number, throwIf(number = 10, 'boom') AS e, sleepEachRow(0.001) FROM system.numbers LIMIT 100",
      format: "JSONEachRowWithProgress",
      clickhouse_settings: { max_block_size: "1" },
    });
    await expect(failing.json()).rejects.toMatchObject({ code: "395", message: expect.stringContaining("boom") });
  });
});

describe("insert", () => {
  test.each([
    ["JSONEachRow", rows],
    ["JSONStringsEachRow", rows.map(({ id, name, sku }) => ({ id, name, sku: JSON.stringify(sku) }))],
    ["JSONCompactEachRow", rows.map(({ id, name, sku }) => [id, name, sku])],
    ["JSONCompactEachRowWithNames", [["id", "name", "sku"], ...rows.map(({ id, name, sku }) => [id, name, sku])]],
    ["JSONCompactStringsEachRow", rows.map(({ id, name, sku }) => [id, name, JSON.stringify(sku)])],
  ] as const)("%s, from an array and from a stream", async (format, values) => {
    const name = await createTable();
    await client.insert({ table: name, values: [...values], format });
    expect(await all(name)).toEqual(rows);
    const streamed = await createTable();
    await client.insert({ table: streamed, values: Readable.from([...values]), format });
    expect(await all(streamed)).toEqual(rows);
  });
  test.each([
    ["JSON", { meta, data: rows }],
    [
      "JSONCompact",
      {
        meta,
        data: rows.map(({ id, name, sku }) => [id, name, sku]),
      },
    ],
    ["JSONObjectEachRow", { "1": rows[0], "2": rows[1] }],
    [
      "JSONColumnsWithMetadata",
      {
        meta,
        data: {
          id: ["42", "43"],
          name: ["hello", "world"],
          sku: [
            [0, 1],
            [3, 4],
          ],
        },
      },
    ],
  ] as [DataFormat, never][])("%s, one document", async (format, values) => {
    const name = await createTable();
    const done = await client.insert({ table: name, values, format });
    expect(await all(name)).toEqual(rows);
    expect(done).toMatchObject({ executed: true, query_id: expect.any(String) });
    expect(done.response_headers["content-type"]).toStartWith("text/plain");
  });
  test.each([
    ["CSV", '42,hello,"[0,1]"\n43,world,"[3,4]"\n'],
    ["CSVWithNames", 'id,name,sku\n42,hello,"[0,1]"\n43,world,"[3,4]"\n'],
    ["TabSeparated", "42\thello\t[0,1]\n43\tworld\t[3,4]\n"],
    [
      "TabSeparatedWithNamesAndTypes",
      "id\tname\tsku\nUInt64\tString\tArray(UInt8)\n42\thello\t[0,1]\n43\tworld\t[3,4]\n",
    ],
    ["CustomSeparated", '42^hello^"[0,1]"\n43^world^"[3,4]"\n'],
  ] as const)("%s, a raw stream", async (format, values) => {
    const name = await createTable();
    await client.insert({
      table: name,
      values: Readable.from([values], { objectMode: false }),
      format,
      clickhouse_settings:
        format === "CustomSeparated" ? { format_custom_field_delimiter: "^", format_custom_escaping_rule: "CSV" } : {},
    });
    expect(await all(name)).toEqual(rows);
  });
  test("of some columns, and of all but some", async () => {
    const name = await createTable("id UInt32, s String DEFAULT 'none', b UInt8 DEFAULT 9");
    await client.insert({ table: name, values: [{ id: 1, s: "x" }], columns: ["id", "s"], format: "JSONEachRow" });
    await client.insert({ table: name, values: [{ id: 2 }], columns: { except: ["s", "b"] }, format: "JSONEachRow" });
    expect(await all(name)).toEqual([
      { id: 1, s: "x", b: 9 },
      { id: 2, s: "none", b: 9 },
    ]);
  });
  test("tells how many rows were written, and inserts nothing for nothing", async () => {
    const name = await createTable();
    expect((await client.insert({ table: name, values: rows, format: "JSONEachRow" })).summary).toMatchObject({
      written_rows: "2",
    });
    expect(await client.insert({ table: name, values: [], format: "JSONEachRow" })).toMatchObject({ executed: false });
    await client.insert({ table: name, values: Readable.from([]), format: "JSONEachRow" });
    expect(await one(`SELECT count() FROM ${name}`)).toBe("2");
  });
  test("a row that cannot be read is an error that names it, and none of its insert stays", async () => {
    const name = await createTable();
    const values = [...rows, { id: "x", name: "y", sku: [] }];
    await expect(client.insert({ table: name, values, format: "JSONEachRow" })).rejects.toBeInstanceOf(ClickHouseError);
    expect(await one(`SELECT count() FROM ${name}`)).toBe("0");
  });
  test("many at once, over one client", async () => {
    const name = await createTable();
    await Promise.all(
      Array.from({ length: 12 }, (_, id) =>
        client.insert({ table: name, values: [{ id, name: "n", sku: [] }], format: "JSONEachRow" }),
      ),
    );
    expect(await one(`SELECT count(), uniqExact(id) FROM ${name}`)).toBe("12\t12");
  });
});

describe("compression", () => {
  test("of responses and of requests, of results and of errors", async () => {
    const packed = connect({ compression: { request: true, response: true } });
    const name = await createTable();
    await packed.insert({ table: name, values: rows, format: "JSONEachRow" });
    await packed.insert({
      table: name,
      values: Readable.from(rows.map((row) => ({ ...row, id: "99" }))),
      format: "JSONEachRow",
    });
    expect(await one(`SELECT count() FROM ${name}`)).toBe("4");
    const result = await packed.query({ query: "SELECT number FROM numbers(50000)", format: "TabSeparated" });
    expect((await result.text()).length).toBe(288_890);
    await expect(packed.query({ query: "nonsense" })).rejects.toMatchObject({ code: "62", type: "SYNTAX_ERROR" });
    const raw = await packed.exec({
      query: "nonsense",
      decompress_response_stream: false,
      ignore_error_response: true,
    });
    expect(gunzipSync(Buffer.concat(await Array.fromAsync(raw.stream))).toString()).toContain("Syntax error");
  });
});

describe("sessions", () => {
  test("of a client, with temporary tables and SET", async () => {
    const own = connect({ session_id: "official" });
    await own.command({ query: "CREATE TEMPORARY TABLE temporary (id Int32, name String)" });
    await own.insert({ table: "temporary", values: [{ id: 42, name: "foo" }], format: "JSONEachRow" });
    await own.exec({ query: "INSERT INTO temporary VALUES (43, 'bar')" });
    const found = await own.query({ query: "SELECT * FROM temporary ORDER BY id", format: "JSONEachRow" });
    expect(await found.json()).toEqual([
      { id: 42, name: "foo" },
      { id: 43, name: "bar" },
    ]);
    await own.command({ query: "SET max_threads = 1" });
    expect(await (await own.query({ query: "SELECT getSetting('max_threads')", format: "TabSeparated" })).text()).toBe(
      "1\n",
    );
  });
  test("of one request, over those of its client", async () => {
    const own = connect({ session_id: "mine" });
    await own.command({ query: "CREATE TEMPORARY TABLE other (n Int32)", session_id: "its" });
    await expect(own.query({ query: "SELECT * FROM other" })).rejects.toMatchObject({ code: "60" });
    expect(
      await (await own.query({ query: "SELECT count() FROM other", format: "TabSeparated", session_id: "its" })).text(),
    ).toBe("0\n");
  });
});

describe("placeholders", () => {
  const at = new Date(Date.UTC(2022, 4, 2, 13, 25, 55, 789));
  test.each([
    ["{v:Int32}", -5, "-5"],
    ["{v:Float64}", 1.5, "1.5"],
    ["{v:Bool}", true, "true"],
    ["{v:UInt256}", 2n ** 200n, (2n ** 200n).toString()],
    ["{v:Decimal(20, 4)}", "123.4567", "123.4567"],
    ["{v:String}", "it's \\ a\ttab {v:String}", "it\\'s \\\\ a\\ttab {v:String}"],
    ["{v:Nullable(String)}", null, "\\N"],
    ["{v:UUID}", "5917a0de-4f2b-4b7a-9f43-4d2b6d6d1f3c", "5917a0de-4f2b-4b7a-9f43-4d2b6d6d1f3c"],
    ["{v:IPv4}", "127.0.0.1", "127.0.0.1"],
    ["{v:Array(Int32)}", [1, 2, 3], "[1,2,3]"],
    ["{v:Array(String)}", ["a'b", "c\\d"], "['a\\'b','c\\\\d']"],
    ["{v:Array(Array(Nullable(Int8)))}", [[1, null], []], "[[1,NULL],[]]"],
    ["{v:Map(String, UInt8)}", { a: 1, b: 2 }, "{'a':1,'b':2}"],
    ["{v:Map(String, Array(UInt8))}", new Map([["k", [1, 2]]]), "{'k':[1,2]}"],
    ["{v:Tuple(Int32, String)}", new TupleParam([7, "seven"]), "(7,'seven')"],
    ["{v:Date}", "2022-05-02", "2022-05-02"],
    ["{v:Date32}", "1925-01-01", "1925-01-01"],
    ["{v:DateTime('UTC')}", new Date(Math.floor(at.getTime() / 1000) * 1000), "2022-05-02 13:25:55"],
    ["{v:DateTime64(3, 'UTC')}", at, "2022-05-02 13:25:55.789"],
    ["{v:DateTime64(9, 'UTC')}", "2022-05-02 13:25:55.123456789", "2022-05-02 13:25:55.123456789"],
    ["{v:Enum8('foo' = 1, 'bar' = 2)}", "bar", "bar"],
    ["{v:Nullable(Float32)}", Number.NaN, "nan"],
    ["{v:Float64}", Number.NEGATIVE_INFINITY, "-inf"],
  ])("%s", async (placeholder, value, expected) => {
    expect(await one(`SELECT ${placeholder}`, { v: value })).toBe(expected);
  });
  test("of identifiers, of many, and of one that is missing", async () => {
    expect(
      await one(
        "SELECT count() FROM {t:Identifier} WHERE number > {n:UInt8}",
        { t: "numbers", n: 1 },
        { clickhouse_settings: {} },
      ).catch((error: ClickHouseError) => error.code),
    ).toBe("60");
    expect(await one("SELECT {a:UInt8} + {b:UInt8}", { a: 1, b: 2 })).toBe("3");
    await expect(one("SELECT {a:UInt8}, {b:UInt8}", { a: 1 })).rejects.toMatchObject({ code: "456" });
  });
  test("too long for a URL, in a form", async () => {
    const long = connect({ use_multipart_params: true } as ClickHouseClientConfigOptions);
    const ids = Array.from({ length: 3000 }, (_, id) => id);
    const query = "SELECT count() FROM numbers(5000) WHERE number IN {ids:Array(UInt64)}";
    expect(await (await long.query({ query, format: "CSV", query_params: { ids } })).text()).toBe("3000\n");
  });
});

describe("abort", () => {
  test("before, and while the answer is read, by a signal and by the stream's end", async () => {
    const before = new AbortController();
    const query = client.query({ query: "SELECT sleep(3)", abort_signal: before.signal });
    before.abort();
    await expect(query).rejects.toThrow();
    for (const how of ["signal", "destroy"]) {
      const controller = new AbortController();
      const result = await client.query({
        query: "SELECT * FROM system.numbers",
        format: "JSONCompactEachRow",
        abort_signal: controller.signal,
        query_id: `abort-${how}`,
      });
      const stream = result.stream();
      const reading = (async () => {
        for await (const _ of stream) how === "signal" ? controller.abort() : stream.destroy();
      })();
      await expect(reading).rejects.toThrow();
      while ((await one(`SELECT count() FROM system.processes WHERE query_id = 'abort-${how}'`)) !== "0")
        await Bun.sleep(20);
    }
  });
  test("of one insert leaves the others", async () => {
    const name = await createTable();
    const controller = new AbortController();
    const streams = Array.from({ length: 4 }, () => new Readable({ objectMode: true, read: () => undefined }));
    const inserts = streams.map((values, id) => {
      values.push({ id, name: "n", sku: [] });
      return client.insert({
        table: name,
        values,
        format: "JSONEachRow",
        ...(id === 2 ? { abort_signal: controller.signal } : {}),
      });
    });
    const ended = Promise.allSettled(inserts);
    await Bun.sleep(100);
    controller.abort();
    for (const stream of streams) stream.push(null);
    expect((await ended).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect(await one(`SELECT groupArray(id) FROM (SELECT id FROM ${name} ORDER BY id)`)).toBe("[0,1,3]");
  });
  test("a statement can be killed by the query_id that its client chose", async () => {
    const slow = client.query({
      query: "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)",
      query_id: "kill-me",
    });
    while ((await one("SELECT count() FROM system.processes WHERE query_id = 'kill-me'")) !== "1") await Bun.sleep(20);
    await client.command({ query: "KILL QUERY WHERE query_id = 'kill-me'" });
    await expect(slow).rejects.toMatchObject({ code: "394" });
  });
});

describe("errors", () => {
  test.each([
    ["SELECT number FR numbers(3)", "62", "SYNTAX_ERROR"],
    ["SELECT nonsense FROM numbers(3)", "47", "UNKNOWN_IDENTIFIER"],
    ["SELECT * FROM nowhere", "60", "UNKNOWN_TABLE"],
    ["SELECT * FROM nowhere.nothing", "81", "UNKNOWN_DATABASE"],
    ["SELECT noSuchFunction(1)", "46", "UNKNOWN_FUNCTION"],
    ["SELECT 1 + 'a'", "386", "NO_COMMON_TYPE"],
    ["SELECT toUInt8('abc')", "6", "CANNOT_PARSE_TEXT"],
  ])("%s is %s", async (query, code, type) => {
    const error = await client.query({ query }).catch((reason: unknown) => reason);
    // A function of two types that do not fit is worded by the engine in more than one way.
    if (code === "386") expect((error as ClickHouseError).code).toMatch(/^(386|43)$/);
    else expect(error).toMatchObject({ code, type });
    expect(error).toBeInstanceOf(ClickHouseError);
  });
  test("an unknown setting, a limit that is passed, and a failure in mid-stream", async () => {
    await expect(client.query({ query: "SELECT 1", clickhouse_settings: { nonsense: 1 } })).rejects.toMatchObject({
      code: "115",
      type: "UNKNOWN_SETTING",
    });
    await expect(
      client.query({ query: "SELECT number FROM numbers(1000)", clickhouse_settings: { max_result_rows: "10" } }),
    ).rejects.toMatchObject({ code: "396" });
    const result = await client.query({
      query: "SELECT throwIf(number = 200000) FROM numbers(1000000)",
      format: "JSONEachRow",
      clickhouse_settings: { max_block_size: "10000" },
    });
    await expect(Array.fromAsync(result.stream())).rejects.toMatchObject({ code: "395" });
  });
  test("a 200 whose head had begun is an error by its header", async () => {
    const failing = client.query({
      query:
        "SELECT count() FROM numbers(20) WHERE sleepEachRow(0.03) = 0 AND NOT throwIf(number = 10, 'late') SETTINGS max_block_size = 1",
      clickhouse_settings: { send_progress_in_http_headers: 1, http_headers_progress_interval_ms: "50" },
    });
    await expect(failing).rejects.toMatchObject({ code: "395", message: expect.stringContaining("late") });
  });
});

describe("exec and command", () => {
  test("statements without a result, and their headers", async () => {
    const name = `t${++table}`;
    const { query_id, response_headers } = await client.command({
      query: `CREATE TABLE ${name} (id UInt8) ENGINE = Memory`,
      query_id: "chosen",
    });
    expect([query_id, response_headers["x-clickhouse-query-id"]]).toEqual(["chosen", "chosen"]);
    await client.command({ query: `INSERT INTO ${name} SELECT number FROM numbers(3)` });
    await client.command({
      query: `ALTER TABLE ${name} DELETE WHERE id = 0`,
      clickhouse_settings: { mutations_sync: "2" },
    });
    expect(await one(`SELECT count() FROM ${name}`)).toBe("2");
    await expect(client.command({ query: `DROP TABLE ${name}; SELECT 1` })).rejects.toThrow();
  });
  test("exec streams values in and a result out", async () => {
    const name = await createTable("id UInt32");
    await client.exec({ query: `INSERT INTO ${name} FORMAT CSV`, values: Readable.from(["1\n", "2\n", "3\n"]) });
    expect(await one(`SELECT sum(id) FROM ${name}`)).toBe("6");
    expect(await textOf((await client.exec({ query: "SELECT 'a', 1 FORMAT CSV" })).stream)).toBe('"a",1\n');
  });
  test("EXPLAIN, SHOW, DESCRIBE and EXISTS", async () => {
    const name = await createTable();
    expect(await one(`EXISTS TABLE ${name}`)).toBe("1");
    expect(await one(`DESCRIBE TABLE ${name}`)).toContain("sku\tArray(UInt8)");
    expect(await one(`SHOW CREATE TABLE ${name}`)).toContain("MergeTree");
    expect(await one(`EXPLAIN SELECT * FROM ${name}`)).toContain("Output: id, name, sku");
  });
});

describe("settings and headers", () => {
  test("of the client and of the request; the request's win", async () => {
    const own = connect({ clickhouse_settings: { max_block_size: "111" }, http_headers: { "X-Anything": "yes" } });
    const get = async (settings = {}) =>
      (
        await own.query({
          query: "SELECT getSetting('max_block_size')",
          format: "TabSeparated",
          clickhouse_settings: settings,
        })
      ).text();
    expect([await get(), await get({ max_block_size: "222" }), await get()]).toEqual(["111\n", "222\n", "111\n"]);
  });
  test("Map settings, the database, and the time zone", async () => {
    const own = connect({ database: "system" });
    expect(await (await own.query({ query: "SELECT currentDatabase()", format: "TabSeparated" })).text()).toBe(
      "system\n",
    );
    const zone = await client.query({
      query: "SELECT toHour(toDateTime(0))",
      format: "TabSeparated",
      clickhouse_settings: { session_timezone: "Asia/Tokyo" },
    });
    expect(await zone.text()).toBe("9\n");
    expect(zone.response_headers["x-clickhouse-timezone"]).toBe("UTC");
  });
  test("progress in the summary of a result and of an insert", async () => {
    const name = await createTable("id UInt32");
    await client.insert({ table: name, values: [{ id: 1 }, { id: 2 }], format: "JSONEachRow" });
    const { summary } = await client.exec({
      query: `SELECT * FROM ${name} FORMAT TSV`,
      clickhouse_settings: { wait_end_of_query: 1 },
    });
    expect(summary).toMatchObject({ read_rows: "2", elapsed_ns: expect.stringMatching(/^\d+$/) });
  });
});

describe("connections", () => {
  test("one socket for all that one client asks in turn", async () => {
    const used = new Set<unknown>();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    agent.on("free", (socket) => used.add(socket));
    const own = connect({ http_agent: agent });
    for (let index = 0; index < 10; index++)
      expect(await (await own.query({ query: `SELECT ${index}`, format: "TabSeparated" })).text()).toBe(`${index}\n`);
    expect(used.size).toBe(1);
  });
  test("several streams of one client at once, each its own", async () => {
    const sums = await Promise.all(
      Array.from({ length: 6 }, async (_, which) => {
        const result = await client.query({
          query: `SELECT number + ${which} FROM numbers(20000)`,
          format: "JSONCompactEachRow",
        });
        let sum = 0;
        for await (const lines of result.stream()) for (const line of lines) sum += Number(line.json<[string]>()[0]);
        return sum;
      }),
    );
    expect(sums).toEqual(Array.from({ length: 6 }, (_, which) => 199_990_000 + which * 20_000));
  });
  test("max_open_connections of one, and a request's own timeout", async () => {
    const narrow = connect({ max_open_connections: 1 });
    const both = [1, 2].map(async (n) => (await narrow.query({ query: `SELECT ${n}`, format: "TabSeparated" })).text());
    expect(await Promise.all(both)).toEqual(["1\n", "2\n"]);
    await expect(connect({ request_timeout: 200 }).query({ query: "SELECT sleep(2)" })).rejects.toThrow("Timeout");
  });
});
