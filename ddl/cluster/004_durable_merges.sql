-- Merges on a cluster: ../004_durable_merges.sql, on every replica; a change of settings is not replicated, so each makes it.
--
-- min_compressed_bytes_to_fsync_after_fetch: a part that a replica fetches counts for insert_quorum, so the copy has to be as
-- durable as the original. A replica also fetches parts that another one has merged.
ALTER TABLE {database}.telemetry_events_local ON CLUSTER {cluster} MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;

ALTER TABLE {database}.telemetry_1s_local ON CLUSTER {cluster} MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;

ALTER TABLE {database}.telemetry_1m_local ON CLUSTER {cluster} MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;

ALTER TABLE {database}.telemetry_1h_local ON CLUSTER {cluster} MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;

ALTER TABLE {database}.devices_local ON CLUSTER {cluster} MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;

ALTER TABLE {database}.sluice_schema ON CLUSTER {cluster} MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_fetch = 1;
