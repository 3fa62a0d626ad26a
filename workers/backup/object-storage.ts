import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { S3Client } from "bun";
import { textOf } from "../../base/error-text.ts";
import { type BackupFile, manifestName, readManifest } from "./manifest.ts";
import { BackupError } from "./write.ts";

/**
 * Backups in S3, or in whatever speaks its protocol. `s3://BUCKET/PATH/NAME` keeps its manifest in `PATH/NAME/`, and its files in
 * `PATH/objects/`, each under its checksum. So every backup beside it shares what has not changed, and each stands alone. The
 * manifest is uploaded last: without it there is no backup, and objects that nobody names do no harm.
 */
export interface ObjectPlace {
  readonly bucket: string;
  /** Ends with `/`, or is empty. */
  readonly prefix: string;
  readonly name: string;
}

/** Null: not an S3 address at all, but a directory. */
export function parseObjectPlace(address: string): ObjectPlace | null {
  if (!address.startsWith("s3://")) return null;
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/((?:[^/]+\/)*)([^/]+)\/?$/.exec(address);
  const [, bucket, prefix, name] = match ?? [];
  if (bucket === undefined || prefix === undefined || name === undefined) {
    throw new BackupError(`${address} is not of the form s3://BUCKET/PATH/NAME`);
  }
  if (name === objectsName) throw new BackupError(`${address}: ${objectsName} is where the files of all backups lie`);
  return { bucket, prefix, name };
}

const objectsName = "objects";
const listMax = 1000;

/** Address and keys of the store come from the environment, under the names that AWS's own programs use. */
const connect = ({ bucket }: ObjectPlace): S3Client => new S3Client({ bucket });

const objectKey = ({ prefix }: ObjectPlace, { sha256 }: Pick<BackupFile, "sha256">): string =>
  `${prefix}${objectsName}/${sha256}`;
const manifestKey = ({ prefix, name }: ObjectPlace): string => `${prefix}${name}/${manifestName}`;

/** A place that has no backup yet. */
export async function checkObjectPlace(place: ObjectPlace): Promise<void> {
  const taken = await attempt(place, "read", () => connect(place).exists(manifestKey(place)));
  if (taken) throw new BackupError(`${addressOf(place)} is a backup already; give the new one another name`);
}

/** Copies a backup from a directory, sending only what the store does not have. Gives the bytes that were sent. */
export async function uploadBackup(directory: string, place: ObjectPlace): Promise<number> {
  const client = connect(place);
  const read = readManifest(directory);
  if (!read.ok) throw new BackupError(`${directory} cannot be used: ${read.reason}`);
  const known = await attempt(place, "listed", () => sizesOf(client, place));
  let sentBytes = 0;
  for (const file of read.manifest.files) {
    if (known.get(file.sha256) === file.bytes) continue;
    const body = Bun.file(join(directory, file.path));
    await attempt(place, "written", () => client.write(objectKey(place, file), body));
    known.set(file.sha256, file.bytes);
    sentBytes += file.bytes;
  }
  const manifest = Bun.file(join(directory, manifestName));
  await attempt(place, "written", () => client.write(manifestKey(place), manifest));
  return sentBytes;
}

/**
 * Gives `use` a backup as a directory: its own, or one made of what is in the store, in `parent`, and removed afterwards. Whoever
 * uses it compares its files with their checksums.
 */
export async function withDirectory<T>(
  address: string,
  place: ObjectPlace | null,
  parent: string,
  use: (directory: string) => T | Promise<T>,
): Promise<T> {
  if (place === null) return use(resolve(address));
  const directory = mkdtempSync(join(parent, "sluice-backup-"));
  try {
    await downloadBackup(place, directory);
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function downloadBackup(place: ObjectPlace, directory: string): Promise<void> {
  const client = connect(place);
  if (!(await attempt(place, "read", () => client.exists(manifestKey(place))))) {
    throw new BackupError(
      `${addressOf(place)} cannot be used: it has no ${manifestName}: it is none, or was not finished`,
    );
  }
  const text = await attempt(place, "read", () => client.file(manifestKey(place)).text());
  writeFileSync(join(directory, manifestName), text, { mode: 0o600 });
  const read = readManifest(directory);
  if (!read.ok) throw new BackupError(`${addressOf(place)} cannot be used: ${read.reason}`);
  for (const file of read.manifest.files) {
    const path = join(directory, file.path);
    if (existsSync(path)) throw new BackupError(`${addressOf(place)} cannot be used: it names ${file.path} twice`);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    await attempt(place, "read", () => download(client, objectKey(place, file), path));
  }
}

async function download(client: S3Client, key: string, path: string): Promise<void> {
  const sink = Bun.file(path).writer();
  try {
    for await (const piece of client.file(key).stream()) {
      sink.write(piece);
      await sink.flush();
    }
  } finally {
    await sink.end();
  }
}

async function sizesOf(client: S3Client, place: ObjectPlace): Promise<Map<string, number>> {
  const prefix = `${place.prefix}${objectsName}/`;
  const sizes = new Map<string, number>();
  let startAfter: string | undefined;
  for (;;) {
    const page = await client.list({ prefix, maxKeys: listMax, ...(startAfter === undefined ? {} : { startAfter }) });
    for (const { key, size } of page.contents ?? []) sizes.set(key.slice(prefix.length), size ?? -1);
    startAfter = page.contents?.at(-1)?.key;
    if (page.isTruncated !== true || startAfter === undefined) return sizes;
  }
}

const addressOf = ({ bucket, prefix, name }: ObjectPlace): string => `s3://${bucket}/${prefix}${name}`;

async function attempt<T>(
  place: ObjectPlace,
  verb: "read" | "listed" | "written",
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
    const reason = textOf(error);
    throw new BackupError(`${addressOf(place)} cannot be ${verb}: ${reason}${code}`);
  }
}
