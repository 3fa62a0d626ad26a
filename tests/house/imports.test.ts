import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { forbiddenImports, importCircles, readSourceFiles } from "./imports.ts";

const files = await readSourceFiles(join(import.meta.dir, "../.."));

describe("imports run one way", () => {
  test("no production file imports against the table", () => {
    expect(files.length).toBeGreaterThan(300);
    expect(forbiddenImports(files)).toEqual([]);
  });

  test("no file imports itself around a circle", () => {
    expect(importCircles(files)).toEqual([]);
  });

  test("an arrow that runs back is named", () => {
    const added = { path: "workers/ring/ring.ts", text: 'import { x } from "../../server/main.ts";\n' };
    expect(forbiddenImports([...files, added])).toEqual(["workers/ring/ring.ts -> server/main.ts"]);
    const double = { path: "server/main.ts", text: 'const model = await import("../testing/journal-model.ts");\n' };
    expect(forbiddenImports([double])).toEqual(["server/main.ts -> testing/journal-model.ts"]);
  });

  test("a circle is named, type imports included", () => {
    const circle = [
      { path: "base/a.ts", text: 'import { b } from "./b.ts";\n' },
      { path: "base/b.ts", text: 'import type { A } from "./c.ts";\n' },
      { path: "base/c.ts", text: 'export type { A } from "./a.ts";\n' },
    ];
    expect(importCircles([...files, ...circle])).toEqual([["base/a.ts", "base/b.ts", "base/c.ts"]]);
  });
});
