import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { gunzipSync } from "node:zlib";
import { credentials, PASSWORD, startTestEngine, type TestEngine } from "../../testing/test-engine.ts";

/** The engine's port beyond a question and an answer, byte by byte where that matters. */
let engine: TestEngine;
beforeAll(async () => {
  engine = await startTestEngine();
});
afterAll(() => engine.stop());

const auth = `Authorization: Basic ${btoa(`default:${PASSWORD}`)}\r\n`;

interface Heard {
  text: string;
  /** When each piece came, since the first one. */
  pieces: { text: string; atMs: number }[];
}

/** Sends bytes, half-closes if asked to, and hears until `isEnough` or the end. */
function talk(bytes: string, isEnough: (text: string) => boolean, halfClose = false): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const heard: Heard = { text: "", pieces: [] };
    const startedMs = performance.now();
    const socket = connect({ port: Number(new URL(engine.url).port), host: "127.0.0.1", allowHalfOpen: true });
    socket.on("data", (data) => {
      heard.text += data.toString("latin1");
      heard.pieces.push({ text: data.toString("latin1"), atMs: performance.now() - startedMs });
      if (isEnough(heard.text)) {
        socket.destroy();
        resolve(heard);
      }
    });
    socket.on("end", () => {
      socket.destroy();
      resolve(heard);
    });
    socket.on("error", reject);
    socket.write(bytes);
    if (halfClose) socket.end();
  });
}

const post = (sql: string, query = "", headers = auth): string =>
  `POST /?${query} HTTP/1.1\r\nHost: localhost\r\n${headers}Content-Length: ${Buffer.byteLength(sql)}\r\n\r\n${sql}`;

test("pipelined statements are answered one by one, in order, and the connection stays", async () => {
  const all = Array.from({ length: 20 }, (_, index) => post(`SELECT ${index} + 1000`)).join("");
  const { text } = await talk(all, (so) => (so.match(/HTTP\/1\.1 200/g) ?? []).length === 20 && so.endsWith("1019\n"));
  expect([...text.matchAll(/\r\n\r\n(\d+)\n/g)].map((match) => Number(match[1]))).toEqual(
    Array.from({ length: 20 }, (_, index) => index + 1000),
  );
});

test("what follows a whole insert cannot take its answer away; a client that half-closes gets it too", async () => {
  await engine.service("CREATE TABLE behind (n UInt32) ENGINE = MergeTree ORDER BY n");
  const insert = post("INSERT INTO behind FORMAT CSV\n7\n");
  for (const [after, halfClose] of [
    ["\0\0", false],
    ["GARBAGE", false],
    ["", true],
  ] as const) {
    const { text } = await talk(insert + after, (so) => so.includes("\r\n\r\n"), halfClose);
    expect([after, text.slice(0, 15)]).toEqual([after, "HTTP/1.1 200 OK"]);
  }
  expect((await engine.service("SELECT count() FROM behind")).text).toBe("3\n");
});

test("progress headers go out while the statement computes, and the status is final with them", async () => {
  const query = "send_progress_in_http_headers=1&http_headers_progress_interval_ms=50";
  const sql = "SELECT count() FROM numbers(8) WHERE sleepEachRow(0.1) = 0 SETTINGS max_block_size = 1";
  const { text, pieces } = await talk(post(sql, query), (so) => so.endsWith("\r\n\r\n8\n"));
  const told = [...text.matchAll(/X-ClickHouse-Progress: (\{.*\})\r\n/g)].map((match) => JSON.parse(match[1] ?? ""));
  expect(told.length).toBeGreaterThan(2);
  expect(told.every(({ total_rows_to_read }) => total_rows_to_read === "8")).toBe(true);
  const rows = told.map(({ read_rows }) => Number(read_rows));
  expect(rows).toEqual(rows.toSorted((a, b) => a - b));
  // The first of them was here long before the last row was read.
  expect(pieces.at(-1)?.atMs ?? 0).toBeGreaterThan((pieces[0]?.atMs ?? 0) + 300);

  const failing = `${sql.replace("= 0", "= 0 AND NOT throwIf(number = 6, 'late')")}`;
  const failed = await talk(post(failing, query), (so) => so.includes("(FUNCTION_THROW_IF"));
  expect(failed.text).toMatch(/^HTTP\/1\.1 200 OK\r\nX-ClickHouse-Progress: /);
  expect(failed.text).toMatch(/x-clickhouse-exception-code: 395\r\n/i);
});

test("JSONEachRowWithProgress flows: rows as they come, progress before them, the columns once", async () => {
  const sql =
    "SELECT number, sleepEachRow(0.2) AS s FROM numbers(4) FORMAT JSONEachRowWithProgress SETTINGS max_block_size = 1";
  const response = await fetch(engine.url, { method: "POST", body: sql, headers: credentials(PASSWORD) });
  const startedMs = performance.now();
  let firstRowMs = 0;
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (firstRowMs === 0 && text.includes('"row"')) firstRowMs = performance.now() - startedMs;
  }
  const lines = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.filter((line) => "row" in line).map((line) => line.row.number)).toEqual([0, 1, 2, 3]);
  expect(lines.filter((line) => "meta" in line)).toHaveLength(1);
  expect(lines[0]).toEqual({
    progress: {
      read_rows: expect.stringMatching(/^[1-4]$/),
      read_bytes: expect.any(String),
      total_rows_to_read: "4",
      elapsed_ns: expect.any(String),
    },
  });
  expect(lines.filter((line) => "progress" in line).at(-1).progress.read_rows).toBe("4");
  expect(performance.now() - startedMs).toBeGreaterThan(firstRowMs + 200);
});

test("KILL QUERY finds a statement by its query_id, and ends it; so does system.processes", async () => {
  const slow = engine.service("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", {
    params: { query_id: "it's mine" },
  });
  const find = "SELECT query_id FROM system.processes WHERE query_id = 'it\\'s mine'";
  while ((await engine.service(find)).text === "") await Bun.sleep(20);
  expect((await engine.reader(find.replace("processes", "processes AS p"))).text).toBe("it\\'s mine\n");
  const again = await engine.service("SELECT 1", { params: { query_id: "it's mine" } });
  expect(again.headers.get("x-clickhouse-exception-code")).toBe("216");
  expect((await engine.service("KILL QUERY WHERE query_id = 'another'")).text).toBe("");
  const killed = await engine.service("KILL QUERY WHERE query_id = 'it\\'s mine'");
  expect(killed.text).toStartWith("waiting\t");
  expect((await slow).headers.get("x-clickhouse-exception-code")).toBe("394");
  expect((await engine.reader("KILL QUERY WHERE 1")).headers.get("x-clickhouse-exception-code")).toBe("164");
});

test("a kill is not kept waiting by the statements that it is to end", async () => {
  const sql = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)";
  const slow = Array.from({ length: 6 }, (_, index) => engine.service(sql, { params: { query_id: `busy-${index}` } }));
  while ((await engine.reader("SELECT count() FROM system.processes WHERE query_id LIKE 'busy-%'")).text !== "2\n")
    await Bun.sleep(20);
  let ended = 0;
  for (const each of slow) void each.then(() => ended++);
  while (ended < slow.length) {
    await engine.service("KILL QUERY WHERE query_id LIKE 'busy-%'");
    await Bun.sleep(50);
  }
});

test("a form of any framing carries the query and placeholders too long for a URL", async () => {
  const ids = Array.from({ length: 30_000 }, (_, index) => index).join(",");
  const form = new FormData();
  form.set("query", "SELECT count() FROM numbers(50000) WHERE number IN {ids:Array(UInt64)}");
  form.set("param_ids", `[${ids}]`);
  const { headers, bytes } = await new Response(form).bytes().then((body) => ({
    bytes: body,
    headers: {
      "Content-Type": `multipart/form-data; boundary=${/^--(\S+)/.exec(Buffer.from(body.subarray(0, 100)).toString())?.[1]}`,
    },
  }));
  const chunked = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 5_000) controller.enqueue(bytes.subarray(at, at + 5_000));
      controller.close();
    },
  });
  for (const body of [bytes, chunked]) {
    const response = await fetch(engine.url, { method: "POST", body, headers });
    expect([response.status, await response.text()]).toEqual([200, "30000\n"]);
  }
  const file = new FormData();
  file.set("query", "SELECT 1");
  file.set("external", new File(["1"], "e.tsv"));
  const refused = await fetch(engine.url, { method: "POST", body: file });
  expect([refused.status, await refused.text()]).toEqual([501, expect.stringContaining("external is a file")]);
  const broken = await fetch(engine.url, {
    method: "POST",
    body: "--x\r\nnonsense",
    headers: { "Content-Type": "multipart/form-data; boundary=x" },
  });
  expect(broken.status).toBe(400);
});

test("an error is compressed when its client asks for that", async () => {
  const raw = await fetch(`${engine.url}?enable_http_compression=1`, {
    method: "POST",
    body: "SELECT nonsense",
    headers: { "Accept-Encoding": "gzip" },
    // Bun's own: the bytes as they came.
    decompress: false,
  } as RequestInit);
  expect([raw.status, raw.headers.get("content-encoding")]).toEqual([404, "gzip"]);
  expect(gunzipSync(await raw.bytes()).toString()).toStartWith("Code: 47. DB::Exception: ");
  const plain = await fetch(engine.url, {
    method: "POST",
    body: "SELECT nonsense",
    headers: { "Accept-Encoding": "gzip" },
  });
  expect(plain.headers.get("content-encoding")).toBeNull();
});

test("what is no query is a syntax error, and what has no result says so", async () => {
  expect((await engine.service("nonsense")).headers.get("x-clickhouse-exception-code")).toBe("62");
  expect((await engine.reader("nonsense")).headers.get("x-clickhouse-exception-code")).toBe("62");
  await engine.service("CREATE TABLE silent (n UInt32) ENGINE = MergeTree ORDER BY n");
  for (const [sql, type] of [
    ['INSERT INTO silent FORMAT JSONEachRow\n{"n":1}', "text/plain; charset=UTF-8"],
    ["SELECT n FROM silent WHERE n = 5 FORMAT JSONEachRow", "application/x-ndjson; charset=UTF-8"],
    ["OPTIMIZE TABLE silent", "text/plain; charset=UTF-8"],
  ] as const)
    expect([sql, (await engine.service(sql)).headers.get("content-type")]).toEqual([sql, type]);
});

test("a session keeps what its statements set, and nothing of what its requests set", async () => {
  const params = { session_id: "one" };
  const ask = async (sql: string, more: Record<string, string> = {}) =>
    (await engine.service(sql, { params: { ...params, ...more } })).text.trim();
  const missing = await engine.service("SELECT 1", { params: { session_id: "none", session_check: "1" } });
  expect(missing.headers.get("x-clickhouse-exception-code")).toBe("372");
  await ask("CREATE TEMPORARY TABLE mine (n UInt32)");
  await ask("INSERT INTO mine FORMAT CSV\n5\n6\n");
  await ask("INSERT INTO mine VALUES (7)");
  expect(await ask("SELECT sum(n) FROM mine", { session_check: "1" })).toBe("18");
  await ask("SET max_block_size = 1234");
  await ask("USE system");
  const state = "SELECT getSetting('max_block_size'), currentDatabase(), getSetting('max_threads')";
  const threads = (await engine.service("SELECT getSetting('max_threads')")).text.trim();
  expect(await ask(state)).toBe(`1234\tsystem\t${threads}`);
  expect(await ask(state, { max_block_size: "99", database: "default", max_threads: "1" })).toBe("99\tdefault\t1");
  expect(await ask(state)).toBe(`1234\tsystem\t${threads}`);
  // Nothing of it is anybody else's.
  expect((await engine.service("SELECT * FROM mine")).status).toBe(404);
  expect((await engine.service("SELECT * FROM mine", { params: { session_id: "two" } })).status).toBe(404);
  // GET reads alone, and leaves the session as it was.
  const drop = await engine.service("DROP TABLE mine", { method: "GET", params });
  expect(drop.headers.get("x-clickhouse-exception-code")).toBe("164");
  expect((await engine.service("SELECT count() FROM mine", { method: "GET", params })).text).toBe("3\n");
  await ask("INSERT INTO mine VALUES (8)");
  expect(await ask("SELECT count() FROM mine")).toBe("4");
});

test("a session is one statement's at a time, and ends when nobody uses it", async () => {
  const params = { session_id: "brief", session_timeout: "1" };
  await engine.service("CREATE TEMPORARY TABLE brief (n UInt32)", { params });
  const slow = engine.service("SELECT sleep(0.5)", { params });
  await Bun.sleep(100);
  const locked = await engine.service("SELECT 1", { params });
  expect(locked.headers.get("x-clickhouse-exception-code")).toBe("373");
  expect((await slow).status).toBe(200);
  expect((await engine.service("SELECT count() FROM brief", { params })).text).toBe("0\n");
  await Bun.sleep(1300);
  const over = await engine.service("SELECT 1", { params: { ...params, session_check: "1" } });
  expect(over.headers.get("x-clickhouse-exception-code")).toBe("372");
  for (const session_timeout of ["3601", "x", "-1"]) {
    const refused = await engine.service("SELECT 1", { params: { session_id: "late", session_timeout } });
    expect([session_timeout, refused.headers.get("x-clickhouse-exception-code")]).toEqual([session_timeout, "374"]);
  }
});

test("a hundred sessions and no more are kept", async () => {
  for (let index = 0; index < 100; index++)
    await engine.service("SELECT 1", { params: { session_id: `many-${index}`, session_timeout: "60" } });
  const refused = await engine.service("SELECT 1", { params: { session_id: "many-more" } });
  expect(refused.headers.get("x-clickhouse-exception-code")).toBe("202");
});
