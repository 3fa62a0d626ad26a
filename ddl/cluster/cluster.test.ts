import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { startTestStore, type TestStore } from "../../testing/test-store.ts";
import { expandStatement, readSchemaFiles } from "../apply.ts";

setDefaultTimeout(60_000);

/** No Keeper here (the embedded engine has none), so replication itself is not exercised; syntax and meaning are. */
const single = await readSchemaFiles(join(import.meta.dir, ".."));
const cluster = await readSchemaFiles(import.meta.dir);

let store: TestStore;
beforeAll(async () => {
  store = await startTestStore();
});
afterAll(async () => {
  await store.stop();
});

const isDistributed = (statement: string): boolean => statement.includes("ENGINE = Distributed");
/** A column that a local table gets, the table over all shards gets, too. */
const followsLocal = (statement: string, others: readonly string[]): boolean => {
  const local = statement.replace(/^(ALTER TABLE \{database\}\.\w+)( ON CLUSTER)/, "$1_local$2");
  return local !== statement && others.includes(local);
};
const squeezed = (statement: string): string => statement.replaceAll(/\s+/g, " ");

/** The statement for one server that this one is the replicated form of. */
function unreplicated(statement: string): string {
  return squeezed(statement)
    .replaceAll(" ON CLUSTER {cluster}", "")
    .replaceAll("ENGINE = Replicated", "ENGINE = ")
    .replaceAll(
      "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800",
      "non_replicated_deduplication_window = 10000",
    )
    .replaceAll(", min_compressed_bytes_to_fsync_after_fetch = 1", "")
    .replaceAll(/(\{database\}\.\w+)_local/g, "$1");
}

describe("the schema of a cluster", () => {
  test("is that of one server, replicated: same files, columns, keys, codecs and views", () => {
    expect(cluster.map((file) => file.name)).toEqual(single.map((file) => file.name));
    for (const [index, file] of cluster.entries()) {
      const statements = file.statements
        .filter((statement) => !isDistributed(statement) && !followsLocal(statement, file.statements))
        .map(unreplicated);
      expect(statements).toEqual((single[index]?.statements ?? []).map(squeezed));
    }
  });

  test("has a table over all shards for each local one, under the name that everybody reads", () => {
    for (const file of cluster) {
      const locals = file.statements.flatMap(
        (text) => /^CREATE TABLE IF NOT EXISTS \{database\}\.(\w+)_local /.exec(text)?.[1] ?? [],
      );
      const distributed = file.statements
        .filter(isDistributed)
        .map((text) =>
          /EXISTS \{database\}\.(\w+) ON CLUSTER \{cluster\} AS \{database\}\.(\w+)_local/.exec(text)?.slice(1),
        );
      expect(distributed).toEqual(locals.map((name) => [name, name]));
    }
  });

  test("is made on every server of the cluster, and parsed by ClickHouse", async () => {
    const database = await store.createDatabase({ schema: false });
    for (const statement of cluster.flatMap((file) => file.statements)) {
      const sql = expandStatement(statement, "sluice", "fleet");
      expect(sql).toContain("ON CLUSTER `fleet`");
      const result = await database.client.query({
        query: "SELECT formatQuery({sql:String}) AS formatted",
        query_params: { sql },
        format: "JSONEachRow",
      });
      const [row] = await result.json<{ formatted: string }>();
      expect(row?.formatted).toMatch(/CREATE|ALTER|RENAME/);
    }
  });
});
