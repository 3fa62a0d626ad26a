import { Database } from "bun:sqlite";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../config/config-error.ts";

/**
 * What the page and the alerts change is in one SQLite database, `DATA_DIR/state/sluice.db`: rules, instances, the outbox,
 * saved views, links. Every room owns its tables and the steps that make them.
 */

/** The steps of one room, oldest first. A step that has been released never changes; what comes later is a new step. */
export interface RoomMigrations {
  readonly room: string;
  readonly steps: readonly string[];
}

export interface Store {
  readonly database: Database;
  /** All of `change`, or nothing of it. Runs at once and is durable when it returns. */
  transaction<T>(change: () => T): T;
  close(): void;
}

/** `:memory:` for tests. */
export type StorePlace = { readonly directory: string } | ":memory:";

/**
 * Opens the database and brings every room's tables up to date, each step in a transaction of its own. Throws `ConfigError` when
 * a newer release has been here: its tables may mean something else.
 *
 * @example
 * const store = openStore({ directory: join(dataDirectory, "state") }, [alertMigrations, viewMigrations]);
 */
export function openStore(place: StorePlace, rooms: readonly RoomMigrations[]): Store {
  const database = open(place);
  database.run("CREATE TABLE IF NOT EXISTS migrations (room TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT");
  for (const room of rooms) migrate(database, room);
  const statement = { begin: "BEGIN IMMEDIATE", commit: "COMMIT", rollback: "ROLLBACK" };
  return {
    database,
    transaction(change) {
      database.run(statement.begin);
      try {
        const result = change();
        database.run(statement.commit);
        return result;
      } catch (error) {
        // A failed COMMIT of a full disk may have rolled back by itself.
        if (database.inTransaction) database.run(statement.rollback);
        throw error;
      }
    },
    close: () => database.close(),
  };
}

function open(place: StorePlace): Database {
  if (place === ":memory:") return new Database(":memory:", { strict: true });
  mkdirSync(place.directory, { recursive: true, mode: 0o700 });
  const file = join(place.directory, "sluice.db");
  const database = new Database(file, { strict: true, create: true });
  // Secrets of channels are in it.
  chmodSync(file, 0o600);
  // FULL: a commit is flushed to disk before it returns, so a power cut does not take back what was told to somebody.
  for (const pragma of ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000"]) {
    database.run(`PRAGMA ${pragma}`);
  }
  return database;
}

function migrate(database: Database, { room, steps }: RoomMigrations): void {
  const row = database.query<{ version: number }, [string]>("SELECT version FROM migrations WHERE room = ?").get(room);
  const version = row?.version ?? 0;
  if (version > steps.length) {
    database.close();
    throw new ConfigError(
      `DATA_DIR: its database has ${room} in version ${version}, and this release knows ${steps.length}; start the newer release, or restore a backup`,
    );
  }
  for (const [index, step] of steps.entries()) {
    if (index < version) continue;
    database.transaction(() => {
      database.run(step);
      database.run("INSERT OR REPLACE INTO migrations (room, version) VALUES (?, ?)", [room, index + 1]);
    })();
  }
}
