import { duration, integer, text } from "./kinds.ts";
import { group } from "./setting.ts";

export const backup = group("Backups", {
  root: {
    variable: "BACKUP_DIR",
    fallback: "",
    kind: text("a directory outside of DATA_DIR"),
    help: "scheduled backups, a directory each, named by time; unset: none",
  },
  intervalMs: {
    variable: "BACKUP_INTERVAL",
    fallback: "1d",
    kind: duration("1m", "366d"),
    help: "time between scheduled backups",
  },
  keep: {
    variable: "BACKUP_KEEP",
    fallback: "7",
    kind: integer(1, 10_000),
    help: "scheduled backups kept; older ones are removed once a newer one is whole",
  },
});
