import type { Registry } from "prom-client";
import type { MqttState } from "../../../contract/mqtt.ts";
import { ReadMetrics } from "../../ops/read-metrics.ts";
import type { Mqtt } from "./mqtt.ts";

const counters = [
  ["sluice_mqtt_messages_received_total", "Messages read from the broker.", "received"],
  ["sluice_mqtt_messages_acknowledged_total", "Messages of QoS 1 and 2 acknowledged to the broker.", "acknowledged"],
  ["sluice_mqtt_messages_dead_lettered_total", "Messages that were no events.", "dead_lettered"],
] as const satisfies readonly (readonly [string, string, keyof MqttState])[];

/** What /metrics says of the broker. */
export function addMqttMetrics(registry: Registry, mqtt: Pick<Mqtt, "state">): void {
  const metrics = new ReadMetrics(registry);
  for (const [name, help, key] of counters) metrics.counter(name, help, () => mqtt.state()[key]);
  metrics.gauge("sluice_mqtt_connected", "1: connected to the broker of MQTT_URL.", () =>
    mqtt.state().state === "connected" ? 1 : 0,
  );
  metrics.gauge("sluice_mqtt_messages_in_flight", "Messages read and not durable yet.", () => mqtt.state().in_flight);
}
