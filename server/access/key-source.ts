import { readFileSync } from "node:fs";
import type { Log } from "../../base/log.ts";
import { type WatchedFiles, watchFiles } from "../../base/watched-files.ts";
import { ConfigError } from "../config/config-error.ts";
import { type KeyEntry, type ParsedKeys, parseKeys } from "./keys.ts";

/** Shorter secrets can be guessed; they work, and the log says so. */
const soundSecretCharacters = 16;

export interface KeySourceOptions {
  /** For messages. */
  readonly variable: "INGEST_KEYS" | "VIEWER_KEYS" | "EDITOR_KEYS";
  /** The setting: a list, or `@FILE`. Not empty. */
  readonly setting: string;
  readonly allowPrefix: boolean;
}

export interface KeySource {
  /** Reads the file again; without a file, does nothing. */
  reload(): void;
  stop(): void;
}

/**
 * Gives the keys of a setting to `onKeys`, at once and whenever its file has changed. Throws `ConfigError` when they are wrong
 * at the start; later, a wrong file changes nothing, and the log says so: the old keys stay in force.
 */
export function openKeySource(
  deps: { readonly log: Log; readonly onKeys: (entries: readonly KeyEntry[]) => void },
  options: KeySourceOptions,
): KeySource {
  const { variable, setting, allowPrefix } = options;
  const file = setting.startsWith("@") ? setting.slice(1) : null;

  const take = (entries: readonly KeyEntry[]): void => {
    const weak = entries.filter((entry) => entry.secret.length < soundSecretCharacters).map((entry) => entry.name);
    if (weak.length > 0) {
      deps.log("warn", `${variable}: secrets of fewer than ${soundSecretCharacters} characters can be guessed`, {
        names: weak.slice(0, 20).join(","),
      });
    }
    deps.onKeys(entries);
  };

  const first = read(file, setting, allowPrefix);
  if (!first.ok) throw new ConfigError(`${variable}${file === null ? "" : `=@${file}`}: ${first.reason}`);
  take(first.entries);

  const reload = (): void => {
    if (file === null) return;
    const parsed = read(file, setting, allowPrefix);
    if (parsed.ok) {
      take(parsed.entries);
      deps.log("info", `${variable}: read again`, { file, keys: parsed.entries.length });
    } else {
      deps.log("error", `${variable}: the file is wrong; the keys read before stay in force`, {
        file,
        reason: parsed.reason,
      });
    }
  };
  const watched: WatchedFiles | null = file === null ? null : watchFiles([file], reload);
  return { reload, stop: () => watched?.stop() };
}

function read(file: string | null, setting: string, allowPrefix: boolean): ParsedKeys {
  if (file === null) return parseKeys(setting, "list", allowPrefix);
  try {
    return parseKeys(readFileSync(file, "utf8"), "file", allowPrefix);
  } catch (error) {
    if (error instanceof Error && "code" in error) return { ok: false, reason: `cannot be read (${error.code})` };
    throw error;
  }
}
