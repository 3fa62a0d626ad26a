import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readManifest } from "./manifest.ts";
import { requestSnapshot } from "./request.ts";
import { type WrittenBackup, writeBackup } from "./write.ts";

export interface ScheduledOptions {
  readonly dataDirectory: string;
  /** Holds one directory a backup, named by its time. */
  readonly root: string;
  readonly keep: number;
  readonly release: string;
}

const namePattern = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z$/;
const going = ".going";

export const backupName = (at: Date): string =>
  at
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "-");

/** When a backup of this name was made; NaN for any other name. */
export const backupTimeMs = (name: string): number =>
  namePattern.test(name) ? Date.parse(name.replace(/T(\d\d)-(\d\d)-/, "T$1:$2:")) : Number.NaN;

/** Names of whole backups in the directory, oldest first. */
export function listBackups(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => namePattern.test(name) && readManifest(join(root, name)).ok)
    .sort();
}

/** Makes one more backup, on top of the newest, then removes what is past `keep` and what was never finished. */
export async function makeScheduledBackup(
  deps: { readonly now: () => Date },
  options: ScheduledOptions,
): Promise<WrittenBackup & { readonly directory: string }> {
  const { root, dataDirectory, release, keep } = options;
  mkdirSync(root, { recursive: true, mode: 0o700 });
  removeUnfinished(root);
  const newest = listBackups(root).at(-1);
  const directory = join(root, backupName(deps.now()));
  const base = newest === undefined ? null : join(root, newest);
  const held = await requestSnapshot(dataDirectory);
  try {
    const written = writeBackup(held.snapshot, { directory, dataDirectory, base, release });
    for (const name of listBackups(root).slice(0, -keep)) remove(root, name);
    return { ...written, directory };
  } finally {
    await held.release();
  }
}

function removeUnfinished(root: string): void {
  for (const name of readdirSync(root)) {
    if (name.endsWith(going)) rmSync(join(root, name), { recursive: true });
    else if (namePattern.test(name) && !existsSync(join(root, name, "manifest.json"))) remove(root, name);
  }
}

/** Under another name first: a backup that is half removed is none. */
function remove(root: string, name: string): void {
  renameSync(join(root, name), join(root, `${name}${going}`));
  rmSync(join(root, `${name}${going}`), { recursive: true });
}
