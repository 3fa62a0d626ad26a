import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { writeFileAtomically } from "../base/atomic-file.ts";
import { parseKeys } from "../server/access/keys.ts";

const secretBytes = 24;

export type RotateResult =
  | { readonly ok: true; readonly secret: string; readonly added: boolean }
  | { readonly ok: false; readonly reason: string };

export type RemoveResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * Gives a key of a file a new secret, or adds the key. Comments, order and prefixes stay; the file is replaced as a whole, with
 * its mode, so that a service that watches it never reads half of it.
 */
export function rotateKey(file: string, name: string): RotateResult {
  const secret = randomBytes(secretBytes).toString("base64url");
  const found = readKeyFile(file);
  let added = true;
  const lines = found.lines.map((line) => {
    if (nameOf(line) !== name) return line;
    added = false;
    const [, , ...prefix] = line.trim().split(":");
    return [name, secret, ...prefix].join(":");
  });
  if (added) {
    if (lines.at(-1) === "") lines.pop();
    lines.push(`${name}:${secret}`, "");
  }
  const reason = replaceKeyFile(found, lines);
  return reason === null ? { ok: true, secret, added } : { ok: false, reason };
}

/** Takes a key out of a file. The last one stays: a file without keys is refused by the service. */
export function removeKey(file: string, name: string): RemoveResult {
  const found = readKeyFile(file);
  const lines = found.lines.filter((line) => nameOf(line) !== name);
  if (lines.length === found.lines.length) return { ok: false, reason: `there is no key ${name}` };
  const reason = replaceKeyFile(found, lines);
  return reason === null ? { ok: true } : { ok: false, reason };
}

/** Of the key on a line; null when there is none. */
function nameOf(line: string): string | null {
  const trimmed = line.trim();
  return trimmed === "" || trimmed.startsWith("#") ? null : (trimmed.split(":")[0] ?? null);
}

interface KeyFile {
  readonly path: string;
  readonly lines: readonly string[];
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/** Without the file, an empty one that only its owner may read. */
function readKeyFile(path: string): KeyFile {
  try {
    const { mode, uid, gid } = statSync(path);
    // Only root can give the new file to the owner of the old one.
    const owner = process.getuid?.() === 0 ? { uid, gid } : undefined;
    return { path, lines: readFileSync(path, "utf8").split("\n"), mode: mode & 0o777, owner };
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    return { path, lines: [""], mode: 0o600, owner: undefined };
  }
}

/** Why the lines cannot be used; null when they are in the file. */
function replaceKeyFile({ path, mode, owner }: KeyFile, lines: readonly string[]): string | null {
  const text = lines.join("\n");
  const parsed = parseKeys(text, "file", true);
  if (!parsed.ok) return parsed.reason;
  writeFileAtomically(path, text, mode, owner);
  return null;
}
