import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DeadLetter,
  openDeadLetterFile,
  readDeadLetters,
  readNewestDeadLetters,
  readReplays,
  recordReplays,
} from "./dead-letter.ts";

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "sluice-letters-")), "dead-letter");
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true, force: true }));

const day = (text: string) => (): Date => new Date(`${text}T12:00:00Z`);
const letter = (id: string, note = ""): DeadLetter => ({
  id,
  at: "2026-01-01T00:00:00.000Z",
  code: 469,
  reason: `no ${note}`,
  event: {
    timestamp: "2026-01-01T00:00:00.000Z",
    received_at: "2026-01-01T00:00:00.000Z",
    device_id: `device ${id}`,
    event_type: "t",
    value_float: 1,
    value_string: null,
    metadata: {},
  },
});
const ids = (): string[] => [...readDeadLetters(directory)].map(({ id }) => id);

test("letters are read back in their order, over days and restarts, each once", () => {
  const first = openDeadLetterFile(directory, 1e6, day("2026-01-01"));
  expect(first.tryAppend(letter("a"))).toBe(true);
  expect(first.tryAppend(letter("a"))).toBe(true);
  first.close();
  const second = openDeadLetterFile(directory, 1e6, day("2026-01-02"));
  expect([second.count, second.has("a"), second.has("b")]).toEqual([1, true, false]);
  second.tryAppend(letter("a"));
  second.tryAppend(letter("b", "ünïcødé 😀"));
  second.close();
  expect(ids()).toEqual(["a", "b"]);
  expect(readNewestDeadLetters(directory, 1)).toEqual([letter("b", "ünïcødé 😀")]);
  expect(readdirSync(directory).sort()).toEqual(["2026-01-01.ndjson", "2026-01-02.ndjson"]);
});

test("a line that a crash tore is left out, and spoils no other", () => {
  const first = openDeadLetterFile(directory, 1e6, day("2026-01-01"));
  first.tryAppend(letter("a"));
  first.close();
  appendFileSync(join(directory, "2026-01-01.ndjson"), JSON.stringify(letter("torn")).slice(0, 60));
  const second = openDeadLetterFile(directory, 1e6, day("2026-01-01"));
  expect(second.has("torn")).toBe(false);
  second.tryAppend(letter("torn"));
  second.tryAppend(letter("b"));
  second.close();
  expect(ids()).toEqual(["a", "torn", "b"]);
});

test("a full directory refuses, and takes letters again once somebody made room", () => {
  const line = JSON.stringify(letter("0")).length + 2;
  const file = openDeadLetterFile(directory, line * 3, day("2026-01-02"));
  for (const id of ["0", "1", "2"]) expect(file.tryAppend(letter(id))).toBe(true);
  expect(file.tryAppend(letter("3"))).toBe(false);
  expect([file.count, file.has("3")]).toEqual([3, false]);
  rmSync(join(directory, "2026-01-02.ndjson"));
  expect(file.tryAppend(letter("3"))).toBe(true);
  file.close();
});

test("what was replayed is no letter any more, and is never made one again", () => {
  const file = openDeadLetterFile(directory, 1e6, day("2026-01-01"));
  for (const id of ["a", "b", "c"]) file.tryAppend(letter(id));
  file.close();
  recordReplays(directory, [{ id: "a", at: "2026-01-02T00:00:00.000Z", state: "begun" }]);
  recordReplays(directory, [{ id: "b", at: "2026-01-02T00:00:00.000Z", state: "begun" }]);
  recordReplays(directory, [{ id: "b", at: "2026-01-02T00:00:01.000Z", state: "done" }]);
  expect(ids()).toEqual(["a", "c"]);
  expect(readReplays(directory).map(({ id, state }) => `${id} ${state}`)).toEqual(["a begun", "b done"]);
  const again = openDeadLetterFile(directory, 1e6, day("2026-01-03"));
  expect([again.count, again.has("b")]).toEqual([2, true]);
  expect(again.tryAppend(letter("b"))).toBe(true);
  again.close();
  expect(ids()).toEqual(["a", "c"]);
});

test("files of others are left alone", () => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "notes.ndjson"), JSON.stringify(letter("x")));
  expect(ids()).toEqual([]);
});
