import Type, { type Static } from "typebox";
import { StoredEvent } from "./event.ts";

const NullableNumber = Type.Union([Type.Number(), Type.Null()]);

/** The last ten minutes of one event type. Value figures are null when no event carried a value. */
export const TypeAggregate = Type.Object({
  event_type: Type.String(),
  event_count: Type.Integer(),
  avg_value: NullableNumber,
  min_value: NullableNumber,
  max_value: NullableNumber,
  p50: NullableNumber,
  p95: NullableNumber,
  p99: NullableNumber,
  rate: Type.Number({ description: "events per second, mean of the last ten seconds" }),
});
export type TypeAggregate = Static<typeof TypeAggregate>;

export const ClickHouseState = Type.Union([Type.Literal("ok"), Type.Literal("unavailable"), Type.Literal("denied")]);
export type ClickHouseState = Static<typeof ClickHouseState>;

/** Events that this process has answered for, since its start (what its journal held at start included). */
export const Pipeline = Type.Object({
  accepted: Type.Integer(),
  durable: Type.Integer(),
  stored: Type.Integer(),
  pending: Type.Integer({ description: "durable, neither stored nor dead-lettered" }),
  dead_lettered: Type.Integer(),
  store_lag_seconds: Type.Number({ description: "age of the oldest event that is durable and not stored; 0 if none" }),
  clickhouse: ClickHouseState,
  starting: Type.Optional(Type.Boolean({ description: "ClickHouse has not answered yet, and was not expected to" })),
});
export type Pipeline = Static<typeof Pipeline>;

/** `event: update` of GET /dashboard-stream. Source: INTERFACE. */
export const Update = Type.Object({
  timestamp: Type.String(),
  window_seconds: Type.Integer(),
  aggregations: Type.Array(TypeAggregate),
  totals: Type.Object({
    event_count: Type.Integer(),
    rate: Type.Number(),
    active_devices: Type.Integer(),
    event_types: Type.Integer({ description: "types in the window, shown or not" }),
    online: Type.Optional(Type.Integer({ description: "devices within their own interval" })),
    silent: Type.Optional(Type.Integer()),
    became_silent: Type.Optional(Type.Integer({ description: "times in the window that a device fell silent" })),
    new_devices: Type.Optional(Type.Integer({ description: "devices first heard of in the window" })),
    complete: Type.Optional(
      Type.Boolean({
        description: "false from a start until ClickHouse has told what it holds: figures are still too low",
      }),
    ),
  }),
  pipeline: Pipeline,
});
export type Update = Static<typeof Update>;

/** GET /api/live: the same of a part of the fleet, from what is stored. */
export const PartUpdate = Type.Omit(Update, ["pipeline"]);
export type PartUpdate = Static<typeof PartUpdate>;

/** `event: device` of GET /dashboard-stream?device=ID: one event of that device, as it arrived. */
export const DeviceUpdate = Type.Intersect([
  StoredEvent,
  Type.Object({ skipped: Type.Integer({ description: "events of this device left out since the last one sent" }) }),
]);
export type DeviceUpdate = Static<typeof DeviceUpdate>;
