import type { Log } from "../../base/log.ts";
import { backupTimeMs, listBackups } from "../../workers/backup/schedule.ts";

export interface BackupScheduleDeps {
  readonly log: Log;
  readonly now: () => number;
  /** Makes one backup in a process of its own. */
  readonly run: () => Promise<{ readonly ok: boolean; readonly output: string }>;
}

export interface BackupScheduleOptions {
  /** Empty: no schedule. */
  readonly root: string;
  readonly intervalMs: number;
}

export interface BackupSchedule {
  /** When the newest whole backup was made, epoch milliseconds; null when there is none. */
  readonly newestMs: number | null;
  readonly failures: number;
  stop(): void;
}

const lookMaxMs = 60_000;
/** After a failure the next try waits this long: a full disk does not get emptier by trying. */
const retryMs = 300_000;

/** Makes a backup when the newest one is older than the interval, also across restarts. */
export function createBackupSchedule(deps: BackupScheduleDeps, options: BackupScheduleOptions): BackupSchedule {
  const { root, intervalMs } = options;
  let newestMs: number | null = null;
  let failures = 0;
  let going = false;
  let notBeforeMs = 0;

  function refresh(): void {
    const newest = listBackups(root).at(-1);
    newestMs = newest === undefined ? null : backupTimeMs(newest);
  }

  async function look(): Promise<void> {
    if (going || deps.now() < notBeforeMs || (newestMs !== null && deps.now() < newestMs + intervalMs)) return;
    going = true;
    const result = await deps.run();
    going = false;
    if (result.ok) {
      deps.log("info", "a backup was made", { result: result.output.trim() });
    } else {
      failures++;
      notBeforeMs = deps.now() + Math.min(retryMs, intervalMs);
      deps.log("error", "a backup failed", { reason: result.output.trim() });
    }
    refresh();
  }

  if (root !== "") refresh();
  const timer = root === "" ? undefined : setInterval(() => void look(), Math.min(lookMaxMs, intervalMs / 10));
  return {
    get newestMs() {
      return newestMs;
    },
    get failures() {
      return failures;
    },
    stop: () => clearInterval(timer),
  };
}

/** The process is this program's own: `workers/backup/main.ts`. */
export function createBackupRunner(options: {
  readonly dataDirectory: string;
  readonly root: string;
  readonly keep: number;
  readonly release: string;
}): BackupScheduleDeps["run"] {
  return async () => {
    const { dataDirectory, root, keep, release } = options;
    const script = new URL("../../workers/backup/main.ts", import.meta.url).pathname;
    const child = Bun.spawn([process.execPath, script, dataDirectory, root, String(keep), release], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, complaint, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { ok: code === 0, output: code === 0 ? out : complaint || `exit code ${code}` };
  };
}
