import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { createTemporaryDirectory, removeTemporaryDirectory } from "../processes.ts";
import { projectRoot } from "../scratch-clickhouse.ts";
import type { RunningTarget, Target } from "../target.ts";
import { createSluice, type SluiceOptions } from "./sluice.ts";

/** The commit that the goals name: before batches went in by columns. */
const commit = "1310f08";

/** Why it cannot be checked out, or null. A shallow clone has no earlier commits. */
export function missingBefore(): string | null {
  const found = Bun.spawnSync(["git", "-C", projectRoot, "cat-file", "-e", `${commit}^{commit}`], { stderr: "ignore" });
  return found.exitCode === 0 ? null : `commit ${commit} (git fetch --unshallow)`;
}

/** A checkout of that commit, over the packages that are installed here. The caller removes it. */
export function checkOutBefore(): string {
  const root = createTemporaryDirectory("before");
  const archive = Bun.spawnSync(["git", "-C", projectRoot, "archive", "--format=tar", commit]);
  const unpacked = Bun.spawnSync(["tar", "-x", "-C", root], { stdin: archive.stdout });
  if (archive.exitCode !== 0 || unpacked.exitCode !== 0) {
    throw new Error(`commit ${commit} cannot be checked out: ${archive.stderr}${unpacked.stderr}`);
  }
  symlinkSync(join(projectRoot, "node_modules"), join(root, "node_modules"));
  return root;
}

/** Sluice as it was: a contestant of its own, so that a gain is measured in the run that shows it. */
export function createBefore(options: SluiceOptions = {}): Target {
  return {
    name: "before",
    missing: missingBefore,
    async start(): Promise<RunningTarget> {
      const root = checkOutBefore();
      const running = await createSluice({ ...options, root }).start();
      return {
        ...running,
        async stop() {
          const inTime = await running.stop();
          removeTemporaryDirectory(root);
          return inTime;
        },
      };
    },
  };
}
