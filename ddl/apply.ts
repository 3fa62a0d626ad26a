import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClickHouseClient, ClickHouseError } from "@clickhouse/client";

/** The schema in the database and the one in this release do not fit together. Trying again does not help. */
export class SchemaError extends Error {}

export interface SchemaOptions {
  /** Its user may create and alter tables. Its own default database must exist, or be `default`. */
  client: ClickHouseClient;
  /** Created when missing. Letters, digits and `_`. */
  database: string;
  /** Raw events are dropped after this many days (1 to `retentionDaysMax`). */
  retentionDays: number;
  /** Where the numbered files are. Default: beside this module, or in `cluster/`. */
  directory?: string;
  /** Stop after the file of this number. Default: all. */
  upTo?: number;
  /** Replicated tables on this cluster (`cluster/*.sql`). Letters, digits and `_`. Default: one server. */
  cluster?: string | null;
}

export interface SchemaResult {
  /** Names of the files that this call applied, in order; empty when the schema was current. */
  applied: string[];
  /** Whether the retention of `telemetry_events` had to be changed. */
  retentionChanged: boolean;
}

/**
 * A TTL is counted in ClickHouse's DateTime, which ends in 2106 and then begins in 1970 again: with a hundred years every event
 * would have expired long ago. With 27 it holds for events until 2078.
 */
export const retentionDaysMax = 10_000;

interface SchemaFile {
  number: number;
  name: string;
  statements: string[];
  checksum: string;
}

interface SchemaRecord {
  number: number;
  name: string;
  checksum: string;
}

const attemptsMax = 50;
const attemptDelayMs = 100;
/**
 * What another instance that does the same at the same moment can cause: TABLE_ALREADY_EXISTS (the check of IF NOT
 * EXISTS and the creation are not one step), UNKNOWN_TABLE and FILE_DOESNT_EXIST (a view that another loads anew, or renames),
 * DATABASE_ALREADY_EXISTS, UNFINISHED, DEADLOCK_AVOIDED, CANNOT_ASSIGN_ALTER.
 */
const collisionCodes: ReadonlySet<string> = new Set(["57", "60", "82", "107", "341", "473", "517"]);

/**
 * Brings `database` to the schema of this release: applies, in order, the numbered files that are not recorded in
 * `sluice_schema`, and sets the retention. Every statement in them is idempotent, so a call that died half-way is simply
 * repeated, and several instances may call at once.
 *
 * Throws `SchemaError` when a recorded file differs from the one here or is not known here; ClickHouse's own errors as they are.
 */
export async function applySchema(options: SchemaOptions): Promise<SchemaResult> {
  const { client, database, retentionDays, cluster = null } = options;
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(database)) throw new SchemaError(`not a database name: ${database}`);
  if (!Number.isInteger(retentionDays) || retentionDays < 1 || retentionDays > retentionDaysMax) {
    throw new SchemaError(`not a retention in days: ${retentionDays}`);
  }
  if (cluster !== null && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(cluster)) throw new SchemaError(`not a cluster: ${cluster}`);
  const directory = cluster === null ? import.meta.dir : join(import.meta.dir, "cluster");
  const files = await readSchemaFiles(options.directory ?? directory);
  const run = (sql: string) => runStatement(client, expandStatement(sql, database, cluster));
  const onCluster = cluster === null ? "" : "ON CLUSTER {cluster}";
  // One record for the whole cluster, whatever the shard.
  const engine =
    cluster === null
      ? "ReplacingMergeTree"
      : "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/sluice_schema', '{shard}-{replica}')";

  await run(`CREATE DATABASE IF NOT EXISTS {database} ${onCluster}`);
  await run(`
    CREATE TABLE IF NOT EXISTS {database}.sluice_schema ${onCluster}
    (number UInt16, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
    ENGINE = ${engine} ORDER BY number
    SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1`);
  const records = await readRecords(client, database);
  refuseForeign(files, records);

  const recorded = new Set(records.map((record) => record.number));
  const applied: string[] = [];
  for (const file of files) {
    if (recorded.has(file.number) || file.number > (options.upTo ?? Number.POSITIVE_INFINITY)) continue;
    for (const statement of file.statements) await run(statement);
    await client.insert({
      table: `\`${database}\`.sluice_schema`,
      columns: ["number", "name", "checksum"],
      values: [{ number: file.number, name: file.name, checksum: file.checksum }],
      format: "JSONEachRow",
      clickhouse_settings: { async_insert: 0 },
    });
    applied.push(file.name);
  }
  const table = cluster === null ? "telemetry_events" : "telemetry_events_local";
  const alter = `ALTER TABLE {database}.${table} ${onCluster}`;
  return { applied, retentionChanged: await applyRetention(client, { database, table, retentionDays, alter }, run) };
}

/** Fills in what a schema file leaves open. */
export function expandStatement(sql: string, database: string, cluster: string | null): string {
  return sql
    .replaceAll("{database}", `\`${database}\``)
    .replaceAll("{cluster}", cluster === null ? "" : `\`${cluster}\``);
}

function refuseForeign(files: readonly SchemaFile[], records: readonly SchemaRecord[]): void {
  const known = new Map(files.map((file) => [file.number, file]));
  for (const record of records) {
    const file = known.get(record.number);
    if (file === undefined) {
      throw new SchemaError(
        `the database has schema file ${record.name}, which this release does not know: it was written by a newer one`,
      );
    }
    if (file.checksum !== record.checksum) {
      throw new SchemaError(
        `schema file ${file.name} is not the one that was applied to this database (${record.name}): an applied file never changes, a change is a new file with the next number`,
      );
    }
  }
}

/** `MODIFY TTL` starts a mutation even when nothing changes, so the number in force is looked up first. */
async function applyRetention(
  client: ClickHouseClient,
  { database, table, retentionDays, alter }: { database: string; table: string; retentionDays: number; alter: string },
  run: (sql: string) => Promise<void>,
): Promise<boolean> {
  const ttl = `toDateTime(timestamp) + toIntervalDay(${retentionDays})`;
  const result = await client.query({
    query: "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
    query_params: { database, table },
    format: "JSONEachRow",
  });
  const [found] = await result.json<{ engine_full: string }>();
  if (found?.engine_full.includes(`TTL ${ttl} `)) return false;
  await run(`${alter} MODIFY TTL ${ttl}`);
  return true;
}

async function readRecords(client: ClickHouseClient, database: string): Promise<SchemaRecord[]> {
  const result = await client.query({
    query: "SELECT number, name, checksum FROM {database:Identifier}.sluice_schema FINAL ORDER BY number",
    query_params: { database },
    format: "JSONEachRow",
  });
  return result.json<SchemaRecord>();
}

async function runStatement(client: ClickHouseClient, query: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.command({ query });
      return;
    } catch (error) {
      const collided = error instanceof ClickHouseError && collisionCodes.has(error.code);
      if (!collided || attempt === attemptsMax) throw error;
      await Bun.sleep(attemptDelayMs);
    }
  }
}

export async function readSchemaFiles(directory: string): Promise<SchemaFile[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{3}_.+\.sql$/.test(name)).sort();
  const files = await Promise.all(
    names.map(async (name) => {
      const statements = parseStatements(await readFile(join(directory, name), "utf8"));
      return { number: Number(name.slice(0, 3)), name, statements, checksum: checksumOf(statements) };
    }),
  );
  for (const [index, file] of files.entries()) {
    if (file.number !== index + 1)
      throw new SchemaError(`schema files are not numbered from 001 without gaps: ${file.name}`);
  }
  return files;
}

/** Statements end with `;` at the end of a line; a comment is a whole line. */
function parseStatements(text: string): string[] {
  return text
    .replaceAll(/^\s*--.*$/gm, "")
    .split(/;[ \t]*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}

/** Of what is executed: a comment or a line break may change. */
function checksumOf(statements: readonly string[]): string {
  const normal = statements.map((statement) => statement.replaceAll(/\s+/g, " ")).join(";\n");
  return createHash("sha256").update(normal).digest("hex");
}
