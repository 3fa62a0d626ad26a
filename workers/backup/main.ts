/** Entry of the process that makes a scheduled backup: `bun workers/backup/main.ts DATA_DIR BACKUP_DIR KEEP RELEASE`. */
import { makeScheduledBackup } from "./schedule.ts";
import { BackupError } from "./write.ts";

const [dataDirectory = "", root = "", keep = "", release = ""] = process.argv.slice(2);
try {
  const { directory, bytes, linkedBytes } = await makeScheduledBackup(
    { now: () => new Date() },
    { dataDirectory, root, keep: Number(keep), release },
  );
  process.stdout.write(`${JSON.stringify({ directory, bytes, linkedBytes })}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof BackupError ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
