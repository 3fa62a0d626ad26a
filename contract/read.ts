import Type, { type Static } from "typebox";
import { StoredEvent } from "./event.ts";
import { MqttState } from "./mqtt.ts";
import { ClickHouseState, Pipeline } from "./stream.ts";

const NullableNumber = Type.Union([Type.Number(), Type.Null()]);
const Cursor = Type.Union([Type.String(), Type.Null()], {
  description: "pass as ?cursor= for the next page; null at the end",
});

export const HistoryPoint = Type.Object({
  time: Type.String({ description: "start of the step, ISO 8601 UTC" }),
  count: Type.Integer(),
  avg: NullableNumber,
  min: NullableNumber,
  max: NullableNumber,
  p50: NullableNumber,
  p95: NullableNumber,
  p99: NullableNumber,
});
export type HistoryPoint = Static<typeof HistoryPoint>;

/** GET /api/history. One series per event type asked for; without event_type, the largest types of the range. Steps without events have no point. */
export const History = Type.Object({
  from: Type.String(),
  to: Type.String(),
  step_seconds: Type.Integer(),
  source: Type.String({ description: "the table it was read from" }),
  complete_to: Type.Optional(
    Type.String({
      description: "all events received before this are stored and in the answer; a step beyond may grow",
    }),
  ),
  series: Type.Array(
    Type.Object({
      event_type: Type.String(),
      split: Type.Optional(
        Type.Union([Type.String(), Type.Null()], {
          description: "with split=meta.KEY: the key's value; null: events of devices without the key",
        }),
      ),
      points: Type.Array(HistoryPoint),
    }),
  ),
  series_total: Type.Optional(
    Type.Integer({ description: "series there are; `limit` is how many of the busiest are in the answer" }),
  ),
});
export type History = Static<typeof History>;

/** GET /api/event-types */
export const EventTypes = Type.Object({
  event_types: Type.Array(Type.Object({ event_type: Type.String(), event_count: Type.Integer() })),
});
export type EventTypes = Static<typeof EventTypes>;

export const DeviceStatus = Type.Union([Type.Literal("online"), Type.Literal("silent")]);
export type DeviceStatus = Static<typeof DeviceStatus>;

export const Device = Type.Object({
  device_id: Type.String(),
  first_seen: Type.String(),
  last_seen: Type.String(),
  event_count: Type.Integer(),
  status: DeviceStatus,
  /** The device's own usual interval between reports; null while it has too few events to tell. */
  interval_seconds: NullableNumber,
  /** When the present silence was noticed; null while the device is online. */
  silent_since: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  /** The newest value of each key, without keys that differ from event to event. */
  metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
  last_values: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({ value_float: NullableNumber, value_string: Type.Union([Type.String(), Type.Null()]) }),
      { description: "with last=TYPE: the newest value of each of these types, of the last day" },
    ),
  ),
});
export type Device = Static<typeof Device>;

/** GET /api/devices */
export const Devices = Type.Object({
  devices: Type.Array(Device),
  cursor: Cursor,
  total: Type.Integer({ description: "devices that match search and status" }),
});
export type Devices = Static<typeof Devices>;

/** GET /api/devices/ID */
export const DeviceDetail = Type.Intersect([
  Device,
  Type.Object({
    event_types: Type.Array(
      Type.Object({
        event_type: Type.String(),
        event_count: Type.Integer(),
        last_seen: Type.String(),
        last_value_float: NullableNumber,
        last_value_string: Type.Union([Type.String(), Type.Null()]),
      }),
    ),
    /** Metadata of the device's newest event, without keys that differ from event to event. */
    metadata: Type.Record(Type.String(), Type.String()),
  }),
]);
export type DeviceDetail = Static<typeof DeviceDetail>;

/** GET /api/events */
export const Events = Type.Object({ events: Type.Array(StoredEvent), cursor: Cursor });
export type Events = Static<typeof Events>;

/** GET /api/pipeline: what an operator needs at three in the morning. */
export const PipelineDetail = Type.Intersect([
  Pipeline,
  Type.Object({
    uptime_seconds: Type.Number(),
    version: Type.String(),
    ready: Type.Boolean(),
    /** What is wrong, in words; empty when nothing is. */
    reasons: Type.Array(Type.String()),
    journal: Type.Object({
      bytes: Type.Integer(),
      max_bytes: Type.Integer(),
      segments: Type.Integer(),
      oldest_seconds: Type.Number(),
    }),
    ring: Type.Object({ bytes: Type.Integer(), max_bytes: Type.Integer() }),
    /** Newest last, at most 60. */
    batches: Type.Array(
      Type.Object({
        stored_at: Type.String(),
        rows: Type.Integer(),
        bytes: Type.Integer(),
        insert_seconds: Type.Number(),
        attempts: Type.Integer(),
      }),
    ),
    retries: Type.Integer(),
    last_error: Type.Union([
      Type.Object({ at: Type.String(), message: Type.String(), code: Type.Union([Type.String(), Type.Null()]) }),
      Type.Null(),
    ]),
    dead_letters: Type.Object({
      count: Type.Integer(),
      /** Newest first, at most 20. */
      newest: Type.Array(Type.Object({ at: Type.String(), reason: Type.String(), event: StoredEvent })),
    }),
    streams: Type.Integer(),
    /** Null without MQTT_URL. */
    mqtt: Type.Union([MqttState, Type.Null()]),
    /** Null while ClickHouse is away. */
    parts: Type.Union([
      Type.Array(
        Type.Object({ table: Type.String(), parts: Type.Integer(), rows: Type.Integer(), bytes: Type.Integer() }),
      ),
      Type.Null(),
    ]),
    clickhouse_version: Type.Union([Type.String(), Type.Null()]),
    clickhouse: ClickHouseState,
  }),
]);
export type PipelineDetail = Static<typeof PipelineDetail>;
