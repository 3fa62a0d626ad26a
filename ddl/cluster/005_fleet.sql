-- The fleet on a cluster: ../005_fleet.sql, replicated. The table over all shards has columns of its own, which do not follow.
ALTER TABLE {database}.devices_local ON CLUSTER {cluster}
    ADD COLUMN IF NOT EXISTS first_received SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS last_received SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS newest_metadata AggregateFunction(argMax, String, DateTime64(3, 'UTC')) CODEC(ZSTD(1));

ALTER TABLE {database}.devices ON CLUSTER {cluster}
    ADD COLUMN IF NOT EXISTS first_received SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS last_received SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS newest_metadata AggregateFunction(argMax, String, DateTime64(3, 'UTC')) CODEC(ZSTD(1));

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view ON CLUSTER {cluster};

ALTER TABLE {database}.devices_view ON CLUSTER {cluster} MODIFY QUERY
SELECT
    device_id,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen,
    count() AS event_count,
    initializeAggregation('groupArraySortedState(8)', -toUnixTimestamp64Milli(last_seen)) AS recent_reports,
    min(received_at) AS first_received,
    max(received_at) AS last_received,
    argMaxStateIf(
        if(countSubstrings(concat(
               '\x1f', arrayStringConcat(mapKeys(metadata), '\x1f'),
               '\x1f', arrayStringConcat(mapValues(metadata), '\x1f')) AS joined, '\x1f') = 2 * length(metadata),
           joined, toJSONString(metadata)),
        timestamp, notEmpty(metadata)) AS newest_metadata
FROM {database}.telemetry_events_local
GROUP BY device_id;

RENAME TABLE {database}.devices_view TO {database}.devices_view_renamed ON CLUSTER {cluster};

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view ON CLUSTER {cluster};

CREATE TABLE IF NOT EXISTS {database}.device_changes_local ON CLUSTER {cluster}
(
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    device_id String CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1)),
    INDEX device_index device_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, kind, device_id)
TTL toDateTime(at) + toIntervalDay(365)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;

CREATE TABLE IF NOT EXISTS {database}.device_changes ON CLUSTER {cluster} AS {database}.device_changes_local
ENGINE = Distributed({cluster}, {database}, device_changes_local, cityHash64(device_id));
