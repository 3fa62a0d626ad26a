import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeFileHeader } from "../../workers/journal/frame.ts";
import { ConfigError } from "../config/config-error.ts";
import { claimFormat } from "./data-format.ts";

const root = mkdtempSync(join(tmpdir(), "sluice-format-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const logged: string[] = [];
const claim = (directory: string): void =>
  claimFormat({ log: (_, message) => logged.push(message), release: "0.2.0" }, directory);

function directoryWith(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = join(root, name);
  mkdirSync(join(directory, "journal"), { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(join(directory, file), content);
  return directory;
}

function segmentOfVersion(fileVersion: number, rowVersion: number): Uint8Array {
  const id = "0123456789abcdef";
  const identity = { kind: "segment", journalId: id, number: 1, nonce: id, createdAtMs: 0, ownStates: true } as const;
  const bytes = Buffer.from(encodeFileHeader(identity).bytes);
  for (const at of [0, 512]) {
    bytes.writeUInt32LE(fileVersion, at + 4);
    bytes.writeUInt32LE(rowVersion, at + 8);
  }
  return bytes;
}

const newer: [what: string, files: Record<string, string | Uint8Array>, says: string][] = [
  ["a directory", { "format.json": '{"format":2,"release":"0.9.0"}' }, "Sluice 0.9.0 has written it in format 2"],
  [
    "a journal file",
    { "journal/0000000000000001.seg": segmentOfVersion(2, 1) },
    "0000000000000001.seg is of version 2.1",
  ],
  [
    "a row format",
    { "journal/0000000000000001.done": segmentOfVersion(1, 2) },
    "0000000000000001.done is of version 1.2",
  ],
  ["a key log", { "journal/keys-3.log": segmentOfVersion(7, 1) }, "keys-3.log is of version 7.1"],
];
test.each(newer)("%s of a newer release is refused with a sentence", (what, files, says) => {
  const directory = directoryWith(what, files);
  expect(() => claim(directory)).toThrow(ConfigError);
  expect(() => claim(directory)).toThrow(says);
});

test("a directory from before formats were noted, and a damaged note, are taken over", () => {
  for (const files of [{ "journal/0000000000000001.seg": segmentOfVersion(1, 1) }, { "format.json": "{" }, {}]) {
    const directory = directoryWith(crypto.randomUUID(), files);
    claim(directory);
    expect(JSON.parse(readFileSync(join(directory, "format.json"), "utf8"))).toEqual({ format: 1, release: "0.2.0" });
  }
});

test("damage in one copy of a header is damage, not a newer release", () => {
  const bytes = Buffer.from(segmentOfVersion(1, 1));
  bytes.writeUInt32LE(99, 4);
  claim(directoryWith("damaged", { "journal/0000000000000001.seg": bytes }));
});
