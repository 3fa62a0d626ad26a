import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { restoreMarkerName } from "../../base/data-directory-format.ts";
import { applySchema, readSchemaFiles } from "../../ddl/apply.ts";
import { copyFile, digestOf, syncPath, syncTree } from "./file-copy.ts";
import { type BackupFile, type Manifest, readManifest } from "./manifest.ts";
import { BackupError } from "./write.ts";

export interface RestoreDeps {
  /** Starts an engine on `dataDirectory/clickhouse`. */
  readonly openEngine: (dataDirectory: string, database: string) => Promise<RestoreEngine>;
  readonly say: (line: string) => void;
}

export interface RestoreEngine {
  readonly client: ClickHouseClient;
  stop(): Promise<void>;
}

export interface RestoreOptions {
  readonly backup: string;
  readonly dataDirectory: string;
  readonly database: string;
  readonly retentionDays: number;
}

/** Reads all of a backup and compares it with its manifest; throws `BackupError` naming the first thing that is wrong. */
export function checkBackup(directory: string): Manifest {
  const read = readManifest(directory);
  if (!read.ok) throw new BackupError(`${directory} cannot be used: ${read.reason}`);
  for (const file of read.manifest.files) {
    const path = join(directory, file.path);
    const fault = existsSync(path) ? faultOf(file, path) : "is missing";
    if (fault !== null) throw new BackupError(`${directory} is damaged: ${file.path} ${fault}`);
  }
  return read.manifest;
}

function faultOf(file: BackupFile, path: string): string | null {
  const { bytes, sha256 } = digestOf(path);
  if (bytes !== file.bytes) return `has ${bytes} bytes and not ${file.bytes}`;
  return sha256 === file.sha256 ? null : "is not what was written";
}

/**
 * Makes a data directory out of a backup. Nothing is touched before all of the backup has been read and found whole; a
 * directory that was left unfinished is marked, the service refuses it, and another restore begins it anew.
 */
export async function restoreBackup(deps: RestoreDeps, options: RestoreOptions): Promise<Manifest> {
  const { dataDirectory, backup } = options;
  const manifest = checkBackup(backup);
  await refuseNewerSchema(manifest);
  deps.say(`${manifest.files.length} files of ${manifest.taken_at} are whole`);
  beginAnew(dataDirectory);
  const engine = await deps.openEngine(dataDirectory, options.database);
  try {
    await restoreTables(engine.client, manifest, options);
  } finally {
    await engine.stop();
  }
  for (const file of manifest.files) {
    if (!file.path.startsWith("tables/")) copyWhole(file, backup, join(dataDirectory, file.path));
  }
  syncTree(dataDirectory, true);
  rmSync(join(dataDirectory, restoreMarkerName));
  syncPath(dataDirectory);
  return manifest;
}

async function refuseNewerSchema(manifest: Manifest): Promise<void> {
  const known = new Map((await readSchemaFiles(ddlDirectory)).map((file) => [file.number, file.checksum]));
  const foreign = manifest.schema.find(({ number, checksum }) => known.get(number) !== checksum);
  if (foreign === undefined) return;
  throw new BackupError(
    `the backup has the schema file ${foreign.name}, which this release does not know: use a newer one`,
  );
}

const ddlDirectory = join(import.meta.dir, "../../ddl");
/** What a fresh file system, or taking its lock, may have put there. */
const harmless = /^(lost\+found|service\.lock.*)$/;

function beginAnew(dataDirectory: string): void {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const names = readdirSync(dataDirectory).filter((name) => !harmless.test(name));
  if (names.length > 0 && !names.includes(restoreMarkerName)) {
    throw new BackupError(`${dataDirectory} is not empty; a restore needs a directory of its own`);
  }
  writeFileSync(
    join(dataDirectory, restoreMarkerName),
    "A restore into this directory has begun and is not finished.\n",
  );
  syncPath(join(dataDirectory, restoreMarkerName));
  syncPath(dataDirectory);
  for (const name of names) {
    if (name !== restoreMarkerName) rmSync(join(dataDirectory, name), { recursive: true });
  }
}

/** Attaches every part to a table that the schema made, and compares rows and sums with those of the manifest. */
async function restoreTables(client: ClickHouseClient, manifest: Manifest, options: RestoreOptions): Promise<void> {
  const { database, retentionDays, backup } = options;
  const upTo = manifest.schema.at(-1)?.number;
  // Taken before the first schema was there: tables of a file that had not been finished hold nothing yet.
  if (upTo === undefined && manifest.tables.every(({ rows }) => rows === "0")) return;
  await applySchema({ client, database, retentionDays, upTo: upTo ?? 0 });
  // Merges drop what has expired; the comparison comes first.
  await client.command({ query: "SYSTEM STOP MERGES" });
  for (const table of manifest.tables) {
    const name = `\`${database}\`.\`${table.name}\``;
    const detached = join(await folderOf(client, database, table, manifest.database), "detached");
    for (const file of manifest.files) {
      const prefix = `tables/${table.name}/`;
      if (file.path.startsWith(prefix)) copyWhole(file, backup, join(detached, file.path.slice(prefix.length)));
    }
    if (table.parts.length > 0) await client.command({ query: `ALTER TABLE ${name} ATTACH PARTITION ALL` });
    await compare(client, name, table);
  }
}

/** Where the table keeps its parts. A table that is not of Sluice's schema is made by the statement that made it. */
async function folderOf(
  client: ClickHouseClient,
  database: string,
  table: Manifest["tables"][number],
  databaseBefore: string,
): Promise<string> {
  const ask = async (): Promise<string | undefined> => {
    const query =
      "SELECT data_paths[1] AS path FROM system.tables WHERE database = {database: String} AND name = {name: String}";
    const result = await client.query({ query, query_params: { database, name: table.name }, format: "JSONEachRow" });
    return (await result.json<{ path: string }>())[0]?.path;
  };
  const path = await ask();
  if (path !== undefined) return path;
  if (database !== databaseBefore) {
    throw new BackupError(`${table.name} is not a table of Sluice's: restore with CLICKHOUSE_DB=${databaseBefore}`);
  }
  await client.command({ query: table.create });
  const made = await ask();
  if (made === undefined) throw new BackupError(`${table.name} cannot be made`);
  return made;
}

async function compare(client: ClickHouseClient, name: string, table: Manifest["tables"][number]): Promise<void> {
  const columns = Object.keys(table.sums);
  const list = ["toString(count()) AS rows", ...columns.map((c) => `toString(sum(\`${c}\`)) AS \`sum of ${c}\``)];
  const result = await client.query({ query: `SELECT ${list.join(", ")} FROM ${name}`, format: "JSONEachRow" });
  const [row] = await result.json<Record<string, string>>();
  const pairs = [
    ["rows", table.rows, row?.rows],
    ...columns.map((c) => [`sum of ${c}`, table.sums[c], row?.[`sum of ${c}`]]),
  ];
  for (const [what, expected, found] of pairs) {
    if (expected !== found) throw new BackupError(`${table.name}: ${what} is ${found}, and was ${expected}`);
  }
}

/** What was whole a moment ago may be read differently now: it is compared as it is copied. */
function copyWhole(file: BackupFile, backup: string, to: string): void {
  const { bytes, sha256 } = copyFile(join(backup, file.path), to);
  if (bytes !== file.bytes || sha256 !== file.sha256)
    throw new BackupError(`${backup} is damaged: ${file.path} changed`);
}
