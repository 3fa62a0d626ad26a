import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeFileAtomically } from "../../base/atomic-file.ts";
import { copyFile, type Digest, digestOf, syncPath, syncTree, tryLink } from "./file-copy.ts";
import {
  type BackupFile,
  backupVersion,
  encodeManifest,
  type Manifest,
  manifestName,
  readManifest,
} from "./manifest.ts";
import type { Snapshot } from "./snapshot.ts";

export interface WriteOptions {
  /** Empty, or not there yet. */
  readonly directory: string;
  readonly dataDirectory: string;
  /** An earlier backup: parts that are in it are linked where the file system allows, and not copied again. */
  readonly base: string | null;
  /** Gives parts second names instead of copying them, for a directory that is read and removed again. */
  readonly linksParts?: boolean;
  readonly release: string;
}

export interface WrittenBackup {
  readonly files: number;
  readonly bytes: number;
  /** Of `bytes`, those that were in the earlier backup. */
  readonly linkedBytes: number;
}

/** Why a backup cannot be made; a sentence. */
export class BackupError extends Error {}

/** A directory that a backup may be written into: one that is empty, or is not there. */
export function checkTarget(directory: string): void {
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    throw new BackupError(`${directory} is not empty; a backup needs a directory of its own`);
  }
}

/** Copies what the snapshot holds. Until the manifest is there, which is the last step, the directory is no backup. */
export function writeBackup(snapshot: Snapshot, options: WriteOptions): WrittenBackup {
  const { directory } = options;
  checkTarget(directory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const copier = createCopier(directory, openBase(options.base), options.linksParts ?? false);
  const tables = snapshot.tables.map((table) => {
    const parts = partsIn(table.frozen);
    if (parts.length === 0 && !table.isEmpty)
      throw new BackupError(`the engine has not given the parts of ${table.name}`);
    for (const part of parts) copier.part(join(table.frozen, part), `tables/${table.name}/${part}`);
    const rows = parts.reduce((sum, part) => sum + rowsOf(join(table.frozen, part)), 0n);
    return { name: table.name, create: table.create, parts, rows: String(rows), sums: { ...table.sums } };
  });
  for (const { source, path, bytes } of snapshot.files) copier.file(source, path, bytes);
  const sessions = join(options.dataDirectory, "access", "sessions.json");
  if (existsSync(sessions)) copier.file(sessions, "access/sessions.json");
  const store = join(options.dataDirectory, "state", "sluice.db");
  if (existsSync(store)) copier.add("state/sluice.db", vacuumInto(store, join(directory, "state", "sluice.db")));
  syncTree(directory, false);
  syncPath(dirname(directory));
  const manifest: Manifest = {
    format: "sluice-backup",
    version: backupVersion,
    release: options.release,
    taken_at: new Date(snapshot.takenAtMs).toISOString(),
    database: snapshot.database,
    schema: snapshot.schema.map(({ number, name, checksum }) => ({ number: Number(number), name, checksum })),
    tables,
    files: copier.files,
  };
  writeFileAtomically(join(directory, manifestName), encodeManifest(manifest), 0o600);
  const bytes = copier.files.reduce((sum, file) => sum + file.bytes, 0);
  return { files: copier.files.length, bytes, linkedBytes: copier.linkedBytes };
}

/** The store's pages as of one transaction, whoever writes meanwhile. */
function vacuumInto(store: string, target: string): Digest {
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const database = new Database(store, { readwrite: true, create: false });
  try {
    database.run("PRAGMA busy_timeout = 5000");
    database.run("VACUUM INTO ?", [target]);
  } finally {
    database.close();
  }
  syncPath(target);
  return digestOf(target);
}

/** A table without rows has nothing frozen. */
const partsIn = (frozen: string): string[] =>
  existsSync(frozen)
    ? readdirSync(frozen, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
        .sort()
    : [];

const rowsOf = (part: string): bigint => BigInt(readFileSync(join(part, "count.txt"), "utf8").trim());

interface Base {
  readonly directory: string;
  readonly files: ReadonlyMap<string, BackupFile>;
}

function openBase(directory: string | null): Base | null {
  if (directory === null) return null;
  const read = readManifest(directory);
  if (!read.ok) throw new BackupError(`${directory} cannot be built upon: ${read.reason}`);
  return { directory, files: new Map(read.manifest.files.map((file) => [file.path, file])) };
}

/** Parts never change, and these two say what is in one: the checksums of its columns, and which columns there are. */
const identifying = ["checksums.txt", "columns.txt"];

function createCopier(directory: string, base: Base | null, linksParts: boolean) {
  const files: BackupFile[] = [];
  let linkedBytes = 0;

  const add = (path: string, digest: Digest): void => void files.push({ path, ...digest });

  function file(source: string, path: string, bytes?: number): void {
    const digest = copyFile(source, join(directory, path), bytes);
    if (bytes !== undefined && digest.bytes !== bytes) throw new BackupError(`${source} is shorter than it was`);
    add(path, digest);
  }

  function isInBase(part: string, path: string, names: readonly string[]): boolean {
    if (base === null) return false;
    const same = (name: string): boolean =>
      base.files.get(`${path}/${name}`)?.bytes === statSync(join(part, name)).size &&
      (!identifying.includes(name) ||
        readFileSync(join(part, name)).equals(readFileSync(join(base.directory, path, name))));
    return names.every(same);
  }

  function part(source: string, path: string): void {
    const names = filesIn(source);
    const known = isInBase(source, path, names);
    for (const name of names) {
      const earlier = known ? base?.files.get(`${path}/${name}`) : undefined;
      if (base && earlier && tryLink(join(base.directory, earlier.path), join(directory, earlier.path))) {
        files.push(earlier);
        linkedBytes += earlier.bytes;
      } else if (linksParts && tryLink(join(source, name), join(directory, path, name))) {
        add(`${path}/${name}`, digestOf(join(source, name)));
      } else file(join(source, name), `${path}/${name}`);
    }
  }

  return {
    files,
    add,
    file,
    part,
    get linkedBytes() {
      return linkedBytes;
    },
  };
}

/** Of a part, projections included; with `/`. */
function filesIn(directory: string, prefix = ""): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesIn(join(directory, entry.name), `${prefix}${entry.name}/`) : [`${prefix}${entry.name}`],
  );
}
