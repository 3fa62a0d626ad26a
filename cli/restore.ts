/** `sluice restore DIR`: makes a data directory out of a backup. */
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ClickHouseError } from "@clickhouse/client";
import { lockDirectory } from "../base/directory-lock.ts";
import { longestDays } from "../ddl/retention.ts";
import { parseConfig } from "../server/config/config.ts";
import { parseObjectPlace, withDirectory } from "../workers/backup/object-storage.ts";
import { type RestoreEngine, restoreBackup } from "../workers/backup/restore.ts";
import { BackupError } from "../workers/backup/write.ts";
import { connectClickHouse } from "../workers/clickhouse-client.ts";
import { createEmbeddedClickHouse } from "../workers/engine/supervisor.ts";
import { checkJournal } from "./journal-check.ts";

const help = `Restore a backup

  sluice restore DIR                    from the backup in DIR into DATA_DIR, which is empty or not there yet
  sluice restore s3://BUCKET/PATH/NAME  from object storage, by way of a directory beside DATA_DIR

All of the backup is read and compared with its checksums before anything is written; afterwards the rows and sums of
every table are compared with those of the backup. Then start the service: what the backup's journal holds is stored.

Exit code 0: restored. 1: refused or failed; DATA_DIR is then marked, and the service does not start on it. 2: wrong arguments.
`;
/** Attaching a large table checks every part. */
const requestTimeoutMs = 3_600_000;

/** @public Used by \`sluice\`. */
export async function restore(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  const [given, ...more] = positionals;
  if (values.help) return say(help);
  if (given === undefined || more.length > 0) return complain("restore: one directory is needed; --help tells more", 2);
  try {
    const place = parseObjectPlace(given);
    const dataDirectory = resolve(parseConfig(process.env).storage.dataDirectory);
    return await withDirectory(given, place, dirname(dataDirectory), (backup) => into(backup, dataDirectory));
  } catch (error) {
    if (error instanceof BackupError || error instanceof ClickHouseError) return complain(error.message, 1);
    throw error;
  }
}

/** From the backup in this directory. */
async function into(backup: string, dataDirectory: string): Promise<number> {
  const config = parseConfig(process.env);
  const { database } = config.clickHouse;
  const { retentionDays: days, retentionRules } = config.batching;
  const retentionDays = longestDays({ days, rules: retentionRules.rules });
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(dataDirectory);
  if (!lock.ok) throw new BackupError(`${dataDirectory}: ${lock.reason}`);
  try {
    const manifest = await restoreBackup(
      { openEngine, say: (line) => say(`${line}\n`) },
      { backup, dataDirectory, database, retentionDays },
    );
    const journal = checkJournal(dataDirectory);
    const rows = journal.filter(({ name }) => name.endsWith(".seg")).reduce((sum, file) => sum + file.rows, 0);
    const stored = manifest.tables.map((table) => `${table.rows} rows of ${table.name}`).join(", ");
    return say(`${dataDirectory}: ${stored || "no tables"}; ${rows} events in the journal\n`);
  } finally {
    lock.release();
  }
}

async function openEngine(dataDirectory: string, database: string): Promise<RestoreEngine> {
  const user = "default";
  const password = crypto.randomUUID();
  const engine = createEmbeddedClickHouse(
    { log: (level, message) => level !== "debug" && process.stderr.write(`${message}\n`) },
    { dataDir: dataDirectory, port: 0, user, password, database },
  );
  const started = await engine.started;
  if (!started.ok) throw new BackupError(`the engine does not start: ${started.reason}`);
  const url = `http://127.0.0.1:${started.port}`;
  const client = connectClickHouse(
    { urls: [url], user, password, database },
    { url, database: "default", requestTimeoutMs },
  );
  return {
    client,
    async stop() {
      await client.close();
      await engine.stop();
    },
  };
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function complain(text: string, code: number): number {
  process.stderr.write(`${text}\n`);
  return code;
}
