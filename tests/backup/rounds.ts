/**
 * `bun tests/backup/rounds.ts --rounds 20 --seed 1`: SIGKILL at a random moment of a backup and of a restore, while events come
 * in. A backup that was cut off is refused or whole; a directory whose restore was cut off is refused by the service or
 * whole; what is whole holds every event that was acknowledged before. Entry point; the test runs a few rounds.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createRandom } from "../../base/random.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { command, createFolder, serveRestored, startLoad, verifyStored } from "./rig.ts";

export interface RoundCounts {
  backupsCut: number;
  backupsWhole: number;
  restoresCut: number;
  restoresWhole: number;
}

export async function runRounds(rounds: number, seed: number, say: (line: string) => void): Promise<RoundCounts> {
  const random = createRandom(seed);
  const folder = createFolder();
  const counts: RoundCounts = { backupsCut: 0, backupsWhole: 0, restoresCut: 0, restoresWhole: 0 };
  const service = await startService();
  const load = startLoad(service, 5_000);
  /** How long a whole one took lately: the kill falls anywhere in it. */
  const took = { backup: 700, restore: 3_000 };
  try {
    await until("some events", () => load.acknowledged.size > 2_000);
    for (let round = 1; round <= rounds; round++) {
      const directory = join(folder.path, `backup-${round}`);
      const before = [...load.acknowledged];
      const whole = await cutBackup(service, directory, random() * took.backup);
      counts[whole ? "backupsWhole" : "backupsCut"]++;
      if (!whole) rmSync(directory, { recursive: true, force: true });
      const startedMs = performance.now();
      // On what a cut-off one left, as an operator would.
      if (!whole) await mustSucceed(command("backup", service.dataDirectory, [directory]).result);
      if (!whole) took.backup = performance.now() - startedMs;
      const target = join(folder.path, `data-${round}`);
      counts[(await cutRestore(target, directory, took, random)) ? "restoresWhole" : "restoresCut"]++;
      const restored = await serveRestored(target);
      const rows = await verifyStored(restored, before).finally(() => restored.dispose());
      say(`round ${round}: backup ${whole ? "whole" : "cut"}, ${before.length} acknowledged before, ${rows} restored`);
      for (const path of [directory, target]) rmSync(path, { recursive: true, force: true });
    }
    await until("every snapshot to be let go", () => leftSnapshots(service.dataDirectory) === 0);
    return counts;
  } finally {
    await load.stop();
    await service.dispose();
    folder.remove();
  }
}

const leftSnapshots = (dataDirectory: string): number =>
  ["snapshots", "clickhouse/data/shadow"]
    .map((name) => join(dataDirectory, name))
    .filter(existsSync)
    .reduce((sum, path) => sum + readdirSync(path).filter((name) => name.startsWith("backup_")).length, 0);

/** True when the backup was whole before the kill. */
async function cutBackup(service: Service, directory: string, afterMs: number): Promise<boolean> {
  const running = command("backup", service.dataDirectory, [directory]);
  await Bun.sleep(afterMs);
  running.process.kill("SIGKILL");
  await running.result;
  const { code, out } = await command("backup", service.dataDirectory, ["--check", directory]).result;
  if (code !== 0 && out !== "") throw new Error(`a backup that is refused says: ${out}`);
  return code === 0;
}

async function cutRestore(
  target: string,
  backup: string,
  took: { restore: number },
  random: () => number,
): Promise<boolean> {
  const running = command("restore", target, [backup]);
  await Bun.sleep(random() * took.restore);
  running.process.kill("SIGKILL");
  await running.result;
  const begun = existsSync(target) && readdirSync(target).some((name) => !name.startsWith("service.lock"));
  if (begun && !existsSync(join(target, "restore-unfinished"))) return true;
  if (begun) await mustBeRefused(target);
  const startedMs = performance.now();
  await mustSucceed(command("restore", target, [backup]).result);
  took.restore = performance.now() - startedMs;
  return false;
}

async function mustBeRefused(dataDirectory: string): Promise<void> {
  const child = Bun.spawn([process.execPath, "server/main.ts"], {
    env: { PATH: process.env.PATH ?? "", DATA_DIR: dataDirectory, PORT: "0", EMBEDDED_CLICKHOUSE_PORT: "0" },
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaint = await new Response(child.stderr).text();
  if ((await child.exited) !== 2) throw new Error(`the service took an unfinished restore: ${complaint}`);
}

async function mustSucceed(result: Promise<{ code: number; complaint: string }>): Promise<void> {
  const { code, complaint } = await result;
  if (code !== 0) throw new Error(`exit code ${code}: ${complaint}`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { rounds: { type: "string" }, seed: { type: "string" } } });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  process.stdout.write(`seed ${seed}\n`);
  const counts = await runRounds(Number(values.rounds ?? 20), seed, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}
