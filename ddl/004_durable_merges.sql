-- A merge is synced before its sources go.
--
-- `fsync_after_insert` makes an insert durable and says nothing of the part that a merge writes from it. By default that
-- part stays in the page cache while its sources, which were durable, are deleted: at once in the embedded engine (its
-- old_parts_lifetime is 0), after eight minutes on a server. The journal has forgotten their rows long before, so a power
-- cut in between loses confirmed rows. A mutation, such as a change of the retention, replaces parts in the same way.
--
-- Counted in rows, not in bytes (min_compressed_bytes_to_fsync_after_merge): the two are joined by OR, every merged part has
-- a row, and the size that is compared is only an estimate (ClickHouse's issue 111875).
--
-- Part of the table, not of the server's configuration, so that it also holds on a server whose configuration is not ours.
-- ddl/durable-merges.test.ts counts the syncs.
ALTER TABLE {database}.telemetry_events MODIFY SETTING min_rows_to_fsync_after_merge = 1;

ALTER TABLE {database}.telemetry_1s MODIFY SETTING min_rows_to_fsync_after_merge = 1;

ALTER TABLE {database}.telemetry_1m MODIFY SETTING min_rows_to_fsync_after_merge = 1;

ALTER TABLE {database}.telemetry_1h MODIFY SETTING min_rows_to_fsync_after_merge = 1;

ALTER TABLE {database}.devices MODIFY SETTING min_rows_to_fsync_after_merge = 1;

ALTER TABLE {database}.sluice_schema MODIFY SETTING min_rows_to_fsync_after_merge = 1;
