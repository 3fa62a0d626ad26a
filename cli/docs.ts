/** `npm run docs`: writes the pages under docs/ that are made from code. Entry point. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateDocuments } from "../server/reference/documents.ts";

for (const { path, text } of generateDocuments()) writeFileSync(join(import.meta.dir, "..", path), text);
