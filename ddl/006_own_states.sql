-- Batches of the service's own embedded engine come with the rows of telemetry_1s and devices made already
-- (workers/columns/): inserted directly, each under the batch's token, they cost a fraction of what the views do. The views stay for
-- everybody else's inserts and leave those alone: their tokens begin with `sluice/states/` (ownStatesPrefix in
-- ddl/insert-settings.ts), which no other writer may use. The condition is a constant of the statement, so it costs nothing.
-- The rest of the chain, 1 s → 1 min → 1 h, goes by views as before. Whoever changes these views again keeps the condition.
--
-- MODIFY QUERY, not a new view: what a view's target remembers of a token has the view's identity in it, and a batch that was
-- half-done before the change has to be recognised by its retry.
--
-- RENAME, twice: after MODIFY QUERY, ClickHouse 26.7 knows the view by another identity until it restarts, so every retry across
-- that moment is stored twice in the view's target. A rename gives it its own back, and unlike DETACH and ATTACH leaves no gap. A
-- file that died between the two is completed by its first statements. Every later
-- MODIFY QUERY needs the same; workers/own-states.test.ts fails without it.
RENAME TABLE IF EXISTS {database}.telemetry_1s_view_renamed TO {database}.telemetry_1s_view;

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view;

ALTER TABLE {database}.telemetry_1s_view MODIFY QUERY
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
WHERE NOT startsWith(getSetting('insert_deduplication_token'), 'sluice/states/')
GROUP BY time, event_type;

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
WHERE NOT startsWith(getSetting('insert_deduplication_token'), 'sluice/states/')
GROUP BY device_id;

RENAME TABLE {database}.telemetry_1s_view TO {database}.telemetry_1s_view_renamed;

RENAME TABLE IF EXISTS {database}.telemetry_1s_view_renamed TO {database}.telemetry_1s_view;

RENAME TABLE {database}.devices_view TO {database}.devices_view_renamed;

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view;
