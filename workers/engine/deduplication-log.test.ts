import { afterEach, expect, test } from "bun:test";
import { appendFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startTestEngine, type TestEngine } from "../../testing/test-engine.ts";

let engine: TestEngine | undefined;
afterEach(() => engine?.stop());

const insert = async (value: number, token: string): Promise<void> => {
  const sql = `INSERT INTO t SETTINGS insert_deduplication_token = '${token}' VALUES (${value})`;
  expect((await engine?.service(sql))?.status).toBe(200);
};
const values = async (): Promise<string | undefined> =>
  (await engine?.service("SELECT arraySort(groupArray(n)) FROM t"))?.text.trim();

function tableFolder(dataDir: string): string {
  const store = join(dataDir, "clickhouse/data/store");
  const [found] = readdirSync(store)
    .flatMap((prefix) => readdirSync(join(store, prefix)).map((table) => join(store, prefix, table)))
    .filter((folder) => readdirSync(folder).includes("deduplication_logs"));
  if (found === undefined) throw new Error("no table with a deduplication log");
  return found;
}

/** What an engine leaves that is killed between its note of the token and the part. */
function removeParts(dataDir: string, names: RegExp): void {
  const folder = tableFolder(dataDir);
  const parts = readdirSync(folder).filter((name) => names.test(name));
  expect(parts.length).toBeGreaterThan(0);
  for (const name of parts) rmSync(join(folder, name), { recursive: true });
}

test("a batch whose token was noted, but not its part, is stored by its retry; one that was merged since is not doubled", async () => {
  engine = await startTestEngine();
  const { dataDir } = engine;
  const restart = async (change: () => void): Promise<string[]> => {
    await engine?.clickhouse.stop();
    change();
    engine = await startTestEngine({ dataDir });
    return engine.logged.filter((line) => line.includes("is taken back"));
  };
  await engine.service(
    "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100",
  );
  await insert(1, "a");
  await insert(2, "b");
  await insert(3, "c");

  const repaired = await restart(() => removeParts(dataDir, /^all_2_2_/));
  expect(repaired).toEqual([expect.stringContaining("part all_2_2_")]);
  expect(await values()).toBe("[1,3]");
  for (const [value, token] of [
    [1, "a"],
    [2, "b"],
    [3, "c"],
    [2, "b"],
  ] as const)
    await insert(value, token);
  expect(await values()).toBe("[1,2,3]");

  await engine.service("OPTIMIZE TABLE t FINAL");
  // Merged away, and in time removed: the token counts all the same. A power cut may leave half a line besides.
  const again = await restart(() => {
    removeParts(dataDir, /^all_(\d+)_\1_/);
    const logs = join(tableFolder(dataDir), "deduplication_logs");
    appendFileSync(join(logs, readdirSync(logs).sort().at(-1) as string), "1\tall_9");
  });
  expect(again).toEqual([]);
  for (const [value, token] of [
    [1, "a"],
    [2, "b"],
    [4, "d"],
    [4, "d"],
  ] as const)
    await insert(value, token);
  expect(await restart(() => undefined)).toEqual([]);
  await insert(4, "d");
  expect(await values()).toBe("[1,2,3,4]");
}, 60_000);
