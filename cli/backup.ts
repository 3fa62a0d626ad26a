/** `sluice backup DIR`: copies everything that a running service has accepted. */
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json" with { type: "json" };
import { parseConfig } from "../server/config/config.ts";
import {
  checkObjectPlace,
  type ObjectPlace,
  parseObjectPlace,
  uploadBackup,
  withDirectory,
} from "../workers/backup/object-storage.ts";
import { type HeldSnapshot, requestSnapshot } from "../workers/backup/request.ts";
import { checkBackup } from "../workers/backup/restore.ts";
import { workFolder } from "../workers/backup/snapshot.ts";
import { BackupError, checkTarget, writeBackup } from "../workers/backup/write.ts";

const help = `Back up a running service

  sluice backup DIR                  into DIR, which is empty or not there yet
  sluice backup DIR --base EARLIER   what EARLIER has is linked where the file system allows, not copied
  sluice backup s3://BUCKET/PATH/NAME   into object storage; what backups beside it have is not sent again
  sluice backup --check DIR|s3://…   read a backup and compare it with its checksums

Everything that was acknowledged before the command began is in the backup, once. DATA_DIR says which service;
the embedded database only (with CLICKHOUSE_URL, use that server's own BACKUP).

The keys of an object store are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, its address from AWS_ENDPOINT
(unset: AWS itself) and AWS_REGION.

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
  try {
    const place = parseObjectPlace(given);
    if (values.check) return await check(given, place);
    if (place === null) return await make(resolve(given), values.base);
    if (values.base === undefined) return await send(given, place);
    return complain("backup: --base is for directories; in object storage, backups side by side share their files", 2);
  } catch (error) {
    if (error instanceof BackupError) return complain(error.message, 1);
    throw error;
  }
}

async function check(given: string, place: ObjectPlace | null): Promise<number> {
  const { files, taken_at } = await withDirectory(given, place, tmpdir(), checkBackup);
  return say(`${given}: ${files.length} files of ${taken_at}, whole\n`);
}

async function make(directory: string, earlier: string | undefined): Promise<number> {
  checkTarget(directory);
  const base = earlier === undefined ? null : resolve(earlier);
  const { files, bytes, linkedBytes } = await withSnapshot(({ snapshot }, dataDirectory) =>
    writeBackup(snapshot, { directory, dataDirectory, base, release: packageJson.version }),
  );
  return say(`${directory}: ${files} files, ${bytes} bytes, of which ${linkedBytes} are linked to an earlier backup\n`);
}

async function send(given: string, place: ObjectPlace): Promise<number> {
  await checkObjectPlace(place);
  const { files, bytes, sentBytes } = await withSnapshot(async ({ snapshot }, dataDirectory) => {
    const directory = workFolder(dataDirectory, snapshot.name);
    const options = { directory, dataDirectory, base: null, linksParts: true, release: packageJson.version };
    const written = writeBackup(snapshot, options);
    return { ...written, sentBytes: await uploadBackup(directory, place) };
  });
  return say(`${given}: ${files} files, ${bytes} bytes, of which ${bytes - sentBytes} were there already\n`);
}

async function withSnapshot<T>(use: (held: HeldSnapshot, dataDirectory: string) => T | Promise<T>): Promise<T> {
  const dataDirectory = resolve(parseConfig(process.env).storage.dataDirectory);
  const held = await requestSnapshot(dataDirectory);
  try {
    return await use(held, dataDirectory);
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
