import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";

/**
 * `manifest.json` makes a directory a backup: it is written last, names every file with its checksum, and ends with a line
 * that is the checksum of what comes before. Without a whole one there is no backup, whatever else lies there.
 */

export const manifestName = "manifest.json";
/** Of the layout of a backup. A release reads its own and older ones. */
export const backupVersion = 1;

const digits = Type.String({ pattern: "^[0-9]+$" });
/** No absolute path, nothing that climbs. */
const path = Type.String({ pattern: "^(?!.*(^|/)\\.\\.?(/|$))[A-Za-z0-9_.%-]+(/[A-Za-z0-9_.%-]+)+$" });

export const Manifest = Type.Object({
  format: Type.Literal("sluice-backup"),
  version: Type.Integer({ minimum: 1 }),
  /** Of the release that wrote it. */
  release: Type.String(),
  /** Everything that was acknowledged before this is in it. */
  taken_at: Type.String(),
  database: Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }),
  /** Applied files of `ddl/`, in order. */
  schema: Type.Array(Type.Object({ number: Type.Integer(), name: Type.String(), checksum: Type.String() })),
  tables: Type.Array(
    Type.Object({
      name: Type.String({ pattern: "^[A-Za-z0-9_.%-]+$" }),
      create: Type.String(),
      parts: Type.Array(Type.String({ pattern: "^[A-Za-z0-9_-]+$" })),
      rows: digits,
      sums: Type.Record(Type.String(), digits),
    }),
  ),
  files: Type.Array(
    Type.Object({
      path,
      bytes: Type.Integer({ minimum: 0 }),
      sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
    }),
  ),
});
export type Manifest = Static<typeof Manifest>;

export type BackupFile = Manifest["files"][number];

const check = Compile(Manifest);
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

export function encodeManifest(manifest: Manifest): string {
  const text = `${JSON.stringify(manifest)}\n`;
  return `${text}${sha256(text)}\n`;
}

export type ManifestResult =
  | { readonly ok: true; readonly manifest: Manifest }
  | { readonly ok: false; readonly reason: string };

/** Reads the manifest of a backup; says why there is none that can be used. */
export function readManifest(directory: string): ManifestResult {
  let text: string;
  try {
    text = readFileSync(join(directory, manifestName), "utf8");
  } catch (error) {
    const missing = error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
    const why = missing ? `it has no ${manifestName}: it is none, or was not finished` : String(error);
    return { ok: false, reason: why };
  }
  const [body = "", checksum] = text.split("\n");
  if (checksum !== sha256(`${body}\n`)) return { ok: false, reason: `${manifestName} is damaged` };
  const value: unknown = JSON.parse(body);
  // The version first: a newer layout need not look like ours in any other way.
  if (typeof value === "object" && value !== null && "version" in value && Number(value.version) > backupVersion) {
    return {
      ok: false,
      reason: `it was written by a newer release (layout ${value.version}, known is ${backupVersion})`,
    };
  }
  if (!check.Check(value)) return { ok: false, reason: `${manifestName} is not one of Sluice's` };
  return { ok: true, manifest: value };
}
