#!/usr/bin/env node
// `sluice` as npm installs it: plain JavaScript for Node, which finds the Bun that came with the package and hands over to it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const program = join(dirname(fileURLToPath(import.meta.url)), "sluice.ts");

/** The package's own program, or the one that it was made from: without install scripts it is still there. */
function findBun() {
  const name = process.platform === "win32" ? "bun.exe" : "bun";
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  const candidates = [
    ["bun/package.json", "bin/bun.exe"],
    [`@oven/bun-${process.platform}-${arch}/package.json`, `bin/${name}`],
    [`@oven/bun-${process.platform}-${arch}-musl/package.json`, `bin/${name}`],
  ];
  for (const [manifest, path] of candidates) {
    try {
      const found = join(dirname(require.resolve(manifest)), path);
      // Before its install script has run, the package has a text file in the place of the program.
      if (existsSync(found) && isProgram(found)) return found;
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return null;
}

function isProgram(path) {
  return require("node:fs").statSync(path).size > 1_000_000;
}

const bun = findBun();
if (bun === null) {
  process.stderr.write("sluice: the package bun is missing or not made for this machine; install sluice again\n");
  process.exit(1);
}
const child = spawn(bun, [program, ...process.argv.slice(2)], { stdio: "inherit" });
// A terminal's Ctrl-C reaches both; what is sent to this process alone is passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on("error", (error) => {
  process.stderr.write(`sluice: ${error.message}\n`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
