import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { writeFileAtomically } from "../base/atomic-file.ts";
import { parseKeys } from "../server/access/keys.ts";

const secretBytes = 24;

export type RotateResult =
  | { readonly ok: true; readonly secret: string; readonly added: boolean }
  | { readonly ok: false; readonly reason: string };

/**
 * Gives a key of a file a new secret, or adds the key. Comments, order and prefixes stay; the file is replaced as a whole, with
 * its mode, so that a service that watches it never reads half of it.
 */
export function rotateKey(file: string, name: string): RotateResult {
  let before = "";
  let mode = 0o600;
  let owner: { uid: number; gid: number } | undefined;
  try {
    before = readFileSync(file, "utf8");
    const stat = statSync(file);
    mode = stat.mode & 0o777;
    if (process.getuid?.() === 0) owner = { uid: stat.uid, gid: stat.gid };
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const secret = randomBytes(secretBytes).toString("base64url");
  let added = true;
  const lines = before.split("\n").map((line) => {
    const [given = "", , ...prefix] = line.trim().split(":");
    if (given !== name || line.trim().startsWith("#")) return line;
    added = false;
    return [name, secret, ...prefix].join(":");
  });
  if (added) {
    if (lines.at(-1) === "") lines.pop();
    lines.push(`${name}:${secret}`, "");
  }
  const after = lines.join("\n");
  const parsed = parseKeys(after, "file", true);
  if (!parsed.ok) return { ok: false, reason: parsed.reason };
  writeFileAtomically(file, after, mode, owner);
  return { ok: true, secret, added };
}
