-- Raw events on a cluster: ../001_telemetry_events.sql, replicated, and a table over all shards under the name that
-- everybody reads. Columns, keys and codecs, and the reasons for them, are there; a test keeps the two alike.
--
-- _local AND Distributed. Writers insert into telemetry_events_local of a healthy replica (CLICKHOUSE_URL, several), never
-- through the Distributed table: that one queues on the server's disk and cuts a batch by shard, and the batch's token
-- would say nothing about the parts. Views are local to local, so the rollups of a batch lie where its events lie.
--
-- WHICH SHARD. A journal (one Redis and the instances on it) writes to one shard, whose replicas are its CLICKHOUSE_URLs:
-- a retry has to find its token, and tokens are known per shard. Growth is one more journal with one more shard.
-- The key of the Distributed table, cityHash64(device_id), is for what others insert through it (a backfill): a device's history
-- stays together, merges and compresses as one, and no shard gets more than its share. It does not describe where journals
-- write, so leave optimize_skip_unused_shards off (its default), unless the balancer in front places devices by the same hash.
--
-- replicated_deduplication_window(_seconds): tokens live in Keeper, 10,000 of them or a week: a retry is among the
-- newest few, and a writer that was away for days still finds its own. Unlike a single server's they survive a power cut.
--
-- Paths in Keeper are ClickHouse's defaults (/clickhouse/tables/{uuid}/{shard}, replica {replica}), so a table that is
-- dropped and made anew never meets its predecessor's tokens.
CREATE TABLE IF NOT EXISTS {database}.telemetry_events_local ON CLUSTER {cluster}
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
ENGINE = ReplicatedMergeTree
PARTITION BY toMonday(timestamp)
PRIMARY KEY (toStartOfTenMinutes(timestamp), device_id)
ORDER BY (toStartOfTenMinutes(timestamp), device_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800,
    min_bytes_for_wide_part = 268435456,
    merge_selector_base = 10,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS {database}.telemetry_events ON CLUSTER {cluster} AS {database}.telemetry_events_local
ENGINE = Distributed({cluster}, {database}, telemetry_events_local, cityHash64(device_id));
