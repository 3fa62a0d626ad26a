import Type, { type Static } from "typebox";

/** The connection to the broker of MQTT_URL, as `/api/pipeline` tells it. */
export const MqttState = Type.Object({
  state: Type.Union([Type.Literal("connected"), Type.Literal("connecting")]),
  broker: Type.String({ description: "without credentials" }),
  version: Type.Union([Type.Literal("5"), Type.Literal("3.1.1")], { description: "of MQTT" }),
  since: Type.String({ description: "since when it is connected, or has not been" }),
  topics: Type.Array(Type.String()),
  qos: Type.Integer(),
  last_error: Type.Union([Type.String(), Type.Null()]),
  waiting_for: Type.Union([Type.String(), Type.Null()], { description: "why messages are not taken now" }),
  in_flight: Type.Integer({ description: "read and not durable yet; bounded" }),
  received: Type.Integer(),
  acknowledged: Type.Integer(),
  dead_lettered: Type.Integer({ description: "messages that were no events, since the start" }),
});
export type MqttState = Static<typeof MqttState>;
