import { retentionDaysMax } from "../../ddl/apply.ts";
import { parseRetentionRules, type RetentionRule } from "../../ddl/retention.ts";
import { duration, integer, type Kind, size } from "./kinds.ts";
import { group } from "./setting.ts";

const retentionRules: Kind<{ readonly text: string; readonly rules: readonly RetentionRule[] }> = {
  parse(text) {
    const rules = parseRetentionRules(text, retentionDaysMax);
    return rules && { text, rules };
  },
  allowed: `TYPE=DAYS or meta.KEY:VALUE=DAYS, several separated by commas, with * for any characters and 1 to ${retentionDaysMax} days`,
};

export const batching = group("Batches and retention", {
  batchRows: {
    variable: "BATCH_SIZE",
    fallback: "500000",
    // A batch and what is made of it have to fit into the 4 GiB of workers/columns/.
    kind: integer(1, 2_000_000, " rows"),
    help: "rows that seal a batch at once",
  },
  flushIntervalMs: {
    variable: "FLUSH_INTERVAL",
    fallback: "1",
    kind: duration("10ms", "1h"),
    help: "a non-empty batch is sealed after this long",
  },
  segmentMaxBytes: {
    variable: "SEGMENT_MAX_BYTES",
    fallback: "128MiB",
    kind: size("64KiB", "512MiB"),
    help: "bytes that seal a batch",
  },
  segmentMaxAgeMs: {
    variable: "SEGMENT_MAX_AGE",
    fallback: "60",
    kind: duration("10ms", "1d"),
    help: "a batch is sealed after this long even while ClickHouse is away",
  },
  ownStatesRows: {
    variable: "OWN_STATES_ROWS",
    fallback: "100000",
    kind: integer(0, 10_000_000, " rows"),
    help: "after a batch of at least so many rows, the next one's rollups are computed by Sluice, not by the embedded engine",
  },
  insertTimeoutMs: {
    variable: "INSERT_TIMEOUT",
    fallback: "60",
    kind: duration("100ms", "1h"),
    help: "an insert that is not answered by then is tried again",
  },
  retentionDays: {
    variable: "RETENTION_DAYS",
    fallback: "90",
    kind: integer(1, retentionDaysMax),
    help: "days that raw events are kept (rollups: 1 s for 7 days, 1 min for a year, 1 h for ever)",
  },
  retentionSweepMs: {
    variable: "RETENTION_SWEEP_INTERVAL",
    fallback: "1h",
    kind: duration("1s", "1d"),
    help: "time between looks for events that are past their retention",
  },
  retentionRules: {
    variable: "RETENTION",
    fallback: "",
    kind: retentionRules,
    help: "by event type or metadata, over RETENTION_DAYS: debug*=3,meta.site:lab=7,temperature=365; the first that fits decides",
  },
});
