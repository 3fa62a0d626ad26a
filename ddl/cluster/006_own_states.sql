-- The same condition on a cluster: ../006_own_states.sql. Nothing is inserted there under such tokens today; the views are the same
-- everywhere, so that no schema depends on how a service was started.
RENAME TABLE IF EXISTS {database}.telemetry_1s_view_renamed TO {database}.telemetry_1s_view ON CLUSTER {cluster};

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view ON CLUSTER {cluster};

ALTER TABLE {database}.telemetry_1s_view ON CLUSTER {cluster} MODIFY QUERY
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
WHERE NOT startsWith(getSetting('insert_deduplication_token'), 'sluice/states/')
GROUP BY time, event_type;

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
WHERE NOT startsWith(getSetting('insert_deduplication_token'), 'sluice/states/')
GROUP BY device_id;

RENAME TABLE {database}.telemetry_1s_view TO {database}.telemetry_1s_view_renamed ON CLUSTER {cluster};

RENAME TABLE IF EXISTS {database}.telemetry_1s_view_renamed TO {database}.telemetry_1s_view ON CLUSTER {cluster};

RENAME TABLE {database}.devices_view TO {database}.devices_view_renamed ON CLUSTER {cluster};

RENAME TABLE IF EXISTS {database}.devices_view_renamed TO {database}.devices_view ON CLUSTER {cluster};
