import { Counter, Gauge, type Registry } from "prom-client";
import type { MqttState } from "../../../contract/mqtt.ts";
import type { Mqtt } from "./mqtt.ts";

const counters = [
  ["sluice_mqtt_messages_received_total", "Messages read from the broker.", "received"],
  ["sluice_mqtt_messages_acknowledged_total", "Messages of QoS 1 and 2 acknowledged to the broker.", "acknowledged"],
  ["sluice_mqtt_messages_dead_lettered_total", "Messages that were no events.", "dead_lettered"],
] as const satisfies readonly (readonly [string, string, keyof MqttState])[];

/** What /metrics says of the broker. Read when asked. */
export function addMqttMetrics(registry: Registry, mqtt: Pick<Mqtt, "state">): void {
  const registers = [registry];
  for (const [name, help, key] of counters) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(mqtt.state()[key]);
      },
    });
  }
  new Gauge({
    name: "sluice_mqtt_connected",
    help: "1: connected to the broker of MQTT_URL.",
    registers,
    collect() {
      this.set(mqtt.state().state === "connected" ? 1 : 0);
    },
  });
  new Gauge({
    name: "sluice_mqtt_messages_in_flight",
    help: "Messages read and not durable yet.",
    registers,
    collect() {
      this.set(mqtt.state().in_flight);
    },
  });
}
