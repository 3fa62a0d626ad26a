import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildAssembly } from "./build.mjs";
import { loadAssembly } from "./load.ts";

const root = mkdtempSync(join(tmpdir(), "sluice-assembly-"));
afterAll(() => rmSync(root, { recursive: true }));
const folder = join(root, "workers/sums/assembly");
const source = join(folder, "index.ts");
const module = join(folder, "index.wasm");
mkdirSync(folder, { recursive: true });

interface Sums {
  sum(a: number, b: number): number;
}
const load = () => loadAssembly<Sums>(pathToFileURL(module));

test("a module is compiled when its source is newer, and only then", async () => {
  expect(load).toThrow("`npm run build` makes it");
  writeFileSync(source, "export function sum(a: i32, b: i32): i32 { return a + b; }\n");
  expect(await buildAssembly(root)).toEqual([module]);
  expect(load().sum(40, 2)).toBe(42);
  expect(await buildAssembly(root)).toEqual([]);
  writeFileSync(source, "export function sum(a: i32, b: i32): i32 { return a - b; }\n");
  utimesSync(source, new Date(), new Date(Date.now() + 10_000));
  expect(await buildAssembly(root)).toEqual([module]);
  expect(load().sum(40, 2)).toBe(38);
});

test("a mistake in the source is told with its place, and leaves no half module", async () => {
  writeFileSync(source, "export function sum(a: i32, b: i32): i32 { return c; }\n");
  utimesSync(source, new Date(), new Date(Date.now() + 20_000));
  expect(buildAssembly(root)).rejects.toThrow(
    /workers\/sums\/assembly\/index.ts does not compile.*[\s\S]*Cannot find name 'c'/,
  );
  expect(readdirSync(folder).toSorted()).toEqual(["index.ts", "index.wasm"]);
});
