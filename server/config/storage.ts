import { duration, size, text } from "./kinds.ts";
import { group } from "./setting.ts";

export const storage = group("Data directory", {
  dataDirectory: {
    variable: "DATA_DIR",
    fallback: "./data",
    kind: text("a directory"),
    help: "journal, dead letters, embedded database",
  },
  journalMaxBytes: {
    variable: "JOURNAL_MAX_BYTES",
    fallback: "4GiB",
    kind: size("1MiB", "1024TiB"),
    help: "journal on disk; full: 503",
  },
  diskReserveBytes: {
    variable: "DISK_RESERVE",
    fallback: "1GiB",
    kind: size("0", "1TiB"),
    help: "inserts into the embedded engine wait while less is free (a twentieth of the disk where that is less)",
  },
  deadLetterMaxBytes: {
    variable: "DEAD_LETTER_MAX_BYTES",
    fallback: "1GiB",
    kind: size("1KiB", "1024TiB"),
    help: "dead letters on disk; full: inserting waits",
  },
  shutdownTimeoutMs: {
    variable: "SHUTDOWN_TIMEOUT",
    fallback: "30",
    kind: duration("0s", "1h"),
    help: "bound on flushing at shutdown; the rest stays in the journal",
  },
});
