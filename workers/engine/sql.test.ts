import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { startTestEngine, type TestEngine } from "../../testing/test-engine.ts";
import { formatClauseOf, parseInsertHead, quoteIdentifier, quoteString, tokens } from "./sql.ts";

let engine: TestEngine;
beforeAll(async () => {
  engine = await startTestEngine();
});
afterAll(() => engine.stop());

/** Text made of the pieces that end things in SQL. */
const NASTY = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "'",
        '"',
        "`",
        "\\",
        "--",
        "#",
        "/*",
        "*/",
        "$$",
        ";",
        "\n",
        "\r",
        "\t",
        "\0",
        "\b",
        "\f",
        "{x:String}",
        "é",
        "🙂",
        "x",
      ),
      fc.string({ unit: "binary", maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join("").toWellFormed());

test("a quoted string is that string to the engine, and a quoted identifier that name", async () => {
  await fc.assert(
    fc.asyncProperty(NASTY, NASTY, async (text, name) => {
      const alias = `n${name}`;
      const answer = await engine.service(
        `SELECT hex(${quoteString(text)}) AS ${quoteIdentifier(alias)} FORMAT JSONColumnsWithMetadata`,
      );
      const result = JSON.parse(answer.text) as { meta: { name: string }[]; data: Record<string, string[]> };
      expect(result.meta[0]?.name).toBe(alias);
      expect(Object.values(result.data)[0]).toEqual([Buffer.from(text).toString("hex").toUpperCase()]);
    }),
    { numRuns: 150 },
  );
}, 30_000);

test("the lexer cuts what the engine reads: a string or a comment never hides or shows a word", async () => {
  await fc.assert(
    fc.asyncProperty(NASTY, NASTY, async (text, comment) => {
      const safe = comment.replaceAll("*/", "").replaceAll("/*", "");
      const sql = `SELECT /*${safe}*/ ${quoteString(text)} AS ${quoteIdentifier(`f${text}`)}`;
      expect([...tokens(sql)].filter((token) => token.kind === "word").map((token) => token.text)).toEqual([
        "select",
        "as",
      ]);
      expect((await engine.reader(sql)).status).toBe(200);
    }),
    { numRuns: 100 },
  );
}, 30_000);

test("whatever a reader sends, the engine answers it and goes on", async () => {
  const pieces = [
    "SELECT",
    "1",
    "FROM",
    "system.one",
    "(",
    ")",
    ",",
    ";",
    "'",
    "`",
    "\\",
    "{x:String}",
    "FORMAT",
    "JSON",
    "SETTINGS",
    "INTO OUTFILE",
    "UNION ALL",
    "WITH",
    "AS",
    "x",
    "*",
    "EXPLAIN",
    "numbers(3)",
    "INSERT",
    "VALUES",
    "\0",
    "--",
    "/*",
    "$$",
    "é",
    "[",
    "]",
    "->",
    "INTERVAL",
    "::",
    "Tuple(",
    "NULL",
    "WHERE",
    "LIMIT",
    "-1",
  ];
  const pid = engine.clickhouse.status().pid;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...pieces), { maxLength: 14 }), async (parts) => {
      const answer = await engine.reader(parts.join(" "), { params: { param_x: "1" } });
      expect(answer.status === 200 || answer.headers.has("x-clickhouse-exception-code")).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect(engine.clickhouse.status()).toMatchObject({ pid, restarts: 0, state: "running" });
}, 30_000);

test("an INSERT's head ends where its rows begin", () => {
  const heads: [string, { target: string; settings: string; format: string } | null, string?][] = [
    ["INSERT INTO t FORMAT RowBinary", { target: "INSERT INTO t", settings: "", format: "RowBinary" }, ""],
    [
      "insert into t (a, b) settings x = 'format CSV', y = 1 format TSV\n1\t2",
      { target: "insert into t (a, b)", settings: "settings x = 'format CSV', y = 1", format: "TSV" },
      "1\t2",
    ],
    [
      "INSERT INTO t FORMAT RowBinary\n\n\x01",
      { target: "INSERT INTO t", settings: "", format: "RowBinary" },
      "\n\x01",
    ],
    ["INSERT INTO t FORMAT CSV \r\n1", { target: "INSERT INTO t", settings: "", format: "CSV" }, "1"],
    ["INSERT INTO t VALUES (1)", { target: "INSERT INTO t", settings: "", format: "Values" }, " (1)"],
    ["INSERT INTO format FORMAT CSV", { target: "INSERT INTO format", settings: "", format: "CSV" }, ""],
    [
      "INSERT INTO db.values (settings, format) VALUES",
      { target: "INSERT INTO db.values (settings, format)", settings: "", format: "Values" },
      "",
    ],
    ["INSERT INTO `FORMAT x` FORMAT CSV", { target: "INSERT INTO `FORMAT x`", settings: "", format: "CSV" }, ""],
    [
      "/* FORMAT CSV */ INSERT INTO t -- VALUES\nFORMAT CSV",
      { target: "/* FORMAT CSV */ INSERT INTO t -- VALUES", settings: "", format: "CSV" },
      "",
    ],
    ["INSERT INTO t SELECT 1 FORMAT CSV", null],
    ["INSERT INTO t WITH 1 AS a SELECT a", null],
    ["INSERT INTO t FROM INFILE 'x' FORMAT CSV", null],
    ["SELECT 1 FORMAT CSV", null],
    ["INSERT INTO t", null],
    ["", null],
  ];
  for (const [sql, expected, data] of heads) {
    const head = parseInsertHead(sql);
    expect([sql, head === null ? null : { target: head.target, settings: head.settings, format: head.format }]).toEqual(
      [sql, expected],
    );
    if (head !== null) expect([sql, sql.slice(head.dataStart)]).toEqual([sql, data ?? ""]);
  }
});

test("a FORMAT clause is told from a name that looks like it", () => {
  const queries: [string, string | null][] = [
    ["SELECT 1 FORMAT JSON", "JSON"],
    ["SELECT 1 format JSON;", "JSON"],
    ["SELECT 1 FORMAT `JSON` SETTINGS a = 1", "JSON"],
    ["SELECT format FROM t", null],
    ["SELECT format, x FROM format", null],
    ["SELECT format('{}', 1)", null],
    ["SELECT * FROM (SELECT 1 FORMAT JSON)", null],
    ["SELECT 'FORMAT JSON' -- FORMAT JSON", null],
    ["", null],
  ];
  for (const [sql, format] of queries) expect([sql, formatClauseOf(sql)]).toEqual([sql, format]);
});
