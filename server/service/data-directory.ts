import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { restoreMarkerName } from "../../base/data-directory-format.ts";
import { lockDirectory } from "../../base/directory-lock.ts";
import { ConfigError } from "../config/config-error.ts";

/** Where each part keeps its files. */
export interface DataDirectory {
  readonly path: string;
  /** No service has run on it before. */
  readonly fresh: boolean;
  readonly journal: string;
  readonly deadLetters: string;
  readonly access: string;
  /** What people change, and the state of alerts. */
  readonly state: string;
  /** Lets another process have the directory. */
  release(): void;
}

/** Makes the directory where there is none, and takes it for this process alone. Throws `ConfigError` when it cannot. */
export function openDataDirectory(given: string): DataDirectory {
  const path = resolve(given);
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ConfigError(`DATA_DIR=${given}: cannot be made (${why}); use another directory`);
  }
  const lock = lockDirectory(path);
  if (!lock.ok) throw new ConfigError(`DATA_DIR=${given}: ${lock.reason}`);
  if (existsSync(join(path, restoreMarkerName))) {
    throw new ConfigError(
      `DATA_DIR=${given}: a restore into it was not finished; run it again, or empty the directory`,
    );
  }
  const journal = join(path, "journal");
  return {
    path,
    fresh: !existsSync(journal),
    journal,
    deadLetters: join(path, "dead-letter"),
    access: join(path, "access"),
    state: join(path, "state"),
    release: lock.release,
  };
}
