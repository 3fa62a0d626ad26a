import { linkSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { textOf } from "../../base/error-text.ts";

/**
 * One position of a running service, held by hard links: the tables as they were when no insert was under way, and every
 * segment of the journal whose rows were not in them. So each acknowledged event is in exactly one of the two. Taking it
 * costs no copying and holds up inserts for as long as the engine takes to link its parts; events are accepted meanwhile.
 */

/** What is copied into the backup, and how far: some of these files are appended to while they are copied. */
export interface SnapshotFile {
  /** In the backup, with `/`. */
  readonly path: string;
  readonly source: string;
  readonly bytes: number;
}

export interface SnapshotTable {
  readonly name: string;
  /** The statement that makes it, for tables that are not of Sluice's schema. */
  readonly create: string;
  /** Holds one directory a part. */
  readonly frozen: string;
  readonly isEmpty: boolean;
  /** Sums of its counting columns, as decimal digits: merges do not change them. */
  readonly sums: Readonly<Record<string, string>>;
}

export interface Snapshot {
  readonly name: string;
  readonly takenAtMs: number;
  readonly database: string;
  readonly schema: readonly SchemaFile[];
  readonly tables: readonly SnapshotTable[];
  readonly files: readonly SnapshotFile[];
}

export interface SchemaFile {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

export type SnapshotResult =
  | { readonly ok: true; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly reason: string };

export interface SnapshotPlaces {
  readonly dataDirectory: string;
  readonly journalDirectory: string;
  readonly deadLetterDirectory: string;
  readonly database: string;
}

interface FoundTable {
  readonly name: string;
  readonly path: string;
  readonly create: string;
  readonly rows: string;
}

const tableQuery = `SELECT name, data_paths[1] AS path, create_table_query AS create, toString(total_rows) AS rows
  FROM system.tables
  WHERE database = {database: String} AND endsWith(engine, 'MergeTree') AND name != 'sluice_schema' ORDER BY name`;
const columnQuery = `SELECT table, name FROM system.columns WHERE database = {database: String}
  AND type IN ('UInt64', 'SimpleAggregateFunction(sum, UInt64)') AND endsWith(name, '_count') ORDER BY table, name`;
const deadLetterFile = /^(\d{4}-\d{2}-\d{2}\.ndjson|replayed\.log)$/;

const engineFolder = (dataDirectory: string): string => join(dataDirectory, "clickhouse", "data");
const frozenFolder = (dataDirectory: string, name: string): string => join(engineFolder(dataDirectory), "shadow", name);
const linkFolder = (dataDirectory: string, name: string): string => join(dataDirectory, "snapshots", name);
/** Where whoever holds a snapshot may put files; the service removes them with it, however that process ends. */
export const workFolder = (dataDirectory: string, name: string): string =>
  join(linkFolder(dataDirectory, name), "work");

/** As `takeSnapshot`; a failure leaves nothing behind. */
export async function trySnapshot(
  deps: {
    readonly client: ClickHouseClient;
    readonly now: () => number;
    readonly journal: { readonly inDoubt: boolean };
  },
  places: SnapshotPlaces,
  name: string,
): Promise<SnapshotResult> {
  try {
    const snapshot = await takeSnapshot(deps, places, name);
    if (!deps.journal.inDoubt) return { ok: true, snapshot };
    removeSnapshots(places.dataDirectory, name);
    return { ok: false, reason: "the journal's disk is failing: what it refused may still lie in its files" };
  } catch (error) {
    removeSnapshots(places.dataDirectory, name);
    return { ok: false, reason: textOf(error) };
  }
}

/** To be called at a quiet point: every batch of the journal is wholly in the tables, or not at all. */
async function takeSnapshot(
  deps: { readonly client: ClickHouseClient; readonly now: () => number },
  places: SnapshotPlaces,
  name: string,
): Promise<Snapshot> {
  const { client } = deps;
  const { database } = places;
  const ask = async <T>(query: string): Promise<T[]> => {
    const settings = { output_format_json_quote_64bit_integers: 1 } as const;
    const query_params = { database };
    return (
      await client.query({ query, query_params, format: "JSONEachRow", clickhouse_settings: settings })
    ).json<T>();
  };
  const tables: SnapshotTable[] = [];
  // What expires between the sums and the links would make them disagree.
  await client.command({ query: "SYSTEM STOP TTL MERGES" });
  try {
    const columns = Map.groupBy(await ask<{ table: string; name: string }>(columnQuery), ({ table }) => table);
    for (const { name: table, path, create, rows } of await ask<FoundTable>(tableQuery)) {
      const counted = (columns.get(table) ?? []).map((column) => column.name);
      const sums = counted.length === 0 ? {} : await sumsOf(ask, `\`${database}\`.\`${table}\``, counted);
      await client.command({ query: `ALTER TABLE \`${database}\`.\`${table}\` FREEZE WITH NAME '${name}'` });
      const frozen = join(frozenFolder(places.dataDirectory, name), relative(engineFolder(places.dataDirectory), path));
      tables.push({ name: table, create, frozen, isEmpty: rows === "0", sums });
    }
  } finally {
    await client.command({ query: "SYSTEM START TTL MERGES" });
  }
  const schema = await readSchema(ask, database);
  // In one turn, last: what was acknowledged while the tables were linked is in the journal's files.
  return { name, takenAtMs: deps.now(), database, schema, tables, files: linkFiles(places, name) };
}

/** Nothing before the engine was first reached: then every event is in the journal. */
async function readSchema(ask: <T>(query: string) => Promise<T[]>, database: string): Promise<SchemaFile[]> {
  const [found] = await ask<{ n: string }>(
    "SELECT count() AS n FROM system.tables WHERE database = {database: String} AND name = 'sluice_schema'",
  );
  if (found?.n === "0") return [];
  return ask(`SELECT number, name, checksum FROM \`${database}\`.sluice_schema FINAL ORDER BY number`);
}

async function sumsOf(
  ask: <T>(query: string) => Promise<T[]>,
  table: string,
  columns: readonly string[],
): Promise<Record<string, string>> {
  const list = columns.map((column) => `toString(sum(\`${column}\`)) AS \`sum of ${column}\``).join(", ");
  const [row] = await ask<Record<string, string>>(`SELECT ${list} FROM ${table}`);
  return Object.fromEntries(columns.map((column) => [column, row?.[`sum of ${column}`] ?? ""]));
}

function linkFiles(places: SnapshotPlaces, name: string): SnapshotFile[] {
  const folder = linkFolder(places.dataDirectory, name);
  const groups = [
    { to: "journal", from: places.journalDirectory, wanted: (file: string) => !file.endsWith(".new") },
    { to: "dead-letter", from: places.deadLetterDirectory, wanted: (file: string) => deadLetterFile.test(file) },
  ];
  return groups.flatMap(({ to, from, wanted }) => {
    const links = join(folder, to);
    mkdirSync(links, { recursive: true, mode: 0o700 });
    const names = readdirSync(from, { withFileTypes: true }).filter((entry) => entry.isFile() && wanted(entry.name));
    return names.map((entry) => {
      const source = join(links, entry.name);
      linkSync(join(from, entry.name), source);
      return { path: `${to}/${entry.name}`, source, bytes: statSync(source).size };
    });
  });
}

/** Lets go of what a snapshot holds; all of them, those of a run that was killed included, without a name. */
export function removeSnapshots(dataDirectory: string, name = ""): void {
  for (const folder of [linkFolder(dataDirectory, name), frozenFolder(dataDirectory, name)]) {
    rmSync(folder, { recursive: true, force: true });
  }
}
