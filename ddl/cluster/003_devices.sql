-- The register of devices on a cluster: ../003_devices.sql, replicated. A device that wrote through two journals has a row on
-- two shards; it is read grouped by device_id, as anywhere.
CREATE TABLE IF NOT EXISTS {database}.devices_local ON CLUSTER {cluster}
(
    device_id String CODEC(ZSTD(1)),
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    event_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    recent_reports AggregateFunction(groupArraySorted(8), Int64) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree
ORDER BY device_id
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.devices_view ON CLUSTER {cluster} TO {database}.devices_local AS
SELECT
    device_id,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen,
    count() AS event_count,
    initializeAggregation('groupArraySortedState(8)', -toUnixTimestamp64Milli(last_seen)) AS recent_reports
FROM {database}.telemetry_events_local
GROUP BY device_id;

CREATE TABLE IF NOT EXISTS {database}.devices ON CLUSTER {cluster} AS {database}.devices_local
ENGINE = Distributed({cluster}, {database}, devices_local, cityHash64(device_id));
