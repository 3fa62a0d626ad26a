/** `sluice backup DIR`: copies everything that a running service has accepted. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json" with { type: "json" };
import { parseConfig } from "../server/config/config.ts";
import { requestSnapshot } from "../workers/backup/request.ts";
import { checkBackup } from "../workers/backup/restore.ts";
import { BackupError, checkTarget, writeBackup } from "../workers/backup/write.ts";

const help = `Back up a running service

  sluice backup DIR                  into DIR, which is empty or not there yet
  sluice backup DIR --base EARLIER   what EARLIER has is linked where the file system allows, not copied
  sluice backup --check DIR          read a backup and compare it with its checksums

Everything that was acknowledged before the command began is in the backup, once. DATA_DIR says which service;
the embedded database only (with CLICKHOUSE_URL, use that server's own BACKUP).

Exit code 0: whole. 1: not made, or damaged. 2: wrong arguments.
`;

/** @public Used by \`sluice\`. */
export async function backup(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" }, base: { type: "string" }, check: { type: "boolean" } },
  });
  const [given, ...more] = positionals;
  if (values.help) return say(help);
  if (given === undefined || more.length > 0) return complain("backup: one directory is needed; --help tells more", 2);
  const directory = resolve(given);
  try {
    return await (values.check ? check(directory) : make(directory, values.base));
  } catch (error) {
    if (error instanceof BackupError) return complain(error.message, 1);
    throw error;
  }
}

function check(directory: string): number {
  const { files, taken_at } = checkBackup(directory);
  return say(`${directory}: ${files.length} files of ${taken_at}, whole\n`);
}

async function make(directory: string, earlier: string | undefined): Promise<number> {
  checkTarget(directory);
  const dataDirectory = resolve(parseConfig(process.env).storage.dataDirectory);
  const base = earlier === undefined ? null : resolve(earlier);
  const held = await requestSnapshot(dataDirectory);
  try {
    const options = { directory, dataDirectory, base, release: packageJson.version };
    const { files, bytes, linkedBytes } = writeBackup(held.snapshot, options);
    return say(
      `${directory}: ${files} files, ${bytes} bytes, of which ${linkedBytes} are linked to an earlier backup\n`,
    );
  } finally {
    await held.release();
  }
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function complain(text: string, code: number): number {
  process.stderr.write(`${text}\n`);
  return code;
}
