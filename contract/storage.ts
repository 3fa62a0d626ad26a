import Type, { type Static } from "typebox";

const NullableNumber = Type.Union([Type.Number(), Type.Null()]);

/** GET /api/storage. Bytes are those on disk, compressed. */
export const Storage = Type.Object({
  disk: Type.Union([Type.Object({ free_bytes: Type.Integer(), total_bytes: Type.Integer() }), Type.Null()], {
    description: "the disk of DATA_DIR; null when ClickHouse has another one",
  }),
  tables: Type.Array(
    Type.Object({ table: Type.String(), rows: Type.Integer(), bytes: Type.Integer(), bytes_per_row: NullableNumber }),
  ),
  bytes_per_day: Type.Number({ description: "what a day like the last one adds, before anything expires" }),
  days_until_full: Type.Union([Type.Number(), Type.Null()], {
    description: "null: what expires keeps it from filling, or the disk is not known",
  }),
  bytes_when_steady: Type.Number({ description: "raw events, once as many expire as come in" }),
  types: Type.Array(
    Type.Object({
      event_type: Type.String(),
      events_per_day: Type.Integer({ description: "of the last 24 hours" }),
      bytes_per_event: Type.Number({ description: "estimated from a sample of the newest rows" }),
      bytes_per_day: Type.Number(),
      retention_days: Type.Integer({ description: "the longest that an event of the type may be kept" }),
      bytes_when_steady: Type.Number(),
    }),
    { description: "the dearest first, at most 200" },
  ),
  settings: Type.Object(
    { RETENTION_DAYS: Type.Integer(), RETENTION: Type.String() },
    { description: "what decides how long raw events are kept" },
  ),
});
export type Storage = Static<typeof Storage>;

/** GET /api/retention. */
export const RetentionReport = Type.Object({
  dry_run: Type.Boolean({ description: "other rules than those in force were asked about" }),
  days: Type.Integer({ description: "for events that no rule names" }),
  rules: Type.Array(
    Type.Object({
      pattern: Type.Union([Type.String(), Type.Null()], {
        description: "as written in RETENTION; null: events that no rule names",
      }),
      days: Type.Integer(),
      expired_events: Type.Integer({ description: "stored now, and past their time: the next sweep deletes them" }),
    }),
  ),
  deleted_events: Type.Integer({ description: "by sweeps of this process" }),
  last_sweep_at: Type.Union([Type.String(), Type.Null()]),
});
export type RetentionReport = Static<typeof RetentionReport>;
