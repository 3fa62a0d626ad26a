-- Merges on a cluster: ../007_fewer_merges.sql.
ALTER TABLE {database}.telemetry_events_local ON CLUSTER {cluster} MODIFY SETTING
    merge_selector_base = 30,
    vertical_merge_algorithm_min_columns_to_activate = 1;
