import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buildClient, dist } from "./harness.ts";

interface Chunk {
  file: string;
  isEntry?: boolean;
  imports?: string[];
  dynamicImports?: string[];
}
let chunks: Record<string, Chunk>;
const kilobyte = 1_000;

beforeAll(() => {
  buildClient();
  chunks = JSON.parse(readFileSync(join(dist, ".vite/manifest.json"), "utf8"));
});

/** The files that loading `name` brings: itself and its static imports. */
function closure(name: string, files = new Set<string>()): Set<string> {
  const chunk = chunks[name];
  if (!chunk) throw new Error(`no chunk ${name} in the manifest`);
  if (files.has(chunk.file)) return files;
  files.add(chunk.file);
  for (const each of chunk.imports ?? []) closure(each, files);
  return files;
}
function gzipBytes(files: Iterable<string>): number {
  return [...files].reduce((sum, file) => sum + Bun.gzipSync(readFileSync(join(dist, file))).byteLength, 0);
}

describe("size budgets, gzip", () => {
  test("all JavaScript before the first paint and live numbers is at most 60 KB", () => {
    const bytes = gzipBytes(closure("index.html"));
    console.log(`shell: ${(bytes / kilobyte).toFixed(1)} KB`);
    expect(bytes).toBeLessThanOrEqual(60 * kilobyte);
  });
  test("the charts of Live add at most 30 KB", () => {
    const shell = closure("index.html");
    const charts = new Set(
      [...closure("src/pages/live/live-rate-chart.tsx"), ...closure("src/charts/lines-chart.tsx")].filter(
        (file) => !shell.has(file),
      ),
    );
    const bytes = gzipBytes(charts);
    console.log(`charts of Live: ${(bytes / kilobyte).toFixed(1)} KB`);
    expect(bytes).toBeLessThanOrEqual(30 * kilobyte);
  });
  test("every chunk asks to be compiled while it loads, on its first line", () => {
    const files = readdirSync(join(dist, "assets")).filter((file) => file.endsWith(".js"));
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      expect(readFileSync(join(dist, "assets", file), "utf8"), file).toStartWith("//# allFunctionsCalledOnLoad\n");
    }
  });
  test("ApexCharts is in one chunk, which only Explore's charts bring", () => {
    const holding = readdirSync(join(dist, "assets")).filter(
      (file) => file.endsWith(".js") && readFileSync(join(dist, "assets", file), "utf8").includes("apexcharts-canvas"),
    );
    expect(holding.length).toBe(1);
    const owner = Object.entries(chunks).find(([, chunk]) => chunk.file === `assets/${holding[0]}`);
    expect(owner?.[0]).toBe("src/pages/explore/explore-charts.tsx");
    const needing = Object.entries(chunks).filter(
      ([name, chunk]) => name !== owner?.[0] && (chunk.imports ?? []).includes(owner?.[0] ?? ""),
    );
    expect(needing).toEqual([]);
  });
});
