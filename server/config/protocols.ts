import { parseTopicTemplate } from "../ingest/mqtt/topic-template.ts";
import { type Kind, list, optional, text } from "./kinds.ts";
import { group } from "./setting.ts";

const versions: readonly (string | null)[] = [null, "3.1.1", "5"];

const brokerUrl: Kind<string> = {
  parse(value) {
    if (!URL.canParse(value)) return undefined;
    const { protocol, hostname, searchParams } = new URL(value);
    const isBroker = (protocol === "mqtt:" || protocol === "mqtts:") && hostname !== "";
    return isBroker && versions.includes(searchParams.get("protocol")) ? value : undefined;
  },
  allowed: "mqtt://user:password@host:port or mqtts://…; ?protocol=3.1.1 or 5 insists on that version",
};

const qos: Kind<0 | 1 | 2> = {
  parse: (value) => ([0, 1, 2] as const).find((level) => String(level) === value.trim()),
  allowed: "0, 1 or 2",
};

export const protocols = group("Other protocols", {
  influxDeviceTags: {
    variable: "INFLUX_DEVICE_TAGS",
    fallback: "device_id,device,host,hostname",
    kind: list(text("tag names, comma-separated")),
    help: "line protocol: the first of these tags that a line has names its device; none: the database or bucket does",
  },
  otlpDeviceAttributes: {
    variable: "OTLP_DEVICE_ATTRIBUTES",
    fallback: "device.id,service.instance.id,host.id,host.name,service.name",
    kind: list(text("attribute names, comma-separated")),
    help: "OTLP: the first of these attributes that a resource has names its device",
  },
  mqttUrl: {
    variable: "MQTT_URL",
    fallback: "",
    kind: optional(brokerUrl),
    help: "a broker to subscribe to",
  },
  mqttTemplates: {
    variable: "MQTT_TOPICS",
    fallback: "devices/{device_id}/{event_type}",
    kind: list({
      parse: parseTopicTemplate,
      allowed: "topics, comma-separated, whose levels are words, + or {names}; {rest} or # may be the last",
    }),
    help: "what is subscribed to; {device_id} and {event_type} name the event, {rest} takes what is left",
  },
  mqttQos: {
    variable: "MQTT_QOS",
    fallback: "1",
    kind: qos,
    help: "at most this quality of service: 0 may lose messages, 1 and 2 lose none",
  },
  mqttClientId: {
    variable: "MQTT_CLIENT_ID",
    fallback: "sluice",
    kind: text("a client id, the same at every start"),
    help: "names the session that the broker keeps; each instance needs its own",
  },
  mqttGroup: {
    variable: "MQTT_GROUP",
    fallback: "",
    kind: optional({
      parse: (value) => (/^[^/+#\s]+$/.test(value) ? value : undefined),
      allowed: "a word without /, + and #",
    }),
    help: "shared subscription: the broker spreads messages over the instances of this group",
  },
});
