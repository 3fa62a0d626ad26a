import { retentionDaysMax } from "../../ddl/apply.ts";
import { duration, integer, size } from "./kinds.ts";
import { group } from "./setting.ts";

export const batching = group("Batches and retention", {
  batchRows: {
    variable: "BATCH_SIZE",
    fallback: "500000",
    kind: integer(1, 10_000_000, " rows"),
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
    kind: size("64KiB", "1GiB"),
    help: "bytes that seal a batch",
  },
  segmentMaxAgeMs: {
    variable: "SEGMENT_MAX_AGE",
    fallback: "60",
    kind: duration("10ms", "1d"),
    help: "a batch is sealed after this long even while ClickHouse is away",
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
    help: "TTL of raw events (1 s rollups 7 days, 1 min a year, 1 h kept)",
  },
});
