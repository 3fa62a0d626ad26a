import type { Log } from "../../base/log.ts";
import type { WriterClient } from "../../workers/client.ts";
import type { Config } from "../config/groups.ts";
import { createBackupRunner, createBackupSchedule } from "../ops/backup-schedule.ts";
import { createControlSocket } from "../ops/control-socket.ts";

export interface BackupsDeps {
  readonly log: Log;
  readonly writer: Pick<WriterClient, "snapshot">;
  readonly version: string;
}

/** Snapshots for whoever asks on the control socket, and the schedule, whose process is one who asks. */
export function openBackups({ log, writer, version }: BackupsDeps, config: Config, dataDirectory: string) {
  const embedded = config.clickHouse.urls === null;
  const socket = createControlSocket({ log, snapshot: (name) => writer.snapshot(name) }, { dataDirectory, embedded });
  const run = createBackupRunner({ ...config.backup, dataDirectory, release: version });
  const schedule = createBackupSchedule({ log, now: Date.now, run }, config.backup);
  return {
    async stop(): Promise<void> {
      schedule.stop();
      await socket.stop();
    },
  };
}
