import Type, { type Static } from "typebox";
import { limits } from "./limits.ts";

/** Without a pattern TypeBox takes "^.*$", which a key with a line end escapes, and its value any check. */
const anyKey = Type.String({ pattern: "^[\\s\\S]*$" });

/** One telemetry event as a device sends it. Source: INTERFACE, "POST /ingest". */
export const Event = Type.Object(
  {
    device_id: Type.String({ minLength: 1, maxLength: limits.deviceIdCharacters }),
    event_type: Type.String({ minLength: 1, maxLength: limits.eventTypeCharacters }),
    value_float: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
    value_string: Type.Optional(
      Type.Union([Type.String({ description: `at most ${limits.valueStringBytes} bytes of UTF-8` }), Type.Null()]),
    ),
    metadata: Type.Optional(Type.Record(anyKey, Type.String(), { maxProperties: limits.metadataKeys })),
    timestamp: Type.Optional(
      Type.Union([Type.String({ description: "ISO 8601" }), Type.Integer({ description: "epoch milliseconds" })]),
    ),
  },
  { additionalProperties: false },
);
export type Event = Static<typeof Event>;

/** One event as it is stored and read back. Times are ISO 8601 in UTC with milliseconds. */
export const StoredEvent = Type.Object({
  timestamp: Type.String(),
  received_at: Type.String(),
  device_id: Type.String(),
  event_type: Type.String(),
  value_float: Type.Union([Type.Number(), Type.Null()]),
  value_string: Type.Union([Type.String(), Type.Null()]),
  metadata: Type.Record(Type.String(), Type.String()),
});
export type StoredEvent = Static<typeof StoredEvent>;
