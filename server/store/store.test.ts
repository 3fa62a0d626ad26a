import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../config/config-error.ts";
import { openStore } from "./store.ts";

const first = { room: "notes", steps: ["CREATE TABLE notes (text TEXT NOT NULL) STRICT"] };
const second = { room: "notes", steps: [...first.steps, "ALTER TABLE notes ADD COLUMN at INTEGER NOT NULL DEFAULT 7"] };

function withDirectory(use: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "sluice-store-"));
  try {
    use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("each step runs once, and later steps find what was written before", () =>
  withDirectory((directory) => {
    const before = openStore({ directory }, [first]);
    before.database.run("INSERT INTO notes (text) VALUES ('kept')");
    before.close();
    for (let round = 0; round < 2; round++) {
      const store = openStore({ directory }, [second]);
      expect(store.database.query("SELECT text, at FROM notes").all()).toEqual([{ text: "kept", at: 7 }]);
      store.close();
    }
  }));

test("a database that a newer release has changed is refused", () =>
  withDirectory((directory) => {
    openStore({ directory }, [second]).close();
    expect(() => openStore({ directory }, [first])).toThrow(ConfigError);
  }));

test("a step that fails leaves nothing of itself", () =>
  withDirectory((directory) => {
    const broken = { room: "notes", steps: ["CREATE TABLE notes (text TEXT) STRICT; INSERT INTO nowhere VALUES (1)"] };
    expect(() => openStore({ directory }, [broken])).toThrow();
    openStore({ directory }, [first]).close();
  }));

test("a transaction that throws changes nothing", () => {
  const store = openStore(":memory:", [first]);
  expect(() =>
    store.transaction(() => {
      store.database.run("INSERT INTO notes (text) VALUES ('lost')");
      throw new Error("on purpose");
    }),
  ).toThrow("on purpose");
  expect(store.database.query("SELECT * FROM notes").all()).toEqual([]);
  store.close();
});

test("nobody else may read it, and commits are flushed", () =>
  withDirectory((directory) => {
    const store = openStore({ directory }, [first]);
    expect(statSync(join(directory, "sluice.db")).mode & 0o077).toBe(0);
    expect(store.database.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(store.database.query("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
    store.close();
  }));
