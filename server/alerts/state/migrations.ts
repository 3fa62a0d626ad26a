import type { RoomMigrations } from "../../store/store.ts";

export const alertMigrations: RoomMigrations = {
  room: "alerts",
  steps: [
    `
    CREATE TABLE alert_rules (
      id TEXT PRIMARY KEY, source TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE alert_channels (
      id TEXT PRIMARY KEY, source TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE alert_silences (
      id TEXT PRIMARY KEY, source TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL, created_by TEXT NOT NULL
    ) STRICT;
    -- One row a series that is not at rest, and for a while after: what it knows must not be decided again by old events.
    CREATE TABLE alert_instances (
      series TEXT PRIMARY KEY, rule_id TEXT NOT NULL, phase TEXT NOT NULL, changed_ms INTEGER NOT NULL, body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE alert_transitions (
      sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, decided_ms INTEGER NOT NULL, rule_id TEXT NOT NULL, device_id TEXT,
      body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX alert_transitions_time ON alert_transitions (decided_ms, sequence);
    CREATE INDEX alert_transitions_device ON alert_transitions (device_id, sequence) WHERE device_id IS NOT NULL;
    CREATE INDEX alert_transitions_rule ON alert_transitions (rule_id, sequence);
    -- What a channel has to be told of an alarm, and what it has been told.
    CREATE TABLE alert_notices (
      channel_id TEXT NOT NULL, alert_id TEXT NOT NULL, group_key TEXT NOT NULL, wanted TEXT NOT NULL, told TEXT NOT NULL,
      body TEXT NOT NULL, PRIMARY KEY (channel_id, alert_id)
    ) STRICT;
    CREATE TABLE alert_groups (
      channel_id TEXT NOT NULL, group_key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (channel_id, group_key)
    ) STRICT;
    CREATE TABLE alert_outbox (
      id TEXT PRIMARY KEY, channel_id TEXT NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL, delivery TEXT NOT NULL
    ) STRICT;
    CREATE INDEX alert_outbox_channel ON alert_outbox (channel_id, sequence);
    CREATE TABLE alert_push (endpoint TEXT PRIMARY KEY, body TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE alert_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE alert_audit (
      sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
      body TEXT NOT NULL
    ) STRICT;
    `,
  ],
};
