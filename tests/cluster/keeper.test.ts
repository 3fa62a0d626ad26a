import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { applySchema } from "../../ddl/apply.ts";
import { noZooKeeper, startZooKeeper, type ZooKeeper } from "./zookeeper.ts";

setDefaultTimeout(120_000);

interface Answer {
  readonly sql: string;
  readonly error: string | null;
  readonly text: string;
}

/** What the service would say to a new cluster, in order. Nothing is run: the client writes down what it is told. */
async function clusterStatements(): Promise<string[]> {
  const statements: string[] = [];
  const client = {
    command: async ({ query }: { query: string }) => void statements.push(query),
    insert: async () => undefined,
    query: async () => ({ json: async () => [] }),
  };
  await applySchema({
    client: client as unknown as ClickHouseClient,
    database: "sluice",
    retentionDays: 30,
    cluster: "fleet",
  });
  return statements;
}

const idOf = (table: string): string =>
  createHash("sha256")
    .update(table)
    .digest("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5");

/**
 * ON CLUSTER needs servers that can be reached; here each replica is told by itself. ON CLUSTER is also what gives both
 * replicas of a table the same UUID, which its path in Keeper is made of, so the UUID is said outright.
 */
function forOneReplica(sql: string): string {
  return sql
    .replace(
      /(CREATE TABLE IF NOT EXISTS `?sluice`?\.(\w+(?:_local|_schema))) ON CLUSTER `fleet`/,
      (_, head, table) => `${head} UUID '${idOf(table)}'`,
    )
    .replaceAll("ON CLUSTER `fleet`", "");
}

describe.skipIf(noZooKeeper)("the cluster's schema on a real ZooKeeper", () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-keeper-"));
  let zookeeper: ZooKeeper;
  let statements: string[];
  const answers: Record<string, Answer[]> = {};
  let nodes: string[];

  const runReplica = (replica: string): Answer[] => {
    const home = join(directory, replica);
    mkdirSync(home);
    const config = join(directory, `${replica}.xml`);
    writeFileSync(
      config,
      `<clickhouse>
         <zookeeper><node><host>127.0.0.1</host><port>${zookeeper.port}</port></node></zookeeper>
         <macros><shard>01</shard><replica>${replica}</replica></macros>
         <remote_servers><fleet><shard><internal_replication>true</internal_replication>
           <replica><host>127.0.0.1</host><port>9</port></replica></shard></fleet></remote_servers>
       </clickhouse>`,
    );
    const columns =
      "SELECT name FROM system.columns WHERE database = 'sluice' AND table = 'telemetry_events_local' ORDER BY position";
    const child = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../testing/keeper-replica.ts")], {
      stdin: Buffer.from(JSON.stringify({ config, path: home, statements: [...statements, columns] })),
      env: { TZ: "UTC" },
    });
    if (child.exitCode !== 0) throw new Error(`replica ${replica} ended with ${child.exitCode}: ${child.stderr}`);
    return `${child.stdout}`
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line): Answer => JSON.parse(line));
  };

  beforeAll(async () => {
    zookeeper = await startZooKeeper(directory);
    statements = (await clusterStatements()).map(forOneReplica);
    for (const replica of ["r1", "r2"]) answers[replica] = runReplica(replica);
    nodes = zookeeper.list("/clickhouse/tables");
  });
  afterAll(async () => {
    await zookeeper?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const createdTables = (): string[] =>
    statements.flatMap(
      (sql) => /CREATE TABLE IF NOT EXISTS `?sluice`?\.(\w+_local|sluice_schema) UUID/.exec(sql)?.[1] ?? [],
    );

  test("every statement creates what it says, on both replicas", () => {
    expect(createdTables().length).toBeGreaterThanOrEqual(7);
    for (const replica of ["r1", "r2"]) {
      expect(answers[replica]).toHaveLength(statements.length + 1);
      const failed = (answers[replica] ?? []).filter(({ error }) => error !== null);
      // The embedded engine never gets an interserver address, so its replicas stay read-only; an ALTER of one is understood
      // and refused for that alone.
      const unexpected = failed.filter(
        ({ sql, error }) => !/^\s*(--.*\n\s*)*ALTER TABLE/.test(sql) || !error?.includes("Code: 242."),
      );
      expect(unexpected.map(({ sql, error }) => `${error}: ${sql}`)).toEqual([]);
    }
  });

  test("each table is in Keeper under its own id and shard, with both replicas", () => {
    for (const table of createdTables().filter((name) => name !== "sluice_schema")) {
      const path = `/clickhouse/tables/${idOf(table)}/01`;
      for (const replica of ["r1", "r2"])
        expect([table, nodes.includes(`${path}/replicas/${replica}`)]).toEqual([table, true]);
    }
  });

  test("the record of applied files is one for all shards", () => {
    const path = `/clickhouse/tables/${idOf("sluice_schema")}/sluice_schema`;
    for (const replica of ["01-r1", "01-r2"]) expect(nodes).toContain(`${path}/replicas/${replica}`);
  });

  test("Keeper holds the columns and the key that the tables were made with", () => {
    const path = `/clickhouse/tables/${idOf("telemetry_events_local")}/01`;
    const columns = zookeeper.read(`${path}/columns`);
    const expected = answers.r1?.at(-1)?.text.trim().split("\n") ?? [];
    expect(expected).toContain("value_float");
    for (const column of expected) expect(columns).toContain(`\`${column}\``);
    const metadata = zookeeper.read(`${path}/metadata`);
    expect(metadata).toContain("primary key: toStartOfTenMinutes(timestamp), device_id");
    expect(metadata).toContain("partition key: toMonday(timestamp)");
  });
});
