import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { credentials, PASSWORD, residentBytes, startTestEngine, type TestEngine } from "../../testing/test-engine.ts";
import { until } from "../../testing/until.ts";

let engine: TestEngine;
beforeAll(async () => {
  engine = await startTestEngine();
});
afterAll(() => engine.stop());

/** Strings that end literals, lines, statements and comments somewhere. */
const HOSTILE = [
  "it's",
  "\\",
  "\\'",
  "'; DROP TABLE t; --",
  "a\tb\nc\rd",
  "\0zero",
  "/* */ -- # $$x$$",
  '`"',
  "{x:String}",
  "é漢🙂\u2028\u00a0",
  "\\N",
  "",
  "%s%n%f",
];

describe("what any ClickHouse client relies on", () => {
  test("health checks answer Ok, and an unknown path is 404", async () => {
    for (const path of ["ping", "replicas_status", ""]) {
      const response = await fetch(engine.url + path);
      expect([path, response.status, await response.text()]).toEqual([path, 200, "Ok.\n"]);
    }
    expect((await fetch(`${engine.url}play`)).status).toBe(404);
    expect((await fetch(`${engine.url}../etc/passwd`)).status).toBe(404);
  });

  test("curl's one-liner gives a tab-separated result", async () => {
    const response = await fetch(`${engine.url}?query=SELECT+1`);
    expect(await response.text()).toBe("1\n");
    expect(response.headers.get("x-clickhouse-format")).toBe("TabSeparated");
    expect(response.headers.get("x-clickhouse-timezone")).toBe("UTC");
    expect(response.headers.get("x-clickhouse-query-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get("content-length")).toBe("2");
  });

  test("the query may be in the URL, in the body, or begin in one and end in the other", async () => {
    expect((await engine.reader("SELECT 2", { method: "GET" })).text).toBe("2\n");
    expect((await engine.reader("SELECT 3")).text).toBe("3\n");
    expect((await engine.reader("+ 4", { params: { query: "SELECT 1" } })).text).toBe("5\n");
  });

  test("the format comes from the query, else from the header, else from the URL", async () => {
    const params = { default_format: "JSONEachRow" };
    const headers = { "X-ClickHouse-Format": "CSV" };
    expect((await engine.reader("SELECT 'a' AS x", { params })).text).toBe('{"x":"a"}\n');
    expect((await engine.reader("SELECT 'a' AS x", { params, headers })).text).toBe('"a"\n');
    const own = await engine.reader("SELECT 'a' AS x FORMAT TSVWithNames", { params, headers });
    expect(own.text).toBe("x\na\n");
    expect(own.headers.get("x-clickhouse-format")).toBe("TSVWithNames");
  });

  test("a placeholder takes any string as it is, and never as SQL", async () => {
    for (const value of HOSTILE) {
      // ClickHouse reads a placeholder's text with TSV's escapes.
      const escaped = value
        .replaceAll("\\", "\\\\")
        .replaceAll("\t", "\\t")
        .replaceAll("\n", "\\n")
        .replaceAll("\0", "\\0");
      const sql = "SELECT hex({x:String}) AS h, length({x:String}) AS l FORMAT TSV";
      const expected = `${Buffer.from(value).toString("hex").toUpperCase()}\t${Buffer.byteLength(value)}\n`;
      for (const who of [engine.reader, engine.service])
        expect([value, (await who(sql, { params: { param_x: escaped } })).text]).toEqual([value, expected]);
    }
  });

  test("the official client's placeholders arrive unchanged, of every type", async () => {
    const client = createClient({ url: engine.url, username: "default", password: PASSWORD });
    for (const text of HOSTILE) {
      const result = await client.query({
        query: "SELECT {s:String} AS s, {a:Array(String)} AS a, {n:Nullable(String)} AS n, {i:Int64} AS i",
        query_params: { s: text, a: [text, text], n: null, i: -5 },
        format: "JSONEachRow",
      });
      expect(await result.json()).toEqual([{ s: text, a: [text, text], n: null, i: -5 }]);
    }
    await client.close();
  });

  test("a setting in the URL holds for that request alone, with whatever characters", async () => {
    const params = { log_queries: "0", max_block_size: "1234", count_distinct_implementation: "uniqExact" };
    const sql = "SELECT getSetting('max_block_size')";
    expect((await engine.service(sql, { params })).text).toBe("1234\n");
    expect((await engine.service(sql)).text).not.toBe("1234\n");
    const hostile = await engine.service("SELECT 1", { params: { max_threads: "1; DROP TABLE t" } });
    expect(hostile.headers.get("x-clickhouse-exception-code")).not.toBeNull();
    const unknown = await engine.service("SELECT 1", { params: { "x = 1, y": "2" } });
    expect([unknown.status, unknown.headers.get("x-clickhouse-exception-code")]).toEqual([404, "115"]);
  });

  test("database= chooses the database, and one that is not there is refused", async () => {
    expect((await engine.reader("SELECT currentDatabase()", { params: { database: "system" } })).text).toBe("system\n");
    const answer = await engine.reader("SELECT 1", { params: { database: "no`such" } });
    expect([answer.status, answer.headers.get("x-clickhouse-exception-code")]).toEqual([404, "81"]);
  });

  test("query_id comes back, and cannot split a header", async () => {
    const answer = await engine.reader("SELECT 1", { params: { query_id: "mine-1" } });
    expect(answer.headers.get("x-clickhouse-query-id")).toBe("mine-1");
    expect((await engine.reader("SELECT 1", { params: { query_id: "a\r\nX-Evil: 1" } })).status).toBe(400);
  });

  test("GET never writes, whoever asks", async () => {
    const answer = await engine.service("CREATE TABLE from_get (a Int8) ENGINE = Memory", { method: "GET" });
    expect(answer.headers.get("x-clickhouse-exception-code")).toBe("164");
    expect((await engine.service("EXISTS TABLE from_get")).text).toBe("0\n");
  });

  test("what is not supported says so instead of meaning something else", async () => {
    for (const params of [{ compress: "1" }, { decompress: "1" }, { role: "x" }]) {
      const answer = await engine.service("SELECT 1", { params });
      expect([answer.status, answer.headers.get("x-clickhouse-exception-code")]).toEqual([501, "48"]);
    }
  });
});

describe("failures", () => {
  test.each([
    ["SELECT * FROM no_such_table", 404, "60", "UNKNOWN_TABLE"],
    ["SELEC 1", 400, "62", "SYNTAX_ERROR"],
    ["SELECT no_such_function(1)", 404, "46", "UNKNOWN_FUNCTION"],
    ["SELECT toUInt8('x')", 400, "6", "CANNOT_PARSE_TEXT"],
    ["SELECT throwIf(1)", 500, "395", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"],
    ["SELECT 1 FORMAT NoSuchFormat", 404, "73", "UNKNOWN_FORMAT"],
    ["SELECT {x:String}", 500, "456", "UNKNOWN_QUERY_PARAMETER"],
  ])("%s gives ClickHouse's status, code and text", async (sql, status, code, name) => {
    for (const who of [engine.reader, engine.service]) {
      const answer = await who(sql);
      expect([answer.status, answer.headers.get("x-clickhouse-exception-code")]).toEqual([status, code]);
      expect(answer.text).toMatch(
        new RegExp(`^Code: ${code}\\. DB::Exception: .*\\(${name}\\) \\(version 26[.0-9]+\\)\\n$`, "s"),
      );
    }
  });

  test("wrong credentials are refused with 516 in every place that takes them", async () => {
    const basic = (text: string) => ({ Authorization: `Basic ${btoa(text)}` });
    const wrong = [
      { headers: credentials("wrong") },
      { headers: { "X-ClickHouse-User": "nobody" } },
      { headers: basic("default:wrong") },
      { headers: basic(`root:${PASSWORD}`) },
      { headers: { Authorization: "Bearer abc" } },
      { params: { user: "default", password: "wrong" } },
      { params: { password: `${PASSWORD} ` } },
    ];
    for (const request of wrong) {
      const answer = await engine.reader("SELECT 1", request);
      expect([answer.status, answer.headers.get("x-clickhouse-exception-code")]).toEqual([403, "516"]);
    }
    const right = [
      { headers: credentials(PASSWORD) },
      { headers: basic(`default:${PASSWORD}`) },
      { params: { user: "default", password: PASSWORD } },
    ];
    for (const request of right)
      expect((await engine.reader("SELECT count() > 0 FROM system.users", request)).text).toBe("1\n");
  });

  test("a failure after the result has begun reaches the official client as its exception", async () => {
    const client = createClient({
      url: engine.url,
      username: "default",
      password: PASSWORD,
      log: { level: ClickHouseLogLevel.OFF },
    });
    const result = await client.query({
      query: "SELECT number, throwIf(number = 3000000) FROM numbers(5000000)",
      format: "JSONEachRow",
    });
    let rows = 0;
    const read = async () => {
      for await (const chunk of result.stream()) rows += chunk.length;
    };
    await expect(read()).rejects.toMatchObject({ code: "395" });
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThan(5_000_000);
    await client.close();
  });

  test("with wait_end_of_query the same failure is a status", async () => {
    const sql = "SELECT throwIf(number = 3000000) FROM numbers(5000000)";
    const answer = await engine.service(sql, { params: { wait_end_of_query: "1" } });
    expect([answer.status, answer.headers.get("x-clickhouse-exception-code")]).toEqual([500, "395"]);
  });
});

describe("compression", () => {
  test("a result is compressed when both sides say so, small or streamed", async () => {
    for (const rows of [10, 300_000]) {
      const expected = (await engine.reader(`SELECT number FROM numbers(${rows})`)).text;
      for (const encoding of ["gzip", "deflate", "zstd"]) {
        const answer = await engine.reader(`SELECT number FROM numbers(${rows})`, {
          params: { enable_http_compression: "1" },
          headers: { "Accept-Encoding": encoding },
        });
        expect([encoding, answer.headers.get("content-encoding"), answer.text === expected]).toEqual([
          encoding,
          encoding,
          true,
        ]);
      }
    }
    const unasked = await engine.reader("SELECT 1", { headers: { "Accept-Encoding": "gzip" } });
    expect(unasked.headers.get("content-encoding")).toBeNull();
    const raw = await fetch(`${engine.url}?query=SELECT+42&enable_http_compression=1`, {
      headers: { "Accept-Encoding": "gzip;q=1, zstd;q=0" },
      decompress: false,
    });
    expect(gunzipSync(await raw.arrayBuffer()).toString()).toBe("42\n");
  });

  test("a compressed query is understood, and a broken one is refused", async () => {
    const send = (body: Uint8Array<ArrayBuffer>, encoding: string) =>
      fetch(engine.url, { method: "POST", body, headers: { "Content-Encoding": encoding } });
    const sql = `SELECT length('${"x".repeat(100_000)}')`;
    expect(await (await send(gzipSync(sql), "gzip")).text()).toBe("100000\n");
    expect(await (await send(zstdCompressSync(sql), "zstd")).text()).toBe("100000\n");
    expect((await send(Buffer.from("not gzip"), "gzip")).status).toBe(500);
    expect((await send(Buffer.from("x"), "snap")).status).toBe(501);
    // A bomb stops at the limit of a query's text, not at the size of memory.
    const bomb = await send(gzipSync(Buffer.alloc(200 * 1024 * 1024, 32)), "gzip");
    expect([bomb.status, bomb.headers.get("x-clickhouse-exception-code")]).toEqual([413, "229"]);
  });
});

describe("large results", () => {
  test("a streamed result is byte for byte what the engine builds whole, whatever the format", async () => {
    // More than one block, and names and values that look like the ends of headers.
    const sql = `SELECT number AS n, toString(number) AS "a ""b"" c", if(number % 2 = 0, NULL, 'x\n"y') AS v FROM numbers(150000)`;
    const formats = [
      "TSV",
      "TSVRaw",
      "TSVWithNames",
      "TSVWithNamesAndTypes",
      "CSV",
      "CSVWithNames",
      "CSVWithNamesAndTypes",
      "TSKV",
      "JSONEachRow",
      "JSONCompactEachRow",
      "JSONCompactEachRowWithNamesAndTypes",
      "RowBinary",
      "RowBinaryWithNames",
      "RowBinaryWithNamesAndTypes",
      "MsgPack",
    ];
    for (const format of formats) {
      // One block: what the format writes when nothing has to be joined.
      const whole = await engine.service(`${sql} FORMAT ${format}`, {
        params: { max_block_size: "200000", max_threads: "1" },
      });
      const joined = await engine.service(`${sql} FORMAT ${format}`, {
        params: { max_block_size: "40000", max_threads: "1" },
      });
      expect([format, whole.status, joined.status]).toEqual([format, 200, 200]);
      expect([format, joined.text.length, joined.text === whole.text]).toEqual([format, whole.text.length, true]);
      expect(whole.text.length).toBeGreaterThan(1_000_000);
    }
  });

  test("a format with a beginning and an end is one document, and has a limit", async () => {
    const answer = await engine.service("SELECT number FROM numbers(200000) FORMAT JSON");
    expect(JSON.parse(answer.text).rows).toBe(200_000);
    const big = await engine.service("SELECT number FROM numbers(20000000) FORMAT JSON");
    expect(big.headers.get("x-clickhouse-exception-code")).toBe("396");
  });

  test("50 million rows go through without the engine growing, and a reader that stops costs no more", async () => {
    const pid = engine.clickhouse.status().pid ?? 0;
    await engine.service("SELECT number FROM numbers(1000000)");
    const before = residentBytes(pid);
    const url = `${engine.url}?query=SELECT+number+FROM+numbers(50000000)`;
    const response = await fetch(url, { headers: credentials(PASSWORD) });
    let bytes = 0;
    let peak = before;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      peak = Math.max(peak, residentBytes(pid));
    }
    expect(bytes).toBe(438_888_890);
    expect(peak - before).toBeLessThan(150 * 1024 * 1024);
  }, 30_000);

  test("a client that goes away stops its statement, streaming or not", async () => {
    const marks = {
      streaming: "SELECT number AS abandoned_stream FROM numbers(10000000000)",
      counting: "SELECT sum(sipHash64(number)) AS abandoned_sum FROM numbers(100000000000)",
    };
    const runningLike = async (pattern: string) =>
      (
        await engine.service(
          `SELECT count() FROM system.processes WHERE query LIKE '%${pattern}%' AND query NOT LIKE '%processes%'`,
        )
      ).text;
    for (const [name, sql] of Object.entries(marks)) {
      const pattern = name === "streaming" ? "abandoned_stream" : "abandoned_sum";
      const socket = connect(Number(new URL(engine.url).port), "127.0.0.1");
      const auth = btoa(`default:${PASSWORD}`);
      socket.write(
        `GET /?query=${encodeURIComponent(sql)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ${auth}\r\n\r\n`,
      );
      await until(`${name} runs`, async () => (await runningLike(pattern)) === "1\n");
      socket.destroy();
      await until(`${name} has stopped`, async () => (await runningLike(pattern)) === "0\n");
    }
  });

  test("/ping and other statements are quick while a statement computes or plans for long", async () => {
    // A scalar subquery runs while its statement is being planned.
    const slow = [
      "SELECT sum(sipHash64(number)) FROM numbers(100000000)",
      "SELECT (SELECT sum(sleepEachRow(0.1)) FROM numbers(10))",
    ];
    let done = false;
    const all = Promise.all(slow.map((sql) => engine.reader(sql))).then((answers) => {
      done = true;
      return answers;
    });
    const delaysMs: number[] = [];
    while (!done) {
      const startedMs = performance.now();
      expect((await fetch(`${engine.url}ping`)).status).toBe(200);
      expect((await engine.service("SELECT 1")).text).toBe("1\n");
      delaysMs.push(performance.now() - startedMs);
    }
    expect((await all).map((answer) => answer.status)).toEqual([200, 200]);
    delaysMs.sort((a, b) => a - b);
    expect(delaysMs.length).toBeGreaterThan(5);
    expect(delaysMs[Math.floor(delaysMs.length / 2)]).toBeLessThan(100);
  }, 30_000);

  test("a full queue refuses with ClickHouse's code, and works again afterwards", async () => {
    const statements = Array.from({ length: 60 }, () => engine.reader("SELECT sleep(0.05)"));
    const codes = (await Promise.all(statements)).map((answer) => answer.headers.get("x-clickhouse-exception-code"));
    expect(codes.filter((code) => code === "202").length).toBeGreaterThan(0);
    expect(codes.filter((code) => code === null).length).toBeGreaterThanOrEqual(34);
    expect((await engine.reader("SELECT 1")).text).toBe("1\n");
  });
});
