-- Raw events, one row an event, in the column order of contract/row.ts: the service's RowBinary bodies follow it.
--
-- Figures are CPU of one insert in µs a row, and bytes a row on disk, measured on ClickHouse 26.7 (embedded, 2 shared
-- cores of an AMD EPYC, RowBinary from a file, batches of 500,000 rows, background merges stopped). Batch A: 10 types,
-- 1,000 devices, no metadata (55 bytes a row of body). A2: 2 metadata keys (98 bytes). B8: 500 types, 100,000 devices,
-- 8 metadata keys (236 bytes). Parsing alone (Null engine): A 0.18, A2 0.22, B8 0.53. Runs differ by ±10 %.
--
-- ORDER BY. Two reads matter: the newest events of the whole fleet, and one device over a range. Strictly by time the
-- first is free and the second reads everything; strictly by device it is the other way round. Ten-minute buckets,
-- by device inside a bucket, serve both. Milliseconds over 10 M rows in one merged part (the worst case), 2 threads:
--                                    insert A   B8    bytes A2   newest 100    a device's whole history   a device's last hour
--   (timestamp)                        0.29    1.27     19           3                   100                     27
--   (minute, device, timestamp)        0.45    1.47     16           3                    65                     17
--   (5 min, device, timestamp)           -       -      14           4                    25                      9
--   (10 min, device, timestamp)        0.42    1.20     14           4                    17                      6
--   (hour, device, timestamp)          0.42    1.36     14          14                     7                      4
--   (hour, device, type, timestamp)    0.47    1.53     14          53                     8                      7
--   (device, timestamp)                0.48    1.38     14          41                     3                      3
-- (reads at 100 events/s, 28 hours of data). At 10,000 events/s a merged bucket of ten minutes holds 6 M rows, 30 to
-- 60 ms for the newest 100; an hour's would hold 36 M. With metadata the sort by device pays for itself: the same
-- strings lie side by side, and B8 takes 52 MB for 2.5 M rows instead of 117 MB by time.
--
-- PRIMARY KEY leaves `timestamp` out on purpose. With it, `timestamp >= x` is matched against that last key column alone
-- and nothing is pruned (41 ms); without it ClickHouse turns the condition into one on the bucket (4 ms).
--
-- PARTITION BY week: devices may send what is MAX_EVENT_AGE (30 days) old and 5 minutes ahead, so a batch touches six
-- partitions at most, far below max_partitions_per_insert_block (100). The key being a function of `timestamp`, every
-- part also knows its smallest and largest timestamp, so a query of the last second opens only the newest parts.
--
-- CODEC. LZ4 throughout: ZSTD(1) on everything costs A2 +0.15 and B8 +0.4 µs a row, and twice that again in merges, and on sorted
-- metadata it is no smaller (61 against 51 MB). T64 before LZ4 on the times: inside a block they differ by minutes, so
-- it drops the constant bits: A2 20.6 MB for 2.5 M rows against 28.7 with Delta and 29.2 bare, for no measurable time
-- (0.50 all). DoubleDelta is no smaller (20.8). Floats: ZSTD(1) would save 1.1 bytes a row for 0.04 µs, Gorilla costs
-- more and is larger than none on real readings.
--
-- INDEX. The key leads to devices; a bloom filter on the type leads past granules of devices that do not send it. The
-- newest events of a type that is one in a million, in 50 M rows: 20 ms instead of 800. It is filled from the block's
-- dictionary, not row by row: 0.00 to 0.05 µs a row; a `set` index took 0.1. minmax is of no use on names.
--
-- TYPES. LowCardinality(String) for the type costs nothing against String (0.47 and 0.48) and saves 10 % on disk; on the
-- wire it is a String. Map(LowCardinality(String), …) was slower by half (B8 2.0) for 3 % of space. Map "with_buckets": no gain.
--
-- TTL: RETENTION_DAYS; apply.ts keeps the number current. Whole parts are dropped, nothing is rewritten, so a row may
-- outlive its time by up to a week. A change of the number recalculates the parts' bounds and rewrites no column.
--
-- non_replicated_deduplication_window: how many tokens are remembered; the default is none. A retry is always among
-- the newest few; 10,000 leaves hours, and costs nothing that could be measured.
--
-- fsync_*: the journal deletes a segment once ClickHouse has confirmed it, so a confirmation must survive a power cut.
-- 30 to 40 ms more wall time for an insert of 500,000 rows into all five tables, no CPU, on a disk that has nothing else to do.
--
-- min_bytes_for_wide_part: a batch becomes one file, not one for each of twenty streams, each with an fsync of its own. At full
-- load, with the journal on the same disk, inserts waited 25 s for files in 20 s of time (over all threads), 6 s with this.
--
-- merge_selector_base: a merge takes ten parts of a size rather than five, so a row is rewritten by a third fewer merges, each
-- of which costs about what its insert did: 0.29 s of CPU a million rows instead of 0.47 in the first twenty seconds.
CREATE TABLE IF NOT EXISTS {database}.telemetry_events
(
    timestamp DateTime64(3, 'UTC') CODEC(T64, LZ4),
    received_at DateTime64(3, 'UTC') CODEC(T64, LZ4),
    device_id String CODEC(LZ4),
    event_type LowCardinality(String) CODEC(LZ4),
    value_float Nullable(Float64) CODEC(LZ4),
    value_string Nullable(String) CODEC(LZ4),
    metadata Map(String, String) CODEC(LZ4),
    INDEX event_type_index event_type TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toMonday(timestamp)
PRIMARY KEY (toStartOfTenMinutes(timestamp), device_id)
ORDER BY (toStartOfTenMinutes(timestamp), device_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000,
    min_bytes_for_wide_part = 268435456,
    merge_selector_base = 10,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
