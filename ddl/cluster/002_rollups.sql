-- Rollups on a cluster: ../002_rollups.sql, replicated. Events of one second and type lie on as many shards as there are
-- journals, each with its own row: the tables over all shards are to be read through sum, min, max and quantilesDDMerge, grouped, as
-- anywhere. Their key is rand(): nobody inserts through them, and no single key describes where the views put their rows.
CREATE TABLE IF NOT EXISTS {database}.telemetry_1s_local ON CLUSTER {cluster}
(
    time DateTime('UTC') CODEC(Delta, ZSTD(1)),
    event_type LowCardinality(String) CODEC(ZSTD(1)),
    event_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    value_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    value_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    value_min SimpleAggregateFunction(min, Nullable(Float64)) CODEC(ZSTD(1)),
    value_max SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD(1)),
    value_quantiles AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree
PARTITION BY toDate(time)
PRIMARY KEY (toStartOfMinute(time), event_type)
ORDER BY (toStartOfMinute(time), event_type, time)
TTL time + toIntervalDay(7)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS {database}.telemetry_1m_local ON CLUSTER {cluster}
(
    time DateTime('UTC') CODEC(Delta, ZSTD(1)),
    event_type LowCardinality(String) CODEC(ZSTD(1)),
    event_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    value_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    value_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    value_min SimpleAggregateFunction(min, Nullable(Float64)) CODEC(ZSTD(1)),
    value_max SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD(1)),
    value_quantiles AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (event_type, time)
TTL time + toIntervalDay(365)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS {database}.telemetry_1h_local ON CLUSTER {cluster}
(
    time DateTime('UTC') CODEC(Delta, ZSTD(1)),
    event_type LowCardinality(String) CODEC(ZSTD(1)),
    event_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    value_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    value_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    value_min SimpleAggregateFunction(min, Nullable(Float64)) CODEC(ZSTD(1)),
    value_max SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD(1)),
    value_quantiles AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree
PARTITION BY toYear(time)
ORDER BY (event_type, time)
SETTINGS index_granularity = 256, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.telemetry_1h_view ON CLUSTER {cluster} TO {database}.telemetry_1h_local AS
SELECT
    toStartOfHour(minute.time) AS time,
    event_type,
    sum(minute.event_count) AS event_count,
    sum(minute.value_count) AS value_count,
    sum(minute.value_sum) AS value_sum,
    min(minute.value_min) AS value_min,
    max(minute.value_max) AS value_max,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(minute.value_quantiles) AS value_quantiles
FROM {database}.telemetry_1m_local AS minute
GROUP BY time, event_type;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.telemetry_1m_view ON CLUSTER {cluster} TO {database}.telemetry_1m_local AS
SELECT
    toStartOfMinute(second.time) AS time,
    event_type,
    sum(second.event_count) AS event_count,
    sum(second.value_count) AS value_count,
    sum(second.value_sum) AS value_sum,
    min(second.value_min) AS value_min,
    max(second.value_max) AS value_max,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(second.value_quantiles) AS value_quantiles
FROM {database}.telemetry_1s_local AS second
GROUP BY time, event_type;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.telemetry_1s_view ON CLUSTER {cluster} TO {database}.telemetry_1s_local AS
SELECT
    toDateTime(timestamp, 'UTC') AS time,
    event_type,
    count() AS event_count,
    count(value_float) AS value_count,
    ifNull(sum(value_float), 0) AS value_sum,
    min(value_float) AS value_min,
    max(value_float) AS value_max,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(multiIf(
        abs(value_float) < 1e-18, 0,
        abs(value_float) < 1, value_float * (99 / 101),
        clamp(value_float, -1e21, 1e21))) AS value_quantiles
FROM {database}.telemetry_events_local
GROUP BY time, event_type;

CREATE TABLE IF NOT EXISTS {database}.telemetry_1s ON CLUSTER {cluster} AS {database}.telemetry_1s_local
ENGINE = Distributed({cluster}, {database}, telemetry_1s_local, rand());

CREATE TABLE IF NOT EXISTS {database}.telemetry_1m ON CLUSTER {cluster} AS {database}.telemetry_1m_local
ENGINE = Distributed({cluster}, {database}, telemetry_1m_local, rand());

CREATE TABLE IF NOT EXISTS {database}.telemetry_1h ON CLUSTER {cluster} AS {database}.telemetry_1h_local
ENGINE = Distributed({cluster}, {database}, telemetry_1h_local, rand());
