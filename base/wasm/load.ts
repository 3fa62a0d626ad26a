import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Instantiates a module that `build.mjs` made. Each caller gets an instance of its own, with its own memory. `imports`: what the
 * module declares as `@external("env", …)`, in a file `imports.ts`.
 *
 * @example
 * const { sum } = loadAssembly<{ sum(a: number, b: number): number }>(new URL("./assembly/index.wasm", import.meta.url));
 */
export function loadAssembly<Exports>(
  module: URL,
  imports: Readonly<Record<string, (...numbers: number[]) => number>> = {},
): Exports & { readonly memory: WebAssembly.Memory } {
  requireAssembly(module);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(fileURLToPath(module))), {
    env: { abort, ...imports },
  });
  return instance.exports as Exports & { readonly memory: WebAssembly.Memory };
}

/** For who needs the module later, or on another thread, and should not start without it. */
export function requireAssembly(module: URL): void {
  const path = fileURLToPath(module);
  if (!existsSync(path)) throw new Error(`${path} is missing; \`npm run build\` makes it`);
}

/** What AssemblyScript calls when memory cannot grow. The place is a line of its source. */
function abort(_message: number, _file: number, line: number, column: number): never {
  throw new Error(`a WebAssembly module gave up at line ${line}, column ${column}`);
}
