-- What the fleet's pages need of each device, and what happened to it.
--
-- first_received, last_received: when Sluice heard from the device, by its own clock. A device whose clock is wrong, or that
-- sends what it has buffered, is heard from all the same; "silent" follows from these (server/fleet/device-query.ts). 0 (1970)
-- in rows from before this file.
--
-- newest_metadata: the metadata of the device's newest event that has any. The state of argMax(String, DateTime64(3)) over
-- (text, timestamp), where text is, for metadata of n keys,
--   "\x1f" key 1 "\x1f" … key n "\x1f" value 1 "\x1f" … value n         (2 n separators, in the order of the event)
--   or, where a key or value itself contains \x1f: a JSON object of strings, as toJSONString writes it.
-- Who writes the state without the view (RowBinary and Native have the same bytes): Int32 little-endian, the text's bytes
-- plus 1; the text; a zero byte; then 0x01 and the timestamp as Int64 milliseconds. No event with metadata: FF FF FF FF 00.
-- Of two events with one timestamp either may be the newest.
--
-- Why not argMax over the Map: that state copies a generic value for each row and each merge. µs an event in the view, 1,000 and
-- 100,000 devices, 500,000 rows with four keys:  Map 0.66 and 1.85 to 3.8;  JSON 0.46 and 0.47;  this text 0.12 and 0.13.
-- first_received and last_received together: below 0.01 µs.
ALTER TABLE {database}.devices
    ADD COLUMN IF NOT EXISTS first_received SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS last_received SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS newest_metadata AggregateFunction(argMax, String, DateTime64(3, 'UTC')) CODEC(ZSTD(1));

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view;

ALTER TABLE {database}.devices_view MODIFY QUERY
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
FROM {database}.telemetry_events
GROUP BY device_id;

-- After MODIFY QUERY a view gives its target other tokens than the same view does once the server has been restarted (seen with
-- 26.7): a batch that is tried before a restart and again after it would be counted twice in devices. A rename does what the
-- restart does, and leaves no moment without the view; docs/decisions/104-a-modified-view-is-renamed-twice.md. A file that died between
-- the two is completed by its first rename.
RENAME TABLE {database}.devices_view TO {database}.devices_view_renamed;

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view;

-- Transitions: silent, online, new, metadata, and outage (a group that fell silent together, device_id empty). A row is the same
-- whoever writes it and however often: the same (at, kind, device_id), and later the same row. To be read through LIMIT 1 BY (at,
-- kind, device_id) or FINAL. detail is a JSON object, contract/fleet.ts.
--
-- ORDER BY: the feed reads the newest first. One device's are found by the filter.
CREATE TABLE IF NOT EXISTS {database}.device_changes
(
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    device_id String CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1)),
    INDEX device_index device_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, kind, device_id)
TTL toDateTime(at) + toIntervalDay(365)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
