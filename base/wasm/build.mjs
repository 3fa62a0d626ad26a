/**
 * Compiles AssemblyScript to WebAssembly: each folder `assembly/` of the named rooms that holds an `index.ts` becomes
 * `assembly/index.wasm` beside it. Run by every npm script that starts a service, and before tests, so that nobody has to
 * think of it. Not by `prepare`: npm then warns whoever installs the package of a script that they do not need. Plain Node, because an image is built where Bun is not installed yet.
 */
import { readdirSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const own = fileURLToPath(import.meta.url);
const projectRoot = join(dirname(own), "../..");
const rooms = ["base", "server", "workers"];
const options = ["-O3", "--runtime", "stub", "--noAssert", "--enable", "simd", "--enable", "bulk-memory"];

const entriesUnder = (folder) => readdirSync(folder, { recursive: true }).map((path) => join(folder, path));
const changedMs = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** The modules that are missing, or older than a source that may be part of them: their own folder's, or what all share. */
function staleModules(root) {
  const paths = rooms
    .filter((room) => changedMs(join(root, room)) > 0)
    .flatMap((room) => entriesUnder(join(root, room)));
  const sources = paths.filter((path) => path.endsWith(".ts") && dirname(path).endsWith("/assembly"));
  const shared = sources.filter((path) => dirname(path) === join(root, "base/assembly"));
  return sources
    .filter((path) => path.endsWith("/assembly/index.ts"))
    .map((source) => ({ source, module: source.replace(/\.ts$/, ".wasm") }))
    .filter(({ source, module }) => {
      const parts = sources.filter((path) => dirname(path) === dirname(source));
      return [...parts, ...shared, own].some((path) => changedMs(path) > changedMs(module));
    });
}

/**
 * Brings every module up to date; gives the paths of those that were compiled. Takes a millisecond when there is nothing to do.
 *
 * @param {string} [root]
 * @returns {Promise<string[]>}
 */
export async function buildAssembly(root = projectRoot) {
  const stale = staleModules(root);
  if (stale.length === 0) return [];
  const { main } = await import("assemblyscript/asc");
  for (const { source, module } of stale) {
    // Another process may be building, or loading, the same: it never sees half a module.
    const draft = `${module}.${process.pid}`;
    const files = [relative(root, source), "--outFile", relative(root, draft)];
    const { error, stderr } = await main([...files, "--baseDir", root, ...options]);
    if (error !== null) {
      rmSync(draft, { force: true });
      throw new Error(`${relative(root, source)} does not compile: ${error.message}\n${stderr}`);
    }
    renameSync(draft, module);
  }
  return stale.map(({ module }) => module);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === own) {
  await buildAssembly().catch((error) => {
    // `npm ci --omit=dev` has no compiler. It needs none where the modules came with the package.
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    process.stderr.write("assembly: not compiled, because the package assemblyscript is not installed\n");
  });
}
