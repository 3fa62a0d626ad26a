-- Counts, sums, extremes and quantile states by type: a row a second, a minute, an hour. To be read through sum, min,
-- max and quantilesDDMerge, grouped: rows of one key are only merged some time after they were inserted.
--
-- VIEWS ARE CHAINED: raw → 1 s → 1 min → 1 h. The first reads every event, the others only the few rows that the one
-- before made of a batch. µs a row above parsing: 1 s alone 0.07 to 0.09, chain of three 0.07 (10 types) to 0.12 (500
-- types), three views straight from raw 0.20 to 0.25. Deduplication follows the chain: each target remembers the
-- batch's token itself, so a batch that stopped half-way is completed by its retry (ddl/exactly-once.test.ts).
-- A view is made after the one that reads its target: were the order reversed, a service killed in between would leave
-- a rollup that its successor had missed rows of.
--
-- STATES. SimpleAggregateFunction where a plain value will do: any tool can read it. value_min and value_max are Null when
-- no event carried a value. quantilesDD(0.01, …): relative error 1 %, mergeable, 10 to 300 bytes.
-- Two faults of ClickHouse's sketch are met at its input, together for 0.009 µs a row; min, max and sum stay exact:
-- it refuses keys that lie too far apart ("DDSketch store key range too large") and subnormal numbers, so one device
-- sending 1e-300 and 1e300 would make its whole batch impossible to insert, or, worse, a later merge. So magnitudes are
-- bounded to 1e-18 … 1e21 (SI's atto to zetta; smaller counts as 0, larger as the bound): 4,500 keys a sign, 36 KB for
-- the widest sketch there can be. And its mapping cuts a logarithm off towards zero instead of rounding it down
-- (DDSketch/Mapping.h, `static_cast<int>(logGamma(value) + offset)`), so every magnitude below 1 lands one bin too
-- high, 1 to 3 % off. One bin is a factor of gamma = 101/99; dividing by it first puts the value where it belongs.
-- server/query/history.test.ts fails when a release mends this.
--
-- ORDER BY. 1 s has two readers: the live window (all types of the last ten minutes) and charts of one type. Minutes, by
-- type inside a minute, serve both; the key leaves `time` out so that a condition on it is one on the minute. CPU of
-- a read with 500 types, an hour stored (1.8 M rows, 215 bytes a row, most of it states):
--                          (time, type), 1,024 rows a granule   (minute, type, time), 256
--   window, all types                    276 ms                          290 ms
--   one type, 10 minutes                 246 ms                            7 ms
--   one type, 1 hour                   1,376 ms                           34 ms
--   10 types, 1 hour                   1,317 ms                          212 ms
-- 1 min, 1 h: type first, because their readers are charts of a type over days.
-- index_granularity 256: rows are wide (states) and ranges short; the states of a granule are read as a whole, 5 µs each
-- for values spread over four decades, 1 µs for a room's temperature.
--
-- PARTITION BY and TTL: a day for 7 days, a month for a year, a year for ever. Dropped by whole parts. A batch with
-- events 30 days old touches at most 32 days, 2 months, 2 years. An event older than 7 days passes through telemetry_1s (and
-- expires there) into the rest of the chain.
--
-- CODEC: rows are few (A: 20 a batch of 500,000), so the better ratio of ZSTD is free.
CREATE TABLE IF NOT EXISTS {database}.telemetry_1s
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
ENGINE = AggregatingMergeTree
PARTITION BY toDate(time)
PRIMARY KEY (toStartOfMinute(time), event_type)
ORDER BY (toStartOfMinute(time), event_type, time)
TTL time + toIntervalDay(7)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS {database}.telemetry_1m
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
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (event_type, time)
TTL time + toIntervalDay(365)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS {database}.telemetry_1h
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
ENGINE = AggregatingMergeTree
PARTITION BY toYear(time)
ORDER BY (event_type, time)
SETTINGS index_granularity = 256, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.telemetry_1h_view TO {database}.telemetry_1h AS
SELECT
    toStartOfHour(minute.time) AS time,
    event_type,
    sum(minute.event_count) AS event_count,
    sum(minute.value_count) AS value_count,
    sum(minute.value_sum) AS value_sum,
    min(minute.value_min) AS value_min,
    max(minute.value_max) AS value_max,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(minute.value_quantiles) AS value_quantiles
FROM {database}.telemetry_1m AS minute
GROUP BY time, event_type;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.telemetry_1m_view TO {database}.telemetry_1m AS
SELECT
    toStartOfMinute(second.time) AS time,
    event_type,
    sum(second.event_count) AS event_count,
    sum(second.value_count) AS value_count,
    sum(second.value_sum) AS value_sum,
    min(second.value_min) AS value_min,
    max(second.value_max) AS value_max,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(second.value_quantiles) AS value_quantiles
FROM {database}.telemetry_1s AS second
GROUP BY time, event_type;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.telemetry_1s_view TO {database}.telemetry_1s AS
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
FROM {database}.telemetry_events
GROUP BY time, event_type;
