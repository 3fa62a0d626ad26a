/**
 * One replica as far as the embedded engine goes: reads `{"config", "path", "statements"}` from standard input, runs each
 * statement in an engine whose Keeper is the configuration's, and prints `{"sql", "error"}` a line. It ends with its parent's
 * answer read; an engine holds its process's only connection, so each replica is a process.
 */
import { createRequire } from "node:module";
import { createLibrary } from "../workers/engine/library.ts";

interface Order {
  readonly config: string;
  readonly path: string;
  readonly statements: readonly string[];
}

const { config, path, statements }: Order = JSON.parse(await Bun.stdin.text());
const { libchdbPath }: { libchdbPath: () => string } = createRequire(import.meta.url)("chdb/libchdb");
const connection = createLibrary(libchdbPath()).connect([`--config-file=${config}`, `--path=${path}`]);
if (connection === null) throw new Error("the engine did not start");
for (const sql of statements) {
  const result = connection.run(sql, "TSV");
  const answer = result.ok
    ? { sql, error: null, text: new TextDecoder().decode(result.bytes) }
    : { sql, error: result.message, text: "" };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
// Closing would wait for the threads of tables that never become writable.
process.exit(0);
