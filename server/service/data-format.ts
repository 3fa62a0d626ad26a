import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Type from "typebox";
import { Compile } from "typebox/compile";
import { writeFileAtomically } from "../../base/atomic-file.ts";
import { dataFormat, formatName } from "../../base/data-directory-format.ts";
import type { Log } from "../../base/log.ts";
import { newerVersionOf } from "../../workers/journal/frame.ts";
import { ConfigError } from "../config/config-error.ts";

const Format = Type.Object({ format: Type.Integer({ minimum: 1 }), release: Type.String() });
const formatCheck = Compile(Format);
const advice = "start that release, or restore a backup";

/** Throws `ConfigError` when a newer release has written the directory. What an older one wrote is taken over. */
export function claimFormat(deps: { readonly log: Log; readonly release: string }, directory: string): void {
  const path = join(directory, formatName);
  const found = readFormat(path);
  if (found !== null && found.format > dataFormat) {
    throw new ConfigError(
      `DATA_DIR=${directory}: Sluice ${found.release} has written it in format ${found.format}, and this release reads ${dataFormat}: ${advice}`,
    );
  }
  refuseNewerJournal(directory);
  if (found?.format === dataFormat && found.release === deps.release) return;
  try {
    writeFileAtomically(path, `${JSON.stringify({ format: dataFormat, release: deps.release })}\n`, 0o644);
  } catch (error) {
    // A full disk must not keep a service from starting.
    deps.log("warn", "the format of the data directory cannot be noted", { error: String(error) });
  }
}

function readFormat(path: string): { readonly format: number; readonly release: string } | null {
  if (!existsSync(path)) return null;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return formatCheck.Check(value) ? value : null;
  } catch (error) {
    // Damaged: the versions in the files themselves remain.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Events of a journal that we cannot read would wait unseen while the service looks healthy. */
function refuseNewerJournal(directory: string): void {
  const journal = join(directory, "journal");
  if (!existsSync(journal)) return;
  for (const name of readdirSync(journal)) {
    if (!/\.(seg|done)$|^keys-\d+\.log$/.test(name)) continue;
    const version = newerVersionOf(join(journal, name));
    if (version !== null) {
      throw new ConfigError(
        `DATA_DIR=${directory}: the journal's file ${name} is of version ${version}, which a newer release has written: ${advice}`,
      );
    }
  }
}
