import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { startTestStore, type TestDatabase, type TestEvent, type TestStore } from "../testing/test-store.ts";
import { expandStatement, readSchemaFiles } from "./apply.ts";

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
beforeAll(async () => {
  store = await startTestStore();
});
afterAll(() => store.stop());

const startMs = Date.now() - 3_600_000;
const separator = "\x1f";

const eventOf = (device_id: string, offsetMs: number, metadata?: Record<string, string>): TestEvent => ({
  device_id,
  event_type: "t",
  timestamp: startMs + offsetMs,
  received_at: startMs + offsetMs + 7,
  ...(metadata === undefined ? {} : { metadata }),
});

async function newest(database: TestDatabase): Promise<Record<string, string>> {
  const rows = await database.rows<{ device_id: string; text: string }>(
    "SELECT device_id, argMaxMerge(newest_metadata) AS text FROM devices GROUP BY device_id ORDER BY device_id",
  );
  return Object.fromEntries(rows.map((row) => [row.device_id, row.text]));
}

test("the newest metadata is that of the newest event that has any, whatever the order of arrival", async () => {
  const database = await store.createDatabase();
  await database.insert(
    [
      eventOf("a", 0, { site: "north" }),
      eventOf("a", 2_000, { site: "south", firmware: "2" }),
      eventOf("a", 1_000, { site: "west" }),
      eventOf("b", 0, { site: "north" }),
      eventOf("c", 0),
    ],
    "1",
  );
  await database.insert([eventOf("a", 500, { site: "late" }), eventOf("b", 1_000), eventOf("c", 1)], "2");
  await database.insert([eventOf("a", 3_000)], "3");
  expect(await newest(database)).toEqual({
    a: ["", "site", "firmware", "south", "2"].join(separator),
    b: ["", "site", "north"].join(separator),
    c: "",
  });
});

test("metadata with separators in it is JSON, and nothing else of it is lost", async () => {
  const database = await store.createDatabase();
  const odd = { [`a${separator}b`]: "c", "d\\'\"": "\n{}", "": "empty" };
  const plain = { "": "", "{": "}", ü: "温\u0000" };
  await database.insert([eventOf("odd", 0, odd), eventOf("plain", 0, plain)], "1");
  const found = await newest(database);
  expect(JSON.parse(found.odd ?? "")).toEqual(odd);
  expect(found.plain).toBe(["", "", "{", "ü", "", "}", "温\u0000"].join(separator));
});

test("the state has the bytes that the schema says, so that it can be written without the view", async () => {
  const database = await store.createDatabase();
  await database.insert([eventOf("a", 0, { site: "north" }), eventOf("b", 0)], "1");
  const rows = await database.rows<{ state: string }>(
    "SELECT hex(newest_metadata) AS state FROM devices ORDER BY device_id",
  );
  const text = Buffer.from(["", "site", "north"].join(separator));
  const state = Buffer.alloc(4 + text.length + 1 + 1 + 8);
  state.writeInt32LE(text.length + 1, 0);
  text.copy(state, 4);
  state.writeUInt8(1, 4 + text.length + 1);
  state.writeBigInt64LE(BigInt(startMs), 4 + text.length + 2);
  expect(rows.map((row) => row.state.toLowerCase())).toEqual([state.toString("hex"), "ffffffff00"]);
});

test("a device is heard from at the time of receipt", async () => {
  const database = await store.createDatabase();
  await database.insert([eventOf("a", 0), eventOf("a", 60_000)], "1");
  await database.insert([{ ...eventOf("a", -600_000), received_at: startMs + 90_000 }], "2");
  expect(
    await database.rows(
      `SELECT toUnixTimestamp64Milli(min(first_received)) - ${startMs} AS first,
        toUnixTimestamp64Milli(max(last_received)) - ${startMs} AS last FROM devices`,
    ),
  ).toEqual([{ first: 7, last: 90_000 }]);
});

test("an older database is brought along, its devices with a receipt of 0", async () => {
  const database = await store.createDatabase({ schema: false });
  const files = await readSchemaFiles(import.meta.dir);
  const apply = async (names: RegExp): Promise<void> => {
    for (const file of files.filter(({ name }) => names.test(name))) {
      for (const statement of file.statements) {
        if (!statement.includes("sluice_schema")) await database.run(expandStatement(statement, database.name, null));
      }
    }
  };
  await apply(/^00[1-4]/);
  await database.insert([eventOf("old", 0, { site: "north" })], "1");
  await apply(/^005/);
  await database.insert([eventOf("new", 0, { site: "south" })], "2");
  // Twice does no harm.
  await apply(/^005/);
  expect(
    await database.rows(
      `SELECT device_id, toUnixTimestamp64Milli(max(last_received)) AS last, argMaxMerge(newest_metadata) AS text
       FROM devices GROUP BY device_id ORDER BY device_id`,
    ),
  ).toEqual([
    { device_id: "new", last: startMs + 7, text: ["", "site", "south"].join(separator) },
    { device_id: "old", last: 0, text: "" },
  ]);
});

test("a change written twice is one", async () => {
  const database = await store.createDatabase();
  const row = `(fromUnixTimestamp64Milli(${startMs}), 'silent', 'a', '{}')`;
  await database.run(`INSERT INTO device_changes VALUES ${row}`);
  await database.run(
    `INSERT INTO device_changes VALUES ${row}, (fromUnixTimestamp64Milli(${startMs}), 'silent', 'b', '{}')`,
  );
  expect(await database.rows("SELECT count() AS n FROM device_changes FINAL")).toEqual([{ n: 2 }]);
});

test("the cluster's files have the same names", async () => {
  const names = async (directory: string) => (await readSchemaFiles(directory)).map((file) => file.name);
  expect(await names(join(import.meta.dir, "cluster"))).toEqual(await names(import.meta.dir));
});
