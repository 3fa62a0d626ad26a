import { dirname, normalize } from "node:path";

/** Which top-level folders a folder's production files may import. What is not listed is not allowed. */
export const allowedArrows: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  base: [],
  ddl: ["contract", "base"],
  workers: ["contract", "base", "ddl"],
  server: ["contract", "base", "ddl", "workers"],
  cli: ["contract", "base", "ddl", "workers", "server", "sdk"],
  sdk: [],
  client: ["contract"],
  bench: ["contract", "base", "ddl", "workers", "server", "cli", "sdk"],
  testing: ["contract", "base", "ddl", "workers", "server", "cli", "bench"],
};

export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const importPattern = /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+|\bnew URL\(\s*)"(\.{1,2}\/[^"]+\.tsx?)"/g;

/** Import paths relative to the repository's root, type imports included. */
export function importsOf(file: SourceFile): string[] {
  return [...file.text.matchAll(importPattern)].map((match) => normalize(`${dirname(file.path)}/${match[1]}`));
}

const isTest = (path: string): boolean => /\.test\.tsx?$/.test(path);
const roomOf = (path: string): string => path.split("/", 1)[0] as string;

/** One line for each import that runs against `allowedArrows`. */
export function forbiddenImports(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => !isTest(path) && roomOf(path) in allowedArrows)
    .flatMap((file) =>
      importsOf(file)
        .filter((to) => {
          const [here, there] = [roomOf(file.path), roomOf(to)];
          return here !== there && !allowedArrows[here]?.includes(there);
        })
        .map((to) => `${file.path} -> ${to}`),
    );
}

/** Files that import each other, directly or around a circle: each circle is one sorted list of paths. */
export function importCircles(files: readonly SourceFile[]): string[][] {
  const imports = new Map(files.map((file) => [file.path, importsOf(file)]));
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const circles: string[][] = [];
  // Tarjan's algorithm for strongly connected components.
  const visit = (path: string): void => {
    order.set(path, order.size);
    lowest.set(path, order.get(path) as number);
    open.push(path);
    for (const to of imports.get(path) ?? []) {
      if (!imports.has(to)) continue;
      if (!order.has(to)) visit(to);
      if (open.includes(to)) lowest.set(path, Math.min(lowest.get(path) as number, lowest.get(to) as number));
    }
    if (lowest.get(path) !== order.get(path)) return;
    const circle = open.splice(open.indexOf(path));
    if (circle.length > 1) circles.push(circle.sort());
  };
  for (const path of imports.keys()) if (!order.has(path)) visit(path);
  return circles;
}

const folders = [...Object.keys(allowedArrows), "tests"];

/** Every TypeScript file of the repository that a commit would hold. */
export async function readSourceFiles(root: string): Promise<SourceFile[]> {
  const listed = Bun.spawnSync(["git", "ls-files", "--cached", "--others", "--exclude-standard", ...folders], {
    cwd: root,
  });
  if (listed.exitCode !== 0) throw new Error(`git ls-files failed: ${listed.stderr}`);
  const paths = `${listed.stdout}`.split("\n").filter((path) => /\.tsx?$/.test(path));
  const present = [];
  for (const path of paths) {
    const file = Bun.file(`${root}/${path}`);
    if (await file.exists()) present.push({ path, text: await file.text() });
  }
  return present;
}
