import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generateDocuments } from "../../server/reference/documents.ts";

const root = join(import.meta.dir, "../..");

test.each(generateDocuments().map((document) => [document.path, document.text]))(
  "%s says what the code says (npm run docs)",
  (path, text) => {
    expect(readFileSync(join(root, path), "utf8")).toBe(text);
  },
);
